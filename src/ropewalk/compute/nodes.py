"""What the nodes of a cluster have for jobs, and what our own jobs take of each."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.compute.pool import ONE, Needs
from ropewalk.errors import Invalid

_ROUNDING = 1e-9
_MANY = 1 << 20  # of what takes nothing, so many fit


class Nodes:
    """Counts what is taken of each node; what others run on the cluster is theirs to count.

    Args:
        whole: what each node has, by its id.
    """

    def __init__(self, whole: Mapping[str, Needs]) -> None:
        self._whole = dict(whole)
        self._taken: dict[object, tuple[str, Needs]] = {}

    @property
    def cpus(self) -> int:
        """Whole processors of all nodes together."""
        return int(sum(node.cpu for node in self._whole.values()))

    def renew(self, whole: Mapping[str, Needs]) -> None:
        """Learn which nodes there are now."""
        self._whole = dict(whole)

    def asked(self, needs: Needs) -> Needs:
        """Return what is asked of the cluster: who wants more processors than any fitting node has gets all of them.

        Raises:
            Invalid: no node has so much memory, or so many cards.
        """
        able = [node for node in self._whole.values() if _holds(node, needs)]
        if not able:
            memory = max((node.memory_bytes for node in self._whole.values()), default=0)
            cards = max((node.gpu for node in self._whole.values()), default=0)
            raise Invalid(
                "step-needs-too-much",
                "A step wants more than any node of the cluster has.",
                why=f"it wants {needs.memory_bytes >> 20} MiB and {needs.gpu} graphics cards, "
                f"the largest of {len(self._whole)} nodes have {memory >> 20} MiB and {cards}",
                fix="ask for less in @step(memory=..., gpu=...), or add such a node to the cluster",
            )
        cpu = min(needs.cpu, max(node.cpu for node in able))
        return Needs(cpu=cpu, memory_bytes=needs.memory_bytes, gpu=needs.gpu)

    def fits(self, needs: Needs = ONE) -> int:
        """Return how many jobs of such needs have room now.

        Raises:
            Invalid: they have none even alone.
        """
        asked = self.asked(needs)
        return sum(self._count(name, asked) for name, node in self._whole.items() if _holds(node, asked))

    def take(self, key: object, needs: Needs) -> None:
        """Note that something runs; on the emptiest node where it fits, until it is known where it is."""
        counts = {name: self._count(name, needs) for name, node in self._whole.items() if _holds(node, needs)}
        best = max(counts, key=lambda name: counts[name]) if counts else ""
        self._taken[key] = (best, needs)

    def moved(self, key: object, node: str) -> None:
        """Note on which node it is."""
        if key in self._taken:
            self._taken[key] = (node, self._taken[key][1])

    def give_back(self, key: object) -> None:
        """Note that it has ended."""
        self._taken.pop(key, None)

    def _count(self, name: str, needs: Needs) -> int:
        """Return how many more a node holds."""
        node = self._whole[name]
        taken = [held for where, held in self._taken.values() if where == name]
        counts = [_MANY]
        if needs.cpu:
            counts.append(int((node.cpu - sum(held.cpu for held in taken)) / needs.cpu + _ROUNDING))
        if needs.memory_bytes:
            counts.append((node.memory_bytes - sum(held.memory_bytes for held in taken)) // needs.memory_bytes)
        if needs.gpu:
            counts.append((node.gpu - sum(held.gpu for held in taken)) // needs.gpu)
        return max(0, min(counts))


def _holds(node: Needs, needs: Needs) -> bool:
    return needs.memory_bytes <= node.memory_bytes and needs.gpu <= node.gpu and node.cpu > 0
