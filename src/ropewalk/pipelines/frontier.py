"""Which nodes could run now: those whose needs are all met, by priority and then in the order they were recorded."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ropewalk.pipelines.graph import Graph, Node


class Frontier:
    """Follows a walk over a graph in time that grows with its edges.

    Args:
        graph: what is walked.
    """

    def __init__(self, graph: Graph) -> None:
        self._missing = {node.id: len(node.needs()) for node in graph.nodes}
        self._ranks = {node.id: (-node.priority, place) for place, node in enumerate(graph.nodes)}
        self._next: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.needs():
                self._next.setdefault(name, []).append(node)
        self._ready: dict[str, Node] = {}
        self._queue: list[tuple[int, int, str]] = []
        self.left = len(graph.nodes)
        self.fresh: list[Node] = []
        for node in graph.nodes:
            if not self._missing[node.id]:
                self._add(node)

    def _add(self, node: Node) -> None:
        self.give_back(node)
        self.fresh.append(node)

    def give_back(self, node: Node) -> None:
        """Make a node ready again that was taken."""
        self._ready[node.id] = node
        heapq.heappush(self._queue, (*self._ranks[node.id], node.id))

    def ready(self) -> Iterator[Node]:
        """Yield the nodes that could run, the most urgent first; those that are not taken stay ready."""
        passed: list[tuple[int, int, str]] = []
        try:
            while self._queue:
                entry = heapq.heappop(self._queue)
                node = self._ready.get(entry[2])
                if node is not None:
                    passed.append(entry)
                    yield node
        finally:
            for entry in passed:
                if entry[2] in self._ready:
                    heapq.heappush(self._queue, entry)

    def has(self, node: Node) -> bool:
        """Say whether a node is ready."""
        return node.id in self._ready

    def take(self, node: Node) -> None:
        """Take a ready node away: it runs, or its value is known."""
        del self._ready[node.id]

    def meet(self, node: Node) -> None:
        """Note that a node's value is known; the nodes that this makes ready are fresh."""
        self.left -= 1
        for after in self._next.get(node.id, ()):
            self._missing[after.id] -= 1
            if not self._missing[after.id]:
                self._add(after)
