"""What is kept of a run's walk for whoever looks at it later: its graph's calls, and the attempts that failed."""

from __future__ import annotations

import json
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.attempts import Begun
from ropewalk.pipelines.graph import Graph, Node
from ropewalk.records import fields_of, frozen, usual_of
from ropewalk.store.database import Reader, Transaction

_USUAL = usual_of(Node)
_NAMES = fields_of(Node)


@frozen
class Tried:
    """An attempt at a step that failed, after which the step was tried again.

    Attributes:
        node: the step.
        attempt: from 1.
        started_us: microseconds since the epoch.
        ended_us: likewise.
        error: JSON of the failure.
    """

    node: str
    attempt: int
    started_us: int
    ended_us: int
    error: str

    def failure(self) -> dict[str, Any]:
        """Return what went wrong."""
        return json.loads(self.error)


def packed_nodes(blobs: Bucket, graph: Graph) -> str:
    """Return a graph's calls as a row keeps them; a long text goes among the blobs, where the same graph lies once."""
    return outcomes.packed_list(blobs, (_plain(node) for node in graph.nodes))


def _plain(node: Node) -> dict[str, Any]:
    said = {name: getattr(node, name) for name in _NAMES}
    return {name: value for name, value in said.items() if name not in _USUAL or value != _USUAL[name]}


def nodes_of(reader: Reader, blobs: Bucket, run_id: str) -> tuple[Node, ...]:
    """Return the calls of a run's graph in the order they were recorded; none for a run that kept none.

    Raises:
        NotFound: the blob that holds them is gone.
    """
    text = reader.value("pipelines.nodes_of_run", run_id=run_id)
    if text is None:
        return ()
    found: list[dict[str, Any]] = outcomes.unpacked(blobs, str(text))
    return tuple(_node(item) for item in found)


def _node(item: dict[str, Any]) -> Node:
    words: dict[str, Any] = {**item, "secrets": tuple(item.get("secrets", ()))}
    return Node(**words)


def keep_attempt(tx: Transaction, run_id: str, begun: Begun, *, ended_us: int, error: str) -> None:
    """Write down an attempt that failed and is followed by another one."""
    tx.run(
        "pipelines.keep_attempt",
        run_id=run_id,
        node=begun.node.id,
        attempt=begun.attempt,
        started_us=begun.started_us,
        ended_us=ended_us,
        error=error,
    )


def tried(reader: Reader, run_id: str, node: str = "", count: int = 1000) -> list[Tried]:
    """Return attempts of a run that others followed: all in time, or those of one step, newest first."""
    if node:
        return reader.all(Tried, "pipelines.attempts_of_step", run_id=run_id, node=node, count=count)
    return reader.all(Tried, "pipelines.attempts_of_run", run_id=run_id, count=count)
