"""Running a pipeline: from a command to a finished run, resumed where an earlier one was killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ropewalk import leases
from ropewalk.compute import family
from ropewalk.compute.local import LocalPool
from ropewalk.errors import Interrupted, RopewalkError
from ropewalk.pipelines import kept, outcomes
from ropewalk.pipelines.describe import Described
from ropewalk.pipelines.elsewhere import described_for
from ropewalk.pipelines.progress import Progress, RunResult
from ropewalk.pipelines.turns import Turns
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.settings import Compute
from ropewalk.site import Site
from ropewalk.source.environment import environment_blob
from ropewalk.store.database import Transaction


def run_pipeline(
    site: Site,
    *,
    target: str,
    args: Mapping[str, Any],
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_begin: Callable[[Transaction, Run], None] = lambda _tx, _run: None,
    on_finish: Callable[[Transaction, Run], None] = lambda _tx, _run: None,
    name: str = "",
    experiment: str = "",
    parent: str = "",
    workers_max: int | None = None,
    compute: Compute | None = None,
    early: LocalPool | None = None,
) -> RunResult:
    """Run a pipeline on the code as it is now, or go on with the interrupted run of the same command.

    Args:
        site: the project.
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; text is read as its parameters say.
        on_progress: told of each node that begins or ends; outside of any transaction.
        on_begin: called in the transaction that begins the run, or takes it up again.
        on_finish: called in the transaction that finishes the run.
        name: what people call the run; empty for the next number.
        experiment: what the run belongs to.
        parent: id of the run that started this one.
        workers_max: how many steps may run at once; None for one a core.
        compute: where its steps run; None for this machine.
        early: workers that were started for it before; they end with the run.

    Raises:
        NotFound, Invalid: no such pipeline, or what does not fit (no run is made); a step failed, others are kept.
        Interrupted: Ctrl-C, another process took the run over, or the cluster is lost; the same command resumes it.
        Unavailable: no cluster answers (no run is made), or a node of it is not fit.
    """
    with described_for(site, target, args, compute, workers_max=workers_max, early=early) as opened:
        environment, nodes = environment_blob(site), kept.packed_nodes(site.blobs, opened.graph)

        def begin(tx: Transaction) -> tuple[Run, bool]:
            run, resumed = _begin(tx, site, opened, environment, name=name, experiment=experiment, parent=parent)
            tx.run("pipelines.keep_nodes", run_id=run.id, nodes=nodes)
            on_begin(tx, run)
            return run, resumed

        run, resumed = site.db.write(begin)
        done = _walk(site, run, Turns(site, opened, run, on_progress), on_finish)
    with site.db.read() as reader:
        return RunResult(run=done, counts=outcomes.counts_of(reader, run.id), resumed=resumed, db=site.db)


def _walk(site: Site, run: Run, turns: Turns, on_finish: Callable[[Transaction, Run], None]) -> Run:
    """Walk the graph to its end; however that goes, the run says how it went."""
    try:
        turns.walk()
        return site.db.write(lambda tx: finish(tx, site, run, on_finish))
    except KeyboardInterrupt as error:
        raise _interrupted(site, run) from error
    except Interrupted as error:
        if error.code == "ray-lost":  # the others say that the run is somebody else's now, or nobody's
            _stop(site, run, error.what)
        raise
    except Exception as error:
        _fail(site, run, turns, error)
        raise


def _begin(
    tx: Transaction, site: Site, opened: Described, environment: str, *, name: str, experiment: str, parent: str
) -> tuple[Run, bool]:
    """Take the interrupted run of this command up again, or start one."""
    graph, code = opened.graph, opened.code
    arguments = json.loads(graph.args)
    if runs.interrupt_dead(tx, site):
        family.end_orphans()  # a holder that was killed could not end what its steps had started
    lease = leases.take(site.clock.now_us(), 1)
    whole = graph.whole()
    earlier = _left(tx, whole, parent)
    if earlier is not None:
        run = runs.resume(tx, site, earlier.id, lease)
        tx.run("pipelines.end_left", run_id=run.id)
    else:
        run = runs.start(
            tx,
            site,
            kind="pipeline",
            pipeline=graph.pipeline,
            args=arguments,
            code=code.digest,
            commit=code.commit,
            environment=environment,
            lease=lease,
            name=name,
            experiment=experiment,
            parent=parent,
        )
    # A resumed run keeps the snapshot that it began with. Where files that no step's code reaches have changed since,
    # this entry says which snapshot went on.
    site.record(tx, "run.graph", run.subject, {"code": code.digest, "graph": whole})
    tx.run("pipelines.keep_graph", run_id=run.id, graph=whole)
    for digest, item in graph.codes.items():
        outcomes.keep_code(tx, digest, item.parts)
    entries = [LogEntry.from_plain(values) for values in graph.entries]
    keep.apply(tx, run.id, entries, at_us=site.clock.now_us())
    return run, earlier is not None


def _left(tx: Transaction, graph: str, parent: str) -> Run | None:
    """Return the newest interrupted run of a graph that the same run has started, or nobody's; or None."""
    for row in tx.rows("pipelines.runs_of_graph", graph=graph):
        run = runs.get(tx, str(row["run_id"]))
        if run.state == runs.INTERRUPTED and run.parent == parent:
            return run
    return None


def finish(tx: Transaction, site: Site, run: Run, on_finish: Callable[[Transaction, Run], None]) -> Run:
    """Write that every step of a run has ended well, and that the run has."""
    site.record(tx, "run.steps", run.subject, {"steps": outcomes.states_of(tx, run.id)})
    done = runs.move(tx, site, run.id, runs.FINISHED, fence=run.fence)
    on_finish(tx, done)
    return done


def _fail(site: Site, run: Run, turns: Turns, error: Exception) -> None:
    """Write that the run failed, with what never ran; a run that is somebody else's now is left alone."""
    why = error.what if isinstance(error, RopewalkError) else f"{type(error).__name__}: {error}"

    def work(tx: Transaction) -> None:
        tx.run("pipelines.end_left", run_id=run.id)
        turns.skip_rest(tx)
        runs.move(tx, site, run.id, runs.FAILED, fence=run.fence, error=why)

    with suppress(RopewalkError):  # the first error is the one to tell
        site.db.write(work)


def _stop(site: Site, run: Run, why: str) -> None:
    """Write that the run was interrupted."""

    def work(tx: Transaction) -> None:
        tx.run("pipelines.end_left", run_id=run.id)
        runs.move(tx, site, run.id, runs.INTERRUPTED, fence=run.fence, error=why)

    with suppress(RopewalkError):
        site.db.write(work)


def _interrupted(site: Site, run: Run) -> Interrupted:
    _stop(site, run, "stopped by hand")
    return Interrupted(
        "run-interrupted",
        f"The run {run.name} was stopped.",
        where=run.subject,
        why="somebody pressed Ctrl-C; every finished step is kept",
        fix=f"ropewalk run {run.pipeline}",
    )
