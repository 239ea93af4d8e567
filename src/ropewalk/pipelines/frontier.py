"""Which nodes could run now: those whose needs are all met, in the order they were recorded."""

from __future__ import annotations

from ropewalk.pipelines.graph import Graph, Node


class Frontier:
    """Follows a walk over a graph in time that grows with its edges.

    Args:
        graph: what is walked.
    """

    def __init__(self, graph: Graph) -> None:
        self._missing = {node.id: len(node.needs()) for node in graph.nodes}
        self._next: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.needs():
                self._next.setdefault(name, []).append(node)
        self.ready = {node.id: node for node in graph.nodes if not self._missing[node.id]}
        self.left = len(graph.nodes)

    def take(self, node: Node) -> None:
        """Take a ready node away: it runs, or its value is known."""
        del self.ready[node.id]

    def give_back(self, node: Node) -> None:
        """Make a node ready again that was taken."""
        self.ready[node.id] = node

    def meet(self, node: Node) -> list[Node]:
        """Note that a node's value is known; return the nodes that this makes ready."""
        self.left -= 1
        found: list[Node] = []
        for after in self._next.get(node.id, ()):
            self._missing[after.id] -= 1
            if not self._missing[after.id]:
                self.ready[after.id] = after
                found.append(after)
        return found
