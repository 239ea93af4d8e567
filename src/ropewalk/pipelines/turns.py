"""The walk over a graph: each turn stores what has ended, looks up what is ready, and begins what has to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ropewalk import leases
from ropewalk.compute.pool import ONE, Answer, Ending, Job, Needs
from ropewalk.errors import Invalid
from ropewalk.pipelines import failures, kept, logs, outcomes
from ropewalk.pipelines.applied import apply_outcome
from ropewalk.pipelines.attempts import Begun, Ended, Records, chance_of_its_own, error_of, pause_before
from ropewalk.pipelines.describe import Described
from ropewalk.pipelines.frontier import Frontier
from ropewalk.pipelines.graph import Node, Tree
from ropewalk.pipelines.hold import Part, RunHold
from ropewalk.pipelines.keys import Keyed
from ropewalk.pipelines.mapping import Mappings
from ropewalk.pipelines.outcomes import CACHED, DONE, FAILED, RUNNING, SKIPPED, WAITING, Outcome
from ropewalk.pipelines.plan import Hit, Judge
from ropewalk.pipelines.progress import Progress
from ropewalk.pipelines.secrets import secrets_of
from ropewalk.records import replace
from ropewalk.refs import canonical
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

if TYPE_CHECKING:
    import random

RENEW_SECONDS = leases.LEASE_SECONDS / 3
READS_AGAIN_MAX = 3
# Of how many nodes that cannot begin at once the key is held until they can.
LOOKED_MAX = 64
# How long a cancellation by another process may go unseen.
LOOK_SECONDS = 1.0


def needs_of(node: Node) -> Needs:
    """Return what a node takes of a machine while it runs."""
    return Needs(cpu=node.cpu, memory_bytes=node.memory_bytes, gpu=node.gpu)


class Turns:
    """One run's walk; the thread that makes it owns it.

    Args:
        site: the project.
        opened: graph and workers.
        run: the run, held by this process.
        on_progress: told of each node that begins or ends.
        part: of a walk over some of a run's steps, whose graph `opened` has, the whole; None for a whole run.
        timer: seconds that never go back, for waiting.
        chance: by which waits before retries differ.
    """

    def __init__(
        self,
        site: Site,
        opened: Described,
        run: Run,
        on_progress: Callable[[Progress], None],
        *,
        part: Part | None = None,
        timer: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        part = part or Part(whole=opened.graph, salt=run.id, hold=RunHold(run), attempts={})
        self._site = site
        self._graph = opened.graph
        self._hold = part.hold
        self._pool = opened.pool
        self._project = opened.project
        self._run = run
        self._shape = part.whole.shape()
        self._on_progress = on_progress
        self._timer = timer
        self._chance = chance
        self._judge = Judge(site, opened.graph, salt=part.salt)
        self._records = Records(part.whole, run, site.root, site.hidden / "logs" / run.id)
        self._frontier = Frontier(opened.graph)
        self._values: dict[str, Tree] = {}
        self._attempts = dict(part.attempts)
        self._rereads: dict[str, int] = {}
        self._running: dict[str, Begun] = {}
        self._maps = Mappings(site, run)
        self._later: dict[str, float] = {}
        self._handed: list[Begun] = []
        self._failed: list[Ended] = []
        self._told: list[Progress] = []
        self._held_up = False
        self._version = -1
        self._looked_at = 0.0
        self._renew_at = timer() + RENEW_SECONDS

    def walk(self) -> None:
        """Take turns until every node has an outcome.

        Raises:
            Invalid: a step failed for good, and the steps that ran beside it were waited for; or a step wants more than
                the machine has, and nothing has run.
            Interrupted: another process took the run over, or somebody cancelled it.
        """
        self._judge.read_files()
        for node in self._graph.nodes:
            self._check(node)
        self._version = self._site.db.version()  # whoever stops us from here on is seen, in the first second too
        ended: Sequence[Ended] = ()
        while True:
            self._site.db.write(lambda tx, ended=ended: self._turn(tx, ended))
            for begun in self._handed:
                self._pool.submit(self._job(begun))
            self._handed.clear()
            told, self._told = self._told, []
            for progress in told:
                self._on_progress(progress)
            if not self._running and (self._failed or not self._frontier.left):
                break
            ended = self._wait()
        if self._failed:
            raise error_of(self._failed[0])

    def _check(self, node: Node) -> None:
        """Refuse what could never run, before anything does."""
        if needs_of(node) == ONE:
            return
        try:
            self._pool.free(needs_of(node))
        except Invalid as error:
            error.where = f"{node.id}, {node.where}"
            raise

    def _wait(self) -> list[Ended]:
        """Wait until something ends, is due, or has been changed by somebody else."""
        while True:
            now = self._timer()
            # What was due already when the last turn looked waits for room, and so for an ending.
            due = [at for at in self._later.values() if at > self._looked_at]
            until = 0.0 if self._held_up else min([self._renew_at, *due])
            endings = self._pool.wait(max(0.0, min(until - now, LOOK_SECONDS)))
            ended = [self._ended(ending) for ending in endings]
            self._renew()
            # What ended is looked at before anything else: it may be the last that was awaited.
            if ended or self._timer() >= until or self._is_changed():
                return ended

    def _is_changed(self) -> bool:
        before, self._version = self._version, self._site.db.version()
        return before not in (-1, self._version)

    def _renew(self) -> None:
        if self._timer() >= self._renew_at:
            self._hold.renew(self._site)
            self._renew_at = self._timer() + RENEW_SECONDS

    def _turn(self, tx: Transaction, ended: Sequence[Ended]) -> None:
        """Do all that one turn changes, in one transaction: outcomes first, then what they make possible."""
        self._hold.check(tx)
        for item in ended:
            self._store(tx, item)
        self._held_up, self._looked_at = False, self._timer()
        if not self._failed:
            self._look_up(tx)

    def _look_up(self, tx: Transaction) -> None:
        """Take what is kept, and begin what is not, as far as there is room."""
        self._begin_parts(tx)
        while True:
            looked = self._take_kept(tx)
            for node in self._frontier.ready():
                if self._pool.free(Needs(cpu=0.0)) <= len(self._handed):
                    break
                if self._later.get(node.id, 0.0) > self._looked_at or not self._has_room(needs_of(node)):
                    continue
                # Looked at again: a step that ran meanwhile, here or in another run, may have answered for it.
                found = looked.get(node.id) or self._judge.look(tx, node, self._values)
                if isinstance(found, Hit):
                    self._take(tx, node, found)
                elif found is not None:
                    self._begin(tx, node, found)
            if not self._frontier.fresh:
                return

    def _take_kept(self, tx: Transaction) -> dict[str, Keyed]:
        """Take every fresh node whose outcome is kept; return the keys of some of the others."""
        looked: dict[str, Keyed] = {}
        while self._frontier.fresh:
            node = self._frontier.fresh.pop()
            found = self._judge.look(tx, node, self._values) if self._frontier.has(node) else None
            if isinstance(found, Hit):
                self._take(tx, node, found)
            elif found is not None:
                looked[node.id] = found
                if len(looked) > LOOKED_MAX:
                    del looked[next(iter(looked))]  # the latest are the first that begin
        return looked

    def _has_room(self, needs: Needs) -> bool:
        """Say whether the pool can take one more; what takes more than usual begins alone, one a turn."""
        alike = needs == ONE and all(needs_of(begun.node) == ONE for begun in self._handed)
        if alike:
            return self._pool.free() > len(self._handed)
        self._held_up = self._held_up or bool(self._handed)
        return not self._handed and self._pool.free(needs) > 0

    def _know(self, node: Node, value: Tree) -> None:
        """Keep a value for as long as a step waits for it."""
        self._attempts.pop(node.id, None)
        if self._frontier.wanted(node):
            self._values[node.id] = value
        for name in self._frontier.meet(node):
            self._values.pop(name, None)

    def _take(self, tx: Transaction, node: Node, hit: Hit) -> None:
        """Let an earlier outcome answer for a node: the run logs and shows what the step did then."""
        self._frontier.take(node)
        self._know(node, hit.value)
        now_us = self._site.clock.now_us()
        reason = ("nothing that it depends on has changed",)
        begun = Begun(node=node, keyed=hit.keyed, attempt=0, reason=reason, started_us=now_us)
        outcomes.keep_step(tx, self._records.step(begun, CACHED, ended_us=now_us))
        apply_outcome(tx, self._site, self._run, node=node, outcome=hit.outcome, key=hit.keyed)
        self._tell(node, CACHED, reason[0])

    def _begin(self, tx: Transaction, node: Node, key: Keyed) -> None:
        secrets_of(node.secrets, self._site.hidden)  # one that is nowhere ends the run before the step begins
        self._frontier.take(node)
        self._later.pop(node.id, None)
        attempt = self._attempts[node.id] = self._attempts.get(node.id, 0) + 1
        reason = self._judge.why(tx, node, key, self._run.id)
        begun = Begun(node=node, keyed=key, attempt=attempt, reason=reason, started_us=self._site.clock.now_us())
        outcomes.keep_step(tx, self._records.step(begun, RUNNING))
        self._tell(node, RUNNING, reason[0] if attempt == 1 else f"attempt {attempt}")
        if not node.over:
            self._hand(begun)
            return
        self._maps.begin(tx, begun)
        whole = self._maps.finish(node)
        if whole is not None:
            self._store_outcome(tx, whole)
        self._begin_parts(tx)

    def _hand(self, begun: Begun) -> None:
        self._running[begun.job] = begun
        self._handed.append(begun)

    def _begin_parts(self, tx: Transaction) -> None:
        """Give the workers further parts of the maps that run."""
        assert tx is not None, "what begins is begun in a transaction"
        for node in self._maps.waiting():
            while self._later.get(node.id, 0.0) <= self._looked_at and self._has_room(needs_of(node)):
                begun = self._maps.next(node, self._site.clock.now_us())
                if begun is None:
                    break
                self._later.pop(node.id, None)
                self._hand(begun)

    def _job(self, begun: Begun) -> Job:
        node = begun.node
        inputs = self._maps.message(begun) if begun.places else {"inputs": dict(begun.keyed.inputs), "over": ""}
        return Job(
            id=begun.job,
            message={
                "op": "run",
                "project": self._project,
                "run": self._run.id,
                "shape": self._shape,
                "node": node.id,
                "secrets": list(node.secrets),
                **inputs,
            },
            log=self._records.log(node),
            timeout_seconds=node.timeout_seconds,
            needs=needs_of(node),
            secrets=secrets_of(node.secrets, self._site.hidden),
        )

    def _ended(self, ending: Ending) -> Ended:
        """Return what an attempt came to; files that it declared and that changed meanwhile make it run again."""
        begun = self._running.pop(ending.job)
        node, now_us = begun.node, self._site.clock.now_us()
        reread = isinstance(ending, Answer) and self._judge.key(node, self._values).key != begun.keyed.key
        failure = self._records.failure(begun, ending, reread=reread)
        ended = Ended(begun=begun, outcome=None, value=None, failure=failure, ended_us=now_us)
        if begun.places:
            return self._maps.ended(ended, ending, self._records.log(node), self._running.values())
        log = logs.kept(self._site.blobs, self._records.log(node))
        if failure is not None or not isinstance(ending, Answer):
            return replace(ended, log=log)
        told = ending.message["ok"]
        blobs = self._site.blobs
        value, digest = outcomes.packed(blobs, told["tree"])
        assert digest == told["digest"], "the worker and we write the same tree the same way"
        outcome = Outcome(
            key=begun.keyed.key,
            step=node.step,
            code=node.code,
            inputs=canonical(begun.keyed.facts).decode(),
            value=value,
            digest=digest,
            entries=outcomes.packed(blobs, told["entries"])[0],
            frames=canonical(told["frames"]).decode(),
            run_id=self._run.id,
            node=node.id,
            at_us=now_us,
        )
        notes = self._judge.undeclared(node, told["read"], told.get("loaded", ()))
        return replace(ended, outcome=outcome, value=told["tree"], notes=notes, log=log)

    def _store(self, tx: Transaction, ended: Ended) -> None:
        node = ended.begun.node
        if ended.log is not None:
            tx.run("pipelines.keep_log", run_id=self._run.id, node=node.id, content=ended.log[0], bytes=ended.log[1])
        if ended.begun.places:
            self._store_part(tx, ended)
        elif ended.outcome is None:
            self._store_failure(tx, ended, self._attempts[node.id])
        else:
            self._store_outcome(tx, ended)

    def _store_part(self, tx: Transaction, ended: Ended) -> None:
        """Write a part of a map down: the one row of the map, and the outcome when it was the last."""
        node = ended.begun.node
        if not self._maps.has(node):
            return  # its results were stored with those of another part, which ended in the same moment
        self._maps.write(tx, ended)
        self._tell(node, RUNNING, self._maps.told(node))
        if ended.failure is not None:
            self._store_failure(tx, ended, self._maps.attempt(ended))
            return
        whole = self._maps.finish(node, ended)
        if whole is not None:
            self._store_outcome(tx, whole)

    def _store_outcome(self, tx: Transaction, ended: Ended) -> None:
        begun, node = ended.begun, ended.begun.node
        assert ended.outcome is not None, "failures are stored elsewhere"
        stored = outcomes.keep(tx, ended.outcome)
        # Another run may have stored this key first: then its value is the one, for all that follows.
        same = stored.digest == ended.outcome.digest
        value = ended.value if same else outcomes.value_of(self._site.blobs, stored)
        self._know(node, value)
        begun = replace(begun, reason=begun.reason + ended.notes)
        outcomes.keep_step(tx, self._records.step(begun, DONE, ended_us=ended.ended_us))
        apply_outcome(tx, self._site, self._run, node=node, outcome=stored, key=begun.keyed)
        body = {"node": node.id, "step": node.step, "key": stored.key, "code": node.code, "value": stored.digest}
        self._site.record(tx, "step.done", self._run.subject, body)
        self._tell(node, DONE, "; ".join(ended.notes), ended.seconds)

    def _store_failure(self, tx: Transaction, ended: Ended, attempt: int) -> None:
        """Write a failure down; the node waits for its next attempt, or the run fails."""
        begun, node, failure = ended.begun, ended.begun.node, ended.failure
        assert failure is not None, "an attempt gives a value or fails"
        text = canonical(failure).decode()
        rereads = self._rereads.get(node.id, 0)
        if failure["type"] == "Reread" and rereads < READS_AGAIN_MAX:
            self._rereads[node.id] = rereads + 1
            wait = 0.0
        elif attempt <= node.retries:
            self._chance = self._chance or chance_of_its_own()
            wait = pause_before(node, attempt, self._chance)
        else:
            outcomes.keep_step(tx, self._records.step(begun, FAILED, ended_us=ended.ended_us, error=text))
            self._failed.append(ended)
            self._tell(node, FAILED, failures.headline(failure), ended.seconds)
            return
        kept.keep_attempt(tx, self._run.id, begun, ended_us=ended.ended_us, error=text)
        if not begun.places:
            outcomes.keep_step(tx, self._records.step(begun, WAITING, ended_us=ended.ended_us, error=text))
            self._frontier.give_back(node)
        self._later[node.id] = self._timer() + wait
        self._tell(node, "retrying", f"{failures.headline(failure)}; again in {wait:.3g} s", ended.seconds)

    def skip_rest(self, tx: Transaction) -> None:
        """Write down which nodes a failed run never came to."""
        now_us = self._site.clock.now_us()
        for node in self._graph.nodes:
            if self._frontier.is_met(node) or self._attempts.get(node.id):
                continue
            empty = Keyed(key="", inputs={}, facts={})
            why = ("a step before it failed",)
            begun = Begun(node=node, keyed=empty, attempt=0, reason=why, started_us=now_us)
            outcomes.keep_step(tx, self._records.step(begun, SKIPPED, ended_us=now_us))

    def _tell(self, node: Node, state: str, message: str, seconds: float = 0.0) -> None:
        self._told.append(
            Progress(
                run_id=self._run.id,
                node=node.id,
                state=state,
                message=message,
                seconds=seconds,
                finished=len(self._graph.nodes) - self._frontier.left,
                total=len(self._graph.nodes),
            )
        )
