"""Which nodes could run now: those whose needs are all met, by priority and then in the order they were recorded."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ropewalk.pipelines.graph import Graph, Node


class Frontier:
    """Follows a walk over a graph in time that grows with its edges.

    A graph has up to 100,000 nodes: of each little is held here, and nothing of one that is met.

    Args:
        graph: what is walked.

    Attributes:
        left: how many nodes are not met.
        fresh: nodes that became ready and that nobody has looked at; who does takes them out.
    """

    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.nodes
        self._places = {node.id: place for place, node in enumerate(graph.nodes)}
        self._missing: dict[str, int] = {}
        self._next: dict[str, list[int]] = {}
        self._users: dict[str, int] = {}
        self._ready: set[str] = set()
        self._queue: list[tuple[int, int]] = []
        self.left = len(graph.nodes)
        self.fresh: list[Node] = []
        for place, node in enumerate(graph.nodes):
            needs = node.needs()
            for name in needs:
                self._next.setdefault(name, []).append(place)
                self._users[name] = self._users.get(name, 0) + 1
            if needs:
                self._missing[node.id] = len(needs)
            else:
                self._add(node)

    def _add(self, node: Node) -> None:
        self.give_back(node)
        self.fresh.append(node)

    def give_back(self, node: Node) -> None:
        """Make a node ready again that was taken."""
        self._ready.add(node.id)
        heapq.heappush(self._queue, (-node.priority, self._places[node.id]))

    def ready(self) -> Iterator[Node]:
        """Yield the nodes that could run, the most urgent first; those that are not taken stay ready."""
        passed: list[tuple[int, int]] = []
        try:
            while self._queue:
                entry = heapq.heappop(self._queue)
                node = self._nodes[entry[1]]
                if node.id in self._ready:
                    passed.append(entry)
                    yield node
        finally:
            for entry in passed:
                if self._nodes[entry[1]].id in self._ready:
                    heapq.heappush(self._queue, entry)

    def has(self, node: Node) -> bool:
        """Say whether a node is ready."""
        return node.id in self._ready

    def take(self, node: Node) -> None:
        """Take a ready node away: it runs, or its value is known."""
        self._ready.remove(node.id)

    def is_met(self, node: Node) -> bool:
        """Say whether a node's value has been known."""
        return node.id not in self._places

    def wanted(self, node: Node) -> bool:
        """Say whether a node that is not met waits for the value of this one."""
        return node.id in self._users

    def meet(self, node: Node) -> list[str]:
        """Note that a node's value is known; the nodes that this makes ready are fresh.

        Returns: the nodes whose values nobody needs any more.
        """
        self.left -= 1
        del self._places[node.id]
        for place in self._next.pop(node.id, ()):
            after = self._nodes[place]
            self._missing[after.id] -= 1
            if not self._missing[after.id]:
                del self._missing[after.id]
                self._add(after)
        spent: list[str] = []
        for name in node.needs():
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                spent.append(name)
        return spent
