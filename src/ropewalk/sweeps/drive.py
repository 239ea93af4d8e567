"""Driving a sweep: so many trials at once, each a run of its own, until all have ended or somebody stops it."""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from ropewalk import leases
from ropewalk.compute import connection, family
from ropewalk.errors import Interrupted, Invalid, RopewalkError
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.settings import LOCAL, Compute
from ropewalk.site import Site
from ropewalk.source.environment import environment_blob
from ropewalk.store.database import Transaction
from ropewalk.sweeps import sweep as sweeps
from ropewalk.sweeps.plan import Planned
from ropewalk.sweeps.study import Study
from ropewalk.sweeps.sweep import DONE, FAILED, OPTUNA, RUNNING, Sweep, Trial

LOOK_SECONDS = 1.0
RENEW_SECONDS = leases.LEASE_SECONDS / 3
PARAMETERS_PART = 1  # part 0 of what a run logs is its pipeline's own body
OnTrial = Callable[[Trial], None]


def run_sweep(
    site: Site,
    planned: Planned,
    *,
    on_begin: Callable[[Run, bool], None],
    on_trial: OnTrial,
    compute: Compute | None = None,
) -> tuple[Sweep, Run]:
    """Run a sweep to its end; the same command after a kill goes on with it, and no trial that has ended runs again.

    Args:
        site: the project.
        planned: what to run.
        on_begin: told of the sweep's run, and whether it was taken up again.
        on_trial: told of each trial that begins or ends, in our thread.
        compute: where the trials' steps run; None for this machine.

    Raises:
        Interrupted: Ctrl-C, or somebody cancelled it or took it over; the trials that have ended are kept.
        Invalid: more trials failed than may fail, or all of them; the sweep is over.
    """
    environment = environment_blob(site)

    def begin(tx: Transaction) -> tuple[Sweep, Run, bool]:
        if runs.interrupt_dead(tx, site):
            family.end_orphans()
        lease = leases.take(site.clock.now_us(), 1)
        asked, code, args = planned.sweep, planned.code, planned.trials
        return sweeps.begin(tx, site, asked, code=code, environment=environment, lease=lease, args=args)

    sweep, run, resumed = site.db.write(begin)
    on_begin(run, resumed)
    with connection.kept():  # a trial uses the connection to the cluster that another one has opened
        return sweep, _Drive(site, planned, sweep, run, on_trial=on_trial, compute=compute).go()


