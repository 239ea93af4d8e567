"""The end of a run that an orchestrator drives: finished by its last step, or closed when nothing more will run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ropewalk.errors import NotFound, Unavailable
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.applied import apply_outcome
from ropewalk.pipelines.attempts import Begun, Records
from ropewalk.pipelines.describe import Described, described
from ropewalk.pipelines.execute import finish
from ropewalk.pipelines.given import kept, rows_of
from ropewalk.pipelines.graph import Graph, Tree
from ropewalk.pipelines.keys import Keyed
from ropewalk.pipelines.orchestrated import find, living, require_key, salt_of, spoken
from ropewalk.pipelines.outcomes import CACHED, DONE, FAILED, SKIPPED
from ropewalk.pipelines.plan import Hit, Judge
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

OnFinish = Callable[[Transaction, Run], None]


def end_run(
    site: Site, target: str, args: Mapping[str, Any], key: str, *, on_finish: OnFinish = lambda _tx, _run: None
) -> Run:
    """Close an orchestrator's run: finished where every step is done, failed where not. Again it changes nothing.

    Raises:
        NotFound: no step of it has ever begun.
        Unavailable: a step of it runs still.
    """
    require_key(key)
    with described(site, target, args, workers_max=1) as opened:
        return site.db.write(lambda tx: _close(tx, site, opened, key, on_finish))


def _close(tx: Transaction, site: Site, opened: Described, key: str, on_finish: OnFinish) -> Run:
    graph = opened.graph
    found = find(tx, graph, key)
    if found is None:
        raise NotFound(
            "orchestrated-run-unknown",
            "No step of this run has ever begun.",
            where=key,
            why=f"{graph.pipeline} has no run of that name",
            fix="look at what the orchestrator's first task says",
        )
    run = runs.get(tx, found.run_id)
    if run.over:
        return run
    now_us = site.clock.now_us()
    at_work = living(tx, run.id, now_us)
    if at_work:
        raise Unavailable(
            "orchestrated-run-busy",
            f"The run {run.name} cannot be closed yet.",
            where=run.subject,
            why=f"{', '.join(lease.node for lease in at_work)} runs still",
            fix="close it when its steps have ended",
        )
    if run.state == runs.INTERRUPTED:
        run = runs.resume(tx, site, run.id, run.lease)
    spoken(tx, site, run)
    tx.run("pipelines.end_left", run_id=run.id)
    if found.graph == graph.whole():
        _fill(tx, site, opened, key, run)
        done = finish_whole(tx, site, run, graph, on_finish)
        if done.over:
            return done
    return runs.move(tx, site, run.id, runs.FAILED, fence=run.fence, error=_why(tx, run))


def _fill(tx: Transaction, site: Site, opened: Described, key: str, run: Run) -> None:
    """Write down the steps that this run never came to: those whose outcome is kept, and those that were skipped."""
    graph, values = opened.graph, dict[str, Tree]()
    judge = Judge(site, graph, salt=salt_of(graph, key))
    records = Records(graph, run, site.root, site.hidden / "logs" / run.id)
    rows = rows_of(tx, run)
    for node in graph.nodes:
        row = rows.get(node.id)
        value = kept(tx, site, row) if row is not None else None
        if value is not None:
            values[node.id] = value[0]
        if row is not None:
            continue
        now_us = site.clock.now_us()
        found = judge.look(tx, node, values)
        hit = found if isinstance(found, Hit) else None
        keyed = hit.keyed if hit is not None else Keyed(key="", inputs={}, facts={})
        reason = "nothing that it depends on has changed" if hit is not None else "a step before it failed"
        begun = Begun(node=node, keyed=keyed, attempt=0, reason=(reason,), started_us=now_us)
        outcomes.keep_step(tx, records.step(begun, CACHED if hit is not None else SKIPPED, ended_us=now_us))
        if hit is not None:
            values[node.id] = hit.value
            apply_outcome(tx, site, run, node=node, outcome=hit.outcome, key=hit.keyed)


def _why(tx: Transaction, run: Run) -> str:
    rows = outcomes.steps_of(tx, run.id, running=False)
    failed = [row.node for row in rows if row.state == FAILED]
    left = [row.node for row in rows if row.state not in (DONE, CACHED, FAILED)]
    said = [f"{', '.join(failed)} failed"] if failed else []
    said += [f"{', '.join(left)} did not run"] if left else []
    return "; ".join(said) or "its code has changed since"


def finish_whole(tx: Transaction, site: Site, run: Run, graph: Graph, on_finish: OnFinish) -> Run:
    """Finish a run whose every step is done; else leave it as it is."""
    now = runs.get(tx, run.id)
    if now.state != runs.RUNNING or now.fence != run.fence:
        return now
    count = int(str(tx.value("pipelines.finished_of_run", run_id=run.id)))
    return finish(tx, site, now, on_finish) if count >= len(graph.nodes) else now
