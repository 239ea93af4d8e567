"""What would run now, and why, before anything does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ropewalk.errors import Corrupt, Invalid, NotFound
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.describe import described
from ropewalk.pipelines.graph import Graph, Node, Tree
from ropewalk.pipelines.keys import Keyed, keyed
from ropewalk.pipelines.outcomes import Outcome
from ropewalk.pipelines.reads import DeclaredFiles
from ropewalk.pipelines.reasons import Before, reasons
from ropewalk.pipelines.told import notes_of
from ropewalk.records import frozen
from ropewalk.site import Site
from ropewalk.store.database import Reader

HIT, RUN, UNKNOWN = "hit", "run", "unknown"


@frozen
class Planned:
    """What would happen to one node.

    Attributes:
        node: its id.
        step: `module:qualified.name`.
        where: `file:line`.
        needs: ids of the nodes that it waits for.
        verdict: `hit` (its outcome is kept), `run`, or `unknown` (it depends on what one before it will give).
        why: sentences.
        key: its cache key; empty while unknown.
        notes: what the fingerprint cannot see of its code.
    """

    node: str
    step: str
    where: str
    needs: tuple[str, ...]
    verdict: str
    why: tuple[str, ...]
    key: str
    notes: tuple[str, ...] = ()


@frozen
class Plan:
    """What a command would do.

    Attributes:
        pipeline: `FILE.py:FUNCTION`.
        args: canonical JSON of the pipeline's arguments, defaults included.
        code: digest of the code snapshot.
        nodes: in the order they were recorded.
    """

    pipeline: str
    args: str
    code: str
    nodes: tuple[Planned, ...]

    def count(self, verdict: str) -> int:
        """Return how many nodes have a verdict."""
        return sum(node.verdict == verdict for node in self.nodes)


def plan(site: Site, target: str, args: Mapping[str, Any]) -> Plan:
    """Record the graph and say what would run and why; nothing runs and no run is made.

    Args:
        site: the project.
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; text is read as its parameters say.

    Raises:
        NotFound: there is no such file or pipeline.
        Invalid: an argument does not fit, or the user's code fails when it is imported or recorded.
    """
    with described(site, target, args, workers_max=1) as opened, site.db.read() as reader:
        graph = opened.graph
        judge = Judge(site, graph)
        values: dict[str, Tree] = {}
        nodes: list[Planned] = []
        for node in graph.nodes:
            found = judge.look(reader, node, values)
            if isinstance(found, Hit):
                values[node.id] = found.value
            nodes.append(_planned(reader, judge, node, found, values))
    return Plan(pipeline=graph.pipeline, args=graph.args, code=opened.code.digest, nodes=tuple(nodes))


@frozen
class Hit:
    """A node whose outcome is kept.

    Attributes:
        keyed: its key.
        outcome: the row.
        value: the outcome's tree.
    """

    keyed: Keyed
    outcome: Outcome
    value: Tree


class Judge:
    """Looks nodes up, for a plan or for a run.

    Args:
        site: the project.
        graph: what is looked up.
        salt: the run's id, for steps whose outcome no other run may use.
    """

    def __init__(self, site: Site, graph: Graph, salt: str = "") -> None:
        self._site = site
        self._graph = graph
        self._salt = salt
        self._files = DeclaredFiles(site.root)

    def read_files(self) -> None:
        """Read every declared file once, so that no transaction has to wait for a large one."""
        for code in self._graph.codes.values():
            self._files.digests(code.reads)

    def key(self, node: Node, values: Mapping[str, Tree]) -> Keyed:
        """Return the key of a node whose inputs are all there.

        Raises:
            Invalid: it takes a part of a value that the value does not have.
        """
        reads = self._files.digests(self._graph.codes[node.code].reads)
        try:
            return keyed(node, values, reads, salt="" if node.cache else self._salt or "-")
        except LookupError as error:
            raise Invalid(
                "step-value-part",
                f"The step {node.id} is given a part that is not there.",
                where=node.where,
                why=f"what the step before it gave has no part {error}",
                fix="return a tuple or a dict with that part, or unpack fewer",
            ) from error

    def look(self, reader: Reader, node: Node, values: Mapping[str, Tree]) -> Hit | Keyed | None:
        """Return a node's hit, its key where nothing is kept, or None where its inputs are not all there."""
        if any(name not in values for name in node.needs()):
            return None
        key = self.key(node, values)
        outcome = outcomes.find(reader, key.key)
        if outcome is None:
            return key
        try:
            return Hit(keyed=key, outcome=outcome, value=outcomes.value_of(self._site.blobs, outcome))
        except NotFound:
            return key  # somebody removed a blob of it: it is made anew
        except Corrupt as error:
            error.add_note(f"outcome of the step {node.id}")
            raise

    def undeclared(self, node: Node, read: Sequence[str], loaded: Sequence[str]) -> tuple[str, ...]:
        """Return, in sentences, which files a step has read that it does not declare, and code that it does not name.

        Args:
            node: what ran.
            read: files of the project.
            loaded: code of the project that pickles have named.
        """
        code, notes = self._graph.codes[node.code], list[str]()
        found = sorted(set(read) - set(self._files.digests(code.reads)))
        if found:
            notes.append(f"it read {', '.join(found)}, which it does not declare: @step(reads={found!r})")
        unnamed = sorted(set(loaded) - set(code.parts))
        if unnamed and "the whole project" not in code.parts:
            notes.append(f"it loaded {', '.join(unnamed)} by a pickle, whose code it does not name: it does not count")
        return tuple(notes)

    def notes(self, node: Node) -> tuple[str, ...]:
        """Return what the fingerprint cannot see of a node's code, in sentences."""
        return notes_of(self._graph.codes[node.code].parts)

    def why(self, reader: Reader, node: Node, key: Keyed, run_id: str = "") -> tuple[str, ...]:
        """Return why a node has to run, against the newest other run that finished it."""
        last = outcomes.last_of(reader, self._graph.pipeline, node.id, run_id)
        before = None
        if last is not None:
            before = Before(code=last.code, parts=outcomes.parts_of(reader, last.code), facts=last.inputs)
        parts = self._graph.codes[node.code].parts
        return reasons(before, code=node.code, parts=parts, facts=key.facts, cache=node.cache)


def _planned(
    reader: Reader, judge: Judge, node: Node, found: Hit | Keyed | None, values: Mapping[str, Tree]
) -> Planned:
    if isinstance(found, Hit):
        verdict, why, key = HIT, ("nothing that it depends on has changed",), found.keyed.key
    elif found is None:
        missing = [name for name in node.needs() if name not in values]
        verdict, why, key = UNKNOWN, (f"it depends on what {', '.join(missing)} will give",), ""
    else:
        verdict, why, key = RUN, judge.why(reader, node, found), found.key
    return Planned(
        node=node.id,
        step=node.step,
        where=node.where,
        needs=node.needs(),
        verdict=verdict,
        why=why,
        key=key,
        notes=judge.notes(node),
    )
