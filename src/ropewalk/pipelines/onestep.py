"""One step of a run that an orchestrator drives: run by itself, with the cache, leases and log of a whole run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ropewalk.compute import family
from ropewalk.errors import Conflict, Interrupted, NotFound, RopewalkError
from ropewalk.pipelines.closing import OnFinish, finish_whole
from ropewalk.pipelines.describe import Described, described
from ropewalk.pipelines.given import given, kept
from ropewalk.pipelines.graph import Graph, Node
from ropewalk.pipelines.hold import Part
from ropewalk.pipelines.kept import packed_nodes
from ropewalk.pipelines.orchestrated import StepHold, StepLease, open_run, require_key, salt_of, take_step
from ropewalk.pipelines.outcomes import CACHED, DONE, FAILED, StepRecord
from ropewalk.pipelines.plan import Judge
from ropewalk.pipelines.progress import Progress
from ropewalk.pipelines.turns import Turns
from ropewalk.records import frozen, replace
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.source.environment import environment_blob
from ropewalk.store.database import Transaction

LOOK_SECONDS = 1.0


@frozen
class Asked:
    """What an orchestrator asks for.

    Attributes:
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; text is read as its parameters say.
        key: `ORCHESTRATOR:ITS RUN'S ID`, the same for all steps of one run of its.
        structure: beginning of `Graph.structure` of what was exported; empty for any.
    """

    target: str
    args: Mapping[str, Any]
    key: str
    structure: str = ""


@frozen
class StepResult:
    """What came of a step.

    Attributes:
        run: the run as it is now.
        step: what it did with the step.
        hit: whether nothing had to run.
        again: of a failed step, whether it may be tried again as often as it says.
        error: of a failed step, what went wrong.
    """

    run: Run
    step: StepRecord
    hit: bool
    again: bool = False
    error: RopewalkError | None = None


def run_step(
    site: Site,
    asked: Asked,
    name: str,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_wait: Callable[[StepLease], None] = lambda _: None,
    on_log: Callable[[Path, int], None] = lambda _path, _size: None,
    on_finish: OnFinish = lambda _tx, _run: None,
    workers_max: int | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> StepResult:
    """Run one step of an orchestrator's run, once; where it is done already, nothing runs.

    Its retries are the orchestrator's to make: each call is one attempt. While another living process has the step,
    this one waits for it. The last step finishes the run.

    Args:
        site: the project.
        asked: which run.
        name: id of the step.
        on_progress: told when the step begins and ends; outside of any transaction.
        on_wait: told of who has the step, each time that it is looked.
        on_log: told, before it runs, which file it will print into, and how much that holds already.
        on_finish: called in the transaction that finishes the run.
        workers_max: how many items of a map may run at once; None for one a core.
        wait: waits so many seconds.

    Raises:
        NotFound: there is no such file, pipeline or step.
        Conflict: the pipeline has other steps than what was exported; or the step's inputs are not there.
        Invalid: an argument does not fit, or the code cannot be read.
        Interrupted: it was stopped, cancelled or taken over; nothing of it counts.
    """
    require_key(asked.key)
    with described(site, asked.target, asked.args, workers_max=workers_max) as opened:
        graph = opened.graph
        _require_structure(graph, asked)
        node = _node(graph, name)
        run, taken = _taken(site, opened, asked.key, name, lambda lease: (on_wait(lease), wait(LOOK_SECONDS)))
        if isinstance(taken, StepRecord):
            run = site.db.write(lambda tx: finish_whole(tx, site, run, graph, on_finish))
            return StepResult(run=run, step=taken, hit=True)
        log = site.hidden / "logs" / run.id / f"{name}.log"
        on_log(log, log.stat().st_size if log.exists() else 0)
        held = _One(site, opened, asked, node, taken, on_progress=on_progress, on_finish=on_finish)
        return held.go(lambda lease: (on_wait(lease), wait(LOOK_SECONDS)))


def _taken(
    site: Site, opened: Described, key: str, name: str, wait: Callable[[StepLease], object]
) -> tuple[Run, StepHold | StepRecord]:
    """Open the run and take a step of it, once nobody else has it; return what it gave where it is done by then."""
    environment, nodes = environment_blob(site), packed_nodes(site.blobs, opened.graph)

    def take(tx: Transaction) -> tuple[Run, StepHold | StepLease | StepRecord]:
        run = open_run(tx, site, opened, key, environment)
        tx.run("pipelines.keep_nodes", run_id=run.id, nodes=nodes)
        row = _finished(tx, site, run, name)
        taken = row or take_step(tx, site, run, name)
        if isinstance(taken, StepHold):
            _keep_attempt(tx, run, name)
        return run, taken

    while True:
        run, taken = site.db.write(take)
        if not isinstance(taken, StepLease):
            return run, taken
        wait(taken)


def _keep_attempt(tx: Transaction, run: Run, name: str) -> None:
    """Keep what is known of a failed attempt, whose row the next one takes."""
    row = tx.get(StepRecord, "pipelines.step", run_id=run.id, node=name)
    if row is not None and row.state == FAILED:
        facts = {name: getattr(row, name) for name in ("attempt", "started_us", "ended_us", "error")}
        tx.run("pipelines.keep_attempt", run_id=run.id, node=name, **facts)


class _One:
    """One step that this process holds."""

    def __init__(
        self,
        site: Site,
        opened: Described,
        asked: Asked,
        node: Node,
        hold: StepHold,
        *,
        on_progress: Callable[[Progress], None],
        on_finish: OnFinish,
    ) -> None:
        self._site = site
        self._opened = opened
        self._asked = asked
        self._node = node
        self._hold = hold
        self._on_progress = on_progress
        self._on_finish = on_finish

    def go(self, wait: Callable[[StepLease], object]) -> StepResult:
        """Run it, or take what is kept; whatever happens, the step is given back.

        Args:
            wait: waits a moment, told who makes the same outcome for another run.
        """
        try:
            if self._hold.lease.fence > 1:
                family.end_orphans()  # a holder that was killed could not end what its step had started
            self._walk(wait)
        except KeyboardInterrupt:
            self._give_back()
            raise self._stopped() from None
        except RopewalkError as error:
            if error.code != "step-failed":
                self._give_back()
                raise
            return self._failed(error)
        except BaseException:
            self._give_back()
            raise
        run = self._site.db.write(self._end)
        row = self._row()
        return StepResult(run=run, step=row, hit=row.state == CACHED)

    def _walk(self, wait: Callable[[StepLease], object]) -> None:
        graph, node, run = self._opened.graph, self._node, self._hold.run
        salt = salt_of(graph, self._asked.key)
        judge = Judge(self._site, graph, salt=salt)
        with self._site.db.read() as reader:
            values = given(reader, self._site, judge, graph, run=run, node=node)
            row = reader.get(StepRecord, "pipelines.step", run_id=run.id, node=node.id)
        missing = [name for name in node.needs() if name not in values]
        if missing:
            raise _not_there(node, run, missing, self._asked)
        # Its inputs are known, and whether it is tried again is not ours to say.
        keyed = judge.key(node, values)
        while (other := self._site.db.write(lambda tx: self._hold.take_key(tx, self._site, keyed.key))) is not None:
            wait(other)
        alone = replace(node, inputs=dict(keyed.inputs), retries=0)
        part = Part(
            whole=graph,
            salt=salt,
            hold=self._hold,
            attempts={node.id: row.attempt if row is not None else 0},
        )
        opened = replace(self._opened, graph=replace(graph, nodes=(alone,)))
        held = replace(run, fence=self._hold.lease.fence)
        Turns(self._site, opened, held, self._on_progress, part=part).walk()

    def _end(self, tx: Transaction) -> Run:
        self._hold.release(tx)
        return finish_whole(tx, self._site, self._hold.run, self._opened.graph, self._on_finish)

    def _failed(self, error: RopewalkError) -> StepResult:
        failures = self._site.db.write(lambda tx: self._hold.release(tx, failed=True))
        again = failures <= self._node.retries
        with self._site.db.read() as reader:
            run = runs.get(reader, self._hold.run.id)
        return StepResult(run=run, step=self._row(), hit=False, again=again, error=error)

    def _row(self) -> StepRecord:
        with self._site.db.read() as reader:
            row = reader.get(StepRecord, "pipelines.step", run_id=self._hold.run.id, node=self._node.id)
        assert row is not None, "a walk leaves a row"
        return row

    def _give_back(self) -> None:
        def work(tx: Transaction) -> None:
            self._hold.check(tx)
            tx.run("pipelines.end_left_step", run_id=self._hold.run.id, node=self._node.id)
            self._hold.release(tx)

        with suppress(RopewalkError):  # the first error is the one to tell; a step that is another's is left alone
            self._site.db.write(work)

    def _stopped(self) -> Interrupted:
        return Interrupted(
            "step-interrupted",
            f"The step {self._node.id} was stopped.",
            where=self._hold.run.subject,
            why="this process was asked to end",
            fix="let the orchestrator try again: what is done by then is not done twice",
        )


def _finished(tx: Transaction, site: Site, run: Run, name: str) -> StepRecord | None:
    """Return what a run did with a step where that is done and still kept."""
    row = tx.get(StepRecord, "pipelines.step", run_id=run.id, node=name)
    if row is None or row.state not in (DONE, CACHED):
        return None
    return row if run.over or kept(tx, site, row) else None


def _node(graph: Graph, name: str) -> Node:
    node = graph.node(name)
    if node is None:
        import difflib

        names = [item.id for item in graph.nodes]
        near = difflib.get_close_matches(name, names, 3) or names[:10]
        raise NotFound(
            "step-not-in-pipeline",
            f"The pipeline has no step {name[:80]!r}.",
            where=graph.pipeline,
            why=f"it has {', '.join(near) or 'none'}",
            fix="ropewalk plan " + graph.pipeline,
        )
    return node


def _require_structure(graph: Graph, asked: Asked) -> None:
    if graph.structure().removeprefix("sha256:").startswith(asked.structure):
        return
    raise Conflict(
        "exported-structure-changed",
        "The pipeline has other steps than what was exported.",
        where=graph.pipeline,
        why=f"with {graph.args} it calls {len(graph.nodes)} steps; its code or its arguments have changed since",
        fix="make the file anew: the command stands at its top",
    )


def _not_there(node: Node, run: Run, missing: list[str], asked: Asked) -> Conflict:
    return Conflict(
        "step-inputs-missing",
        f"The step {node.id} cannot run: what it is given is not there.",
        where=run.subject,
        why=f"{', '.join(missing)} has no outcome with the code as it is now",
        fix=f"let the orchestrator run that first: ropewalk step {missing[0]} {asked.target} --run {asked.key}",
    )
