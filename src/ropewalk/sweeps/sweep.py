"""A sweep and its trials as they stand: one record whatever their number, and a state for each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.leases import Lease
from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.source.snapshot import CodeSnapshot
from ropewalk.store.database import Reader, Transaction
from ropewalk.sweeps.draw import Args

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
MOVES: dict[str, frozenset[str]] = {
    WAITING: frozenset({RUNNING, FAILED}),
    RUNNING: frozenset({RUNNING, DONE, FAILED, WAITING}),
    DONE: frozenset(),
    FAILED: frozenset(),
}
GRID, RANDOM, OPTUNA = "grid", "random", "optuna"
LOWEST, HIGHEST = "min", "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One sweep; its state is that of its run.

    Attributes:
        run_id: the run that is the parent of its trials.
        key: digest of everything by which the same command is the same sweep.
        pipeline: `FILE.py:FUNCTION`.
        space: canonical JSON of what was typed of each parameter.
        method: `grid`, `random` or `optuna`.
        trials: how many there are to be.
        seed: of a random search, or of Optuna's.
        goal: `METRIC:max` or `METRIC:min`; empty for none.
        parallel: how many trials run at once.
        failures_max: more failed trials than this end it.
    """

    run_id: str
    key: str
    pipeline: str
    space: str
    method: str
    trials: int
    seed: int
    goal: str
    parallel: int
    failures_max: int

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"sweep:{self.run_id}"

    @property
    def metric(self) -> str:
        """The metric that it is about; empty for none."""
        return self.goal.rpartition(":")[0]

    @property
    def highest(self) -> bool:
        """Whether the highest value is the best."""
        return self.goal.rpartition(":")[2] == HIGHEST

    def words(self) -> dict[str, str]:
        """Return what was typed of each parameter."""
        return json.loads(self.space)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial.

    Attributes:
        sweep: id of the sweep's run.
        number: from 1.
        args: JSON of its arguments, as one types them.
        state: a key of `MOVES`.
        run: id of the run that does it; empty while none has begun.
        value: what the goal's metric was; None while there is none.
        error: why it failed.
        at_us: when it came into this state, microseconds since the epoch.
    """

    sweep: str
    number: int
    args: str
    state: str
    run: str
    value: float | None
    error: str
    at_us: int

    def arguments(self) -> Args:
        """Return its arguments as one types them."""
        return json.loads(self.args)


def begin(
    tx: Transaction,
    site: Site,
    found: Sweep,
    *,
    code: CodeSnapshot,
    environment: str,
    lease: Lease,
    args: Sequence[Args],
) -> tuple[Sweep, Run, bool]:
    """Begin a sweep, or take the interrupted one of the same command up again.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        found: what was asked for; it has no run yet.
        code: the code that runs.
        environment: digest of the environment's description.
        lease: who runs it.
        args: its trials, as far as they are known before anything has run.

    Returns:
        The sweep, its run, and whether it was taken up again.
    """
    earlier = tx.value("sweeps.interrupted", key=found.key)
    if earlier is not None:
        run = runs.resume(tx, site, str(earlier), lease)
        tx.run("sweeps.go_on", run_id=run.id, parallel=found.parallel, failures_max=found.failures_max)
        give_back(tx, site, run.id)
        return get(tx, run.id), run, True
    count = int(str(tx.value("sweeps.count_of_pipeline", pipeline=found.pipeline)))
    run = runs.start(
        tx,
        site,
        kind="sweep",
        pipeline=found.pipeline,
        args=found.words(),
        code=code.digest,
        commit=code.commit,
        environment=environment,
        lease=lease,
        name=f"{found.pipeline.rpartition(':')[2]}-sweep-{count + 1}",
    )
    values: dict[str, Any] = {field: getattr(found, field) for field in Sweep.__slots__}
    tx.run("sweeps.insert", **values | {"run_id": run.id})
    tx.many("sweeps.trial_insert", [_fresh(site, run.id, at, one) for at, one in enumerate(args, 1)])
    body = {name: values[name] for name in ("pipeline", "key", "method", "trials", "seed", "goal")}
    site.record(tx, "sweep.begun", f"sweep:{run.id}", {**body, "space": found.words()})
    return get(tx, run.id), run, False


def _fresh(site: Site, sweep: str, number: int, args: Args) -> dict[str, Any]:
    return {"sweep": sweep, "number": number, "args": json.dumps(args), "at_us": site.clock.now_us()}


def propose(tx: Transaction, site: Site, found: Sweep, number: int, args: Args) -> Trial:
    """Write down what a trial is to try, before it runs."""
    tx.run("sweeps.trial_insert", **_fresh(site, found.run_id, number, args))
    site.record(tx, "trial.proposed", found.subject, {"number": number, "args": args})
    return trial(tx, found.run_id, number)


def give_back(tx: Transaction, site: Site, sweep: str) -> None:
    """Let what nobody runs any more wait again; what was cancelled, or failed in the moment of a kill, has failed."""
    for one in of_state(tx, sweep, RUNNING):
        run = runs.get(tx, one.run)
        if run.state in (runs.FAILED, runs.CANCELLED):
            move(tx, site, one, FAILED, run=one.run, error=run.error or run.state)
        else:
            move(tx, site, one, WAITING, run=one.run)


def move(
    tx: Transaction, site: Site, found: Trial, state: str, *, run: str, value: float | None = None, error: str = ""
) -> None:
    """Take a trial to another state and record it."""
    now = trial(tx, found.sweep, found.number)
    assert state in MOVES[now.state], f"a trial that is {now.state} does not become {state}"
    kept = {"state": state, "run": run, "value": value, "error": error[:1000], "at_us": site.clock.now_us()}
    tx.run("sweeps.trial_move", sweep=found.sweep, number=found.number, before=now.state, **kept)
    body: dict[str, Any] = {"number": found.number, "run": run, "value": value, "error": error[:1000]}
    if state == RUNNING:
        body["args"] = found.arguments()
    site.record(tx, f"trial.{state}", f"sweep:{found.sweep}", body)


def get(reader: Reader, run_id: str) -> Sweep:
    """Return the sweep of a run that is known to be one."""
    found = of_run(reader, run_id)
    assert found is not None, f"{run_id} is a sweep"
    return found


def of_run(reader: Reader, run_id: str) -> Sweep | None:
    """Return the sweep of a run, or None where the run is none."""
    return reader.get(Sweep, "sweeps.get", run_id=run_id)


def trial(reader: Reader, sweep: str, number: int) -> Trial:
    """Return a trial that is known to be there."""
    found = reader.get(Trial, "sweeps.trial", sweep=sweep, number=number)
    assert found is not None, f"trial {number} of {sweep} is there"
    return found


def next_waiting(reader: Reader, sweep: str, after: int) -> Trial | None:
    """Return the first waiting trial behind a number, or None."""
    return reader.get(Trial, "sweeps.next", sweep=sweep, after=after)


def of_state(reader: Reader, sweep: str, state: str) -> list[Trial]:
    """Return the trials in a state, by number."""
    return reader.all(Trial, "sweeps.of_state", sweep=sweep, state=state)


def page(reader: Reader, sweep: str, *, after: int = 0, count: int = 100) -> list[Trial]:
    """Return trials by number."""
    return reader.all(Trial, "sweeps.page", sweep=sweep, after=after, count=count)


def counts(reader: Reader, sweep: str) -> dict[str, int]:
    """Return how many trials are in which state; all states are named."""
    found = {str(row["state"]): int(str(row["trials"])) for row in reader.rows("sweeps.counts", sweep=sweep)}
    return {state: found.get(state, 0) for state in MOVES}


def best(reader: Reader, found: Sweep, count: int = 1) -> list[Trial]:
    """Return the best trials, the best first; none where the sweep has no goal."""
    if not found.goal:
        return []
    order = "sweeps.best_highest" if found.highest else "sweeps.best_lowest"
    return reader.all(Trial, order, sweep=found.run_id, count=count)


def key_of(found: Sweep, tree: str, reads: dict[str, str]) -> str:
    """Return the digest by which the same command on the same code and files is the same sweep."""
    said = [found.pipeline, found.words(), found.method, found.trials, found.seed, found.goal]
    return digest_of(canonical([*said, tree, reads])).removeprefix(PREFIX)  # no blob, as a whole digest would be