class _Drive:
    """One sweep that this process holds."""

    def __init__(
        self, site: Site, planned: Planned, sweep: Sweep, run: Run, *, on_trial: OnTrial, compute: Compute | None
    ) -> None:
        self._site = site
        self._sweep = sweep
        self._run = run
        self._on_trial = on_trial
        self._space = planned.space
        self._study: Study | None = None
        self._threads: dict[int, threading.Thread] = {}
        self._ended: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
        self._last = 0
        self._renew_at = site.clock.monotonic() + RENEW_SECONDS
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._compute = compute
        here = compute is None or compute.pool == LOCAL
        self._workers_max = max(1, cores // sweep.parallel) if here else None

    def go(self) -> Run:
        """Run trials until none is left."""
        try:
            while self._begin_more() or self._threads:
                self._wait()
            return self._finish()
        except KeyboardInterrupt:
            self._break_off(runs.INTERRUPTED, "stopped by hand")
            raise self._stopped() from None
        except Interrupted:
            with self._site.db.read() as rows:
                state = runs.get(rows, self._run.id).state
            self._break_off(runs.CANCELLED if state == runs.CANCELLED else runs.INTERRUPTED, "its sweep was ended")
            raise
        except BaseException as error:
            self._break_off(runs.INTERRUPTED, f"{type(error).__name__}: {error}")
            raise

    # --------------------------------------------------------------------------------------------------- choice
    def _begin_more(self) -> bool:
        """Begin as many trials as may run now; say whether one was begun."""
        begun = False
        while len(self._threads) < self._sweep.parallel:
            if self._failures() > self._sweep.failures_max:
                return begun
            trial = self._next()
            if trial is None:
                return begun
            self._last = trial.number
            thread = threading.Thread(target=self._one, args=(trial,), name=f"trial-{trial.number}")
            self._threads[trial.number] = thread
            thread.start()
            begun = True
        return begun

    def _failures(self) -> int:
        with self._site.db.read() as rows:
            return sweeps.counts(rows, self._sweep.run_id)[FAILED]

    def _next(self) -> Trial | None:
        with self._site.db.read() as rows:
            found = sweeps.next_waiting(rows, self._sweep.run_id, self._last)
            count = sum(sweeps.counts(rows, self._sweep.run_id).values())
            if found is None and self._study is None and self._sweep.method == OPTUNA:
                ended = sweeps.of_state(rows, self._sweep.run_id, DONE)
                highest, seed = self._sweep.highest, self._sweep.seed
                self._study = Study(self._space, highest=highest, seed=seed, ended=ended)
        if found is not None or self._study is None or count >= self._sweep.trials:
            return found
        args = self._study.ask(count + 1)

        def work(tx: Transaction) -> Trial:
            runs.check_held(tx, self._run)
            return sweeps.propose(tx, self._site, self._sweep, count + 1, args)

        return self._site.db.write(work)

    def _wait(self) -> None:
        """Wait until a trial ends, or for a moment; keep the lease, and see whether somebody stopped us."""
        try:
            number, broken = self._ended.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            number, broken = 0, None
        if number:
            self._threads.pop(number).join()
            if broken is not None:
                raise broken
            with self._site.db.read() as rows:
                trial = sweeps.trial(rows, self._sweep.run_id, number)
            if self._study is not None:
                self._study.tell(trial)
            self._on_trial(trial)
        now = self._site.clock.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + RENEW_SECONDS
            lease = leases.take(self._site.clock.now_us(), self._run.fence)
            self._site.db.write(lambda tx: runs.renew(tx, self._run.id, lease))
        elif not number:
            with self._site.db.read() as rows:
                held = runs.get(rows, self._run.id)
            if held.state != runs.RUNNING or held.fence != self._run.fence:
                self._site.db.write(lambda tx: runs.check_held(tx, self._run))

    # ---------------------------------------------------------------------------------------------------- trial
    def _one(self, trial: Trial) -> None:
        """Run one trial in a thread of its own; whatever happens, say that it has ended."""
        broken: BaseException | None = None
        try:
            self._run_trial(trial)
        except BaseException as error:  # noqa: BLE001 - our thread raises it
            broken = error
        self._ended.put((trial.number, broken))

    def _run_trial(self, trial: Trial) -> None:
        try:
            run_pipeline(
                self._site,
                target=self._sweep.pipeline,
                args=trial.arguments(),
                on_begin=lambda tx, run: self._begun(tx, trial, run),
                on_finish=lambda tx, run: self._finished(tx, trial, run),
                parent=self._sweep.run_id,
                workers_max=self._workers_max,
                compute=self._compute,
            )
        except RopewalkError as error:
            if isinstance(error, Interrupted) and error.code != "run-cancelled":
                raise
            why = f"{error.what} {error.why}".strip()

            def fail(tx: Transaction) -> None:
                runs.check_held(tx, self._run)
                now = sweeps.trial(tx, trial.sweep, trial.number)
                sweeps.move(tx, self._site, trial, FAILED, run=now.run, error=why)

            self._site.db.write(fail)

    def _begun(self, tx: Transaction, trial: Trial, run: Run) -> None:
        """Note a trial's run, in the transaction that begins it; a parameter that its body logged stays."""
        runs.check_held(tx, self._run)
        sweeps.move(tx, self._site, trial, RUNNING, run=run.id)
        logged = {fact.key for fact in keep.facts(tx, run.id, "param")}
        at_us, values = self._site.clock.now_us(), run.arguments()
        entries = [
            LogEntry(kind="param", key=name, value=str(values[name]), at_us=at_us)
            for name in trial.arguments()
            if name not in logged
        ]
        keep.apply(tx, run.id, entries, part=PARAMETERS_PART, at_us=at_us)

    def _finished(self, tx: Transaction, trial: Trial, run: Run) -> None:
        """Note what a trial gave, in the transaction that finishes its run."""
        value: float | None = None
        metric = self._sweep.metric
        if metric:
            found = {point.key: point.value for point in keep.metrics(tx, run.id)}
            value = found.get(metric)
            if value is None or not math.isfinite(value):
                why = f"it is {value}" if value is not None else f"it logged {', '.join(found) or 'none'}"
                sweeps.move(tx, self._site, trial, FAILED, run=run.id, error=f"no metric {metric!r}: {why}")
                return
        sweeps.move(tx, self._site, trial, DONE, run=run.id, value=value)

    # ------------------------------------------------------------------------------------------------------ end
    def _finish(self) -> Run:
        def work(tx: Transaction) -> tuple[Run, str]:
            counts = sweeps.counts(tx, self._sweep.run_id)
            best = sweeps.best(tx, self._sweep)
            if best:
                self._note(tx, best[0])
            why = ""
            if counts[FAILED] > self._sweep.failures_max:
                why = f"{counts[FAILED]} trials failed, and at most {self._sweep.failures_max} may"
            elif not counts[DONE]:
                why = "every trial failed"
            state = runs.FAILED if why else runs.FINISHED
            self._site.record(tx, "sweep.ended", self._sweep.subject, {"trials": counts, "error": why})
            return runs.move(tx, self._site, self._run.id, state, fence=self._run.fence, error=why), why

        done, why = self._site.db.write(work)
        if why:
            raise self._failed(why)
        return done

    def _note(self, tx: Transaction, best: Trial) -> None:
        """Log the best trial with the sweep's own run, by the names that MLflow's autologging gives a search."""
        at_us = self._site.clock.now_us()
        entries = [
            LogEntry(kind="metric", key=f"best_{self._sweep.metric}", value=best.value, at_us=at_us),
            LogEntry(kind="tag", key="best_trial", value=str(best.number), at_us=at_us),
            *(LogEntry(kind="param", key=f"best_{k}", value=v, at_us=at_us) for k, v in best.arguments().items()),
        ]
        keep.apply(tx, self._run.id, entries, at_us=at_us)

    def _break_off(self, state: str, why: str) -> None:
        """End what runs, so that it can be gone on with, and wait for its processes."""

        def work(tx: Transaction) -> None:
            for trial in sweeps.of_state(tx, self._sweep.run_id, RUNNING):
                run = runs.get(tx, trial.run)
                if run.state == runs.RUNNING:
                    tx.run("pipelines.end_left", run_id=run.id)
                    runs.move(tx, self._site, run.id, state, fence=run.fence, error=why)
            held = runs.get(tx, self._run.id)
            if held.fence != self._run.fence:
                return
            sweeps.give_back(tx, self._site, self._sweep.run_id)
            if held.state == runs.RUNNING:
                runs.move(tx, self._site, self._run.id, runs.INTERRUPTED, fence=held.fence, error=why)

        with suppress(RopewalkError):  # the first error is the one to tell
            self._site.db.write(work)
        for thread in self._threads.values():
            thread.join()

    def _stopped(self) -> Interrupted:
        return Interrupted(
            "sweep-interrupted",
            f"The sweep {self._run.name} was stopped.",
            where=self._run.subject,
            why="somebody pressed Ctrl-C; every trial that has ended is kept",
            fix="ropewalk sweep",
        )

    def _failed(self, why: str) -> Invalid:
        with self._site.db.read() as rows:
            failed = sweeps.of_state(rows, self._sweep.run_id, FAILED)
        first = failed[0] if failed else None
        return Invalid(
            "sweep-failed",
            f"The sweep {self._run.name} failed: {why}.",
            where=self._run.subject,
            why=f"trial {first.number}: {first.error}" if first is not None else why,
            fix=f"ropewalk runs {self._run.name}",
        )
