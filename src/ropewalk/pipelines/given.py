"""What the steps of a run are given when they run one by one: values that the run has, and else the cache."""

from __future__ import annotations

from ropewalk.errors import NotFound
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.graph import Graph, Node, Tree
from ropewalk.pipelines.outcomes import CACHED, DONE, StepRecord
from ropewalk.pipelines.plan import Hit, Judge
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Reader


def kept(reader: Reader, site: Site, row: StepRecord) -> tuple[Tree] | None:
    """Return the value that a run has of a step; None where it has none, or where somebody removed a blob of it."""
    outcome = outcomes.find(reader, row.key) if row.state in (DONE, CACHED) else None
    if outcome is None:
        return None
    try:
        return (outcomes.value_of(site.blobs, outcome),)
    except NotFound:
        return None


def rows_of(reader: Reader, run: Run) -> dict[str, StepRecord]:
    """Return what a run did with its steps, by their ids."""
    return {row.node: row for row in outcomes.steps_of(reader, run.id, running=True)}


def given(reader: Reader, site: Site, judge: Judge, graph: Graph, *, run: Run, node: Node) -> dict[str, Tree]:
    """Return the values that a step takes: those of this run, and, where it has none, what the cache has."""
    rows = rows_of(reader, run)
    found: dict[str, Tree] = {}
    for name in node.needs():
        value = kept(reader, site, rows[name]) if name in rows else None
        if value is not None:
            found[name] = value[0]
    if len(found) == len(node.needs()):
        return found
    for before in _ancestors(graph, node):
        if before.id not in found and isinstance(hit := judge.look(reader, before, found), Hit):
            found[before.id] = hit.value
    return found


def _ancestors(graph: Graph, node: Node) -> list[Node]:
    """Return all that a step depends on, in the order of recording."""
    wanted = set(node.needs())
    for before in reversed(graph.nodes):
        if before.id in wanted:
            wanted |= set(before.needs())
    return [before for before in graph.nodes if before.id in wanted]
