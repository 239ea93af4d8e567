"""A step over many items: one row with a bitmap, results in a few parts, each item's kept however the walk ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid, NotFound
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.graph import Node, Tree, is_list, is_map
from ropewalk.pipelines.keys import Keyed, base_of
from ropewalk.pipelines.trees import digest_of_tree
from ropewalk.records import frozen
from ropewalk.refs import canonical
from ropewalk.store.database import Reader, Transaction

ITEMS_MAX = 1_000_000
# A part of a map is as long as this takes: what a kill can cost, and how often a row is written.
PART_SECONDS = 1.0
PART_ITEMS_MAX = 2_000
PARTS_MAX = 64


@frozen
class MapRow:
    """What is kept of a map.

    Attributes:
        run_id: the run.
        node: the node.
        base: digest of all but the items: code, other inputs, files.
        items: JSON list of the items' digests, or the digest of the blob that holds it.
        total: how many there are.
        done: the bitmap, in hex: which have a result.
        parts: JSON list of packed lists of `[place, tree]`, few however many items there are.
        fence: the run's holder that wrote this.
        at_us: microseconds since the epoch.
    """

    run_id: str
    node: str
    base: str
    items: str
    total: int
    done: str
    parts: str
    fence: int
    at_us: int

    def places(self) -> int:
        """Return how many items have a result."""
        return int(self.done or "0", 16).bit_count()


class MapWalk:
    """One map while it runs.

    Args:
        node: what is called.
        keyed: its inputs, the list of items among them.
        blobs: where results are.

    Raises:
        Invalid: what it is given is no list, or a too long one.
    """

    def __init__(self, node: Node, keyed: Keyed, blobs: Bucket) -> None:
        self.node = node
        self.keyed = keyed
        self.base = base_of(node, keyed)
        self._blobs = blobs
        self.items = _items(keyed.inputs[node.over], node)
        self._items = outcomes.packed_list(blobs, (digest_of_tree(item) for item in self.items))
        self._done = 0
        self._results: dict[int, Tree] = {}
        self._parts: list[str] = []
        self._left = list(range(len(self.items) - 1, -1, -1))
        self._again: list[tuple[int, ...]] = []
        self._seconds = 0.0
        self._ran = 0

    def reuse(self, reader: Reader) -> int:
        """Take the results that earlier walks kept for the same items; return how many."""
        rows = reader.all(MapRow, "pipelines.maps_of_base", base=self.base)
        if not rows:
            return 0
        wanted: dict[str, list[int]] = {}
        for place, item in enumerate(self.items):
            wanted.setdefault(digest_of_tree(item), []).append(place)
        found: list[tuple[int, Tree]] = []
        for row in rows:
            for digest, tree in self._kept(row):
                found += [(place, tree) for place in wanted.pop(digest, ())]
        if found:
            self._keep(found)
            taken = {place for place, _ in found}
            self._left = [place for place in self._left if place not in taken]
        return len(found)

    def _kept(self, row: MapRow) -> Iterable[tuple[str, Tree]]:
        try:
            digests: list[str] = outcomes.unpacked(self._blobs, row.items)
            for part in json.loads(row.parts):
                for place, tree in outcomes.unpacked(self._blobs, part):
                    if all(self._blobs.has(blob) for blob in outcomes.blobs_of(tree)):
                        yield digests[place], tree
        except NotFound:
            return  # somebody removed a blob of it: those items are run anew

    def next(self, workers: int) -> tuple[int, ...]:
        """Take the places of the items that the next job runs; none when all are taken."""
        if self._again:
            return self._again.pop()
        each = self._seconds / self._ran if self._ran else PART_SECONDS
        count = int(PART_SECONDS / max(each, 1e-6)) if not self.node.timeout_seconds else 1
        share = -(-len(self._left) // (workers * 2))
        count = max(1, min(count, share, PART_ITEMS_MAX))
        return tuple(self._left.pop() for _ in range(min(count, len(self._left))))

    @property
    def waiting(self) -> bool:
        """Whether there are items that no job has."""
        return bool(self._left or self._again)

    @property
    def finished(self) -> int:
        """How many items have a result."""
        return len(self._results)

    def give_back(self, places: tuple[int, ...], *, first: bool) -> None:
        """Let items run again.

        Args:
            places: where the items are.
            first: whether the first of them is known to have failed: it runs alone then. Else one of them took its
                worker along, and halves show which.
        """
        cut = 1 if first else -(-len(places) // 2)
        self._again += [part for part in (places[cut:], places[:cut]) if part]

    def store(self, places: Iterable[int], trees: Iterable[Tree], seconds: float) -> None:
        """Keep the results of items that ran."""
        found = list(zip(places, trees, strict=False))
        self._seconds += seconds
        self._ran += len(found)
        if found:
            self._keep(found)

    def _keep(self, found: Iterable[tuple[int, Tree]]) -> None:
        for place, tree in found:
            self._results[place] = tree
            self._done |= 1 << place
        if len(self._parts) >= PARTS_MAX:
            self._parts, found = [], ((place, self._results[place]) for place in sorted(self._results))
        self._parts.append(outcomes.packed_list(self._blobs, found))

    @property
    def whole(self) -> bool:
        """Whether every item has a result."""
        return len(self._results) == len(self.items)

    def value(self) -> Tree:
        """Return the list of results in the order of the items."""
        return [self._results[place] for place in range(len(self.items))]

    def write(self, tx: Transaction, *, run_id: str, fence: int, at_us: int) -> None:
        """Write the one row."""
        tx.run(
            "pipelines.keep_map",
            run_id=run_id,
            node=self.node.id,
            base=self.base,
            items=self._items,
            total=len(self.items),
            done=f"{self._done:x}",
            parts=canonical(self._parts).decode(),
            fence=fence,
            at_us=at_us,
        )

    def message(self, places: Iterable[int]) -> Mapping[str, object]:
        """Return what a worker needs to run items: the fixed inputs once, and the items."""
        fixed = {name: tree for name, tree in self.keyed.inputs.items() if name != self.node.over}
        return {"inputs": fixed, "over": self.node.over, "items": [self.items[place] for place in places]}


def _items(tree: Tree, node: Node) -> list[Any]:
    found: Any = tree
    if is_map(tree):
        kinds = ("$tuple", "$set", "$frozenset")
        found = next((tree[kind] for kind in kinds if kind in tree), None)
        if found is None and "$dict" in tree:
            found = [key for key, _ in tree["$dict"]]
    if not is_list(found) or len(found) > ITEMS_MAX:
        raise Invalid(
            "map-no-list",
            f"The step {node.id} is mapped over what is no list.",
            where=node.where,
            why=f"wanted a list, tuple, set or dict with at most {ITEMS_MAX:,} items",
            fix="return a list from the step before it",
        )
    return found
