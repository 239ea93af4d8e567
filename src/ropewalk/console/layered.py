"""A layered drawing of a graph without circles: where each box stands and how each line runs, always the same way.

After Sugiyama, Tagawa and Toda, 1981: longest paths give the layers, long lines get a place in every layer that they
pass, barycentres order each layer so that few lines cross, and each box stands as near to its neighbours as the order
allows (pooled adjacent violators).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

SWEEPS = 12
SETTLES = 8
WIDE, HIGH, ACROSS, DOWN, MARGIN = 196, 54, 58, 16, 6
PASSED = 10  # height of the place where a line passes a layer
Links = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A drawing, in units of its own.

    Attributes:
        width: of all of it.
        height: of all of it.
        places: left and top of each box.
        lines: from which box, to which, and the path as SVG says it.
    """

    width: float
    height: float
    places: Mapping[str, tuple[float, float]]
    lines: tuple[tuple[str, str, str], ...]


def layers_of(needs: Links) -> dict[str, int]:
    """Return the layer of each box from 0, after all that it needs; what needs nothing, before its first use.

    Args:
        needs: names that each box waits for, in an order in which all that is needed comes first.
    """
    layers: dict[str, int] = {}
    for name, before in needs.items():
        layers[name] = 1 + max((layers[one] for one in before), default=-1)
    first: dict[str, int] = {}
    for name, before in needs.items():
        for one in before:
            first[one] = min(first.get(one, layers[name]), layers[name])
    return {name: first[name] - 1 if not needs[name] and name in first else layer for name, layer in layers.items()}


def drawn(needs: Links) -> Drawn:
    """Return a drawing from left to right.

    Args:
        needs: names that each box waits for, in an order in which all that is needed comes first.
    """
    layers = layers_of(needs)
    rows, before, after = _proper(needs, layers)
    rows = _ordered(rows, before, after)
    tops = _settled(rows, before, after)
    heights = {name: HIGH if isinstance(name, str) else PASSED for row in rows for name in row}
    places = {name: (MARGIN + layer * (WIDE + ACROSS), tops[name]) for layer, row in enumerate(rows) for name in row}
    lines = tuple(
        (one, name, _path(one, name, layers, places, heights)) for name, listed in needs.items() for one in listed
    )
    return Drawn(
        width=2 * MARGIN + len(rows) * WIDE + max(0, len(rows) - 1) * ACROSS,
        height=max((tops[name] + heights[name] for name in tops), default=0.0) + MARGIN,
        places={name: place for name, place in places.items() if isinstance(name, str)},
        lines=lines,
    )


# A box is known by its name; where a line from a box passes a layer, by that name and the layer.
_Spot = str | tuple[str, int]
_Rows = list[list[_Spot]]
_Near = dict[_Spot, list[_Spot]]


def _proper(needs: Links, layers: Mapping[str, int]) -> tuple[_Rows, _Near, _Near]:
    """Return the layers with the places of long lines, and the neighbours of each before and after it.

    Lines that leave one box share their places: they part where they must.
    """
    rows: _Rows = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    before: _Near = {}
    after: _Near = {}

    def join(a: _Spot, b: _Spot) -> None:
        if b not in after.setdefault(a, []):
            after[a].append(b)
            before.setdefault(b, []).append(a)

    for name, listed in needs.items():
        rows[layers[name]].append(name)
        for one in listed:
            last: _Spot = one
            for layer in range(layers[one] + 1, layers[name]):
                here = (one, layer)
                if here not in before:
                    rows[layer].append(here)
                join(last, here)
                last = here
            join(last, name)
    return rows, before, after


def _ordered(rows: _Rows, before: _Near, after: _Near) -> _Rows:
    """Return the layers in the best of the orders that sweeping forth and back gives."""
    best, fewest = [list(row) for row in rows], _crossings(rows, after)
    now = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        if not fewest:
            break
        forth = sweep % 2 == 0
        near = before if forth else after
        for layer in range(1, len(now)) if forth else range(len(now) - 2, -1, -1):
            beside = {spot: place for place, spot in enumerate(now[layer - 1 if forth else layer + 1])}
            now[layer] = _by_barycentre(now[layer], near, beside)
        crossings = _crossings(now, after)
        if crossings < fewest:
            best, fewest = [list(row) for row in now], crossings
    return best


def _by_barycentre(row: list[_Spot], near: _Near, beside: Mapping[_Spot, int]) -> list[_Spot]:
    """Return a layer by the middle of each one's neighbours; whoever has none stays where he is."""
    middles: dict[_Spot, float] = {}
    for place, spot in enumerate(row):
        found = [beside[one] for one in near.get(spot, ()) if one in beside]
        middles[spot] = sum(found) / len(found) if found else float(place)
    return sorted(row, key=middles.__getitem__)


def _crossings(rows: _Rows, after: _Near) -> int:
    """Return how many pairs of lines between neighbouring layers cross."""
    count = 0
    for row, following in pairwise(rows):
        place = {spot: number for number, spot in enumerate(following)}
        seen: list[int] = []
        for spot in row:
            ends = sorted(place[one] for one in after.get(spot, ()) if one in place)
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _settled(rows: _Rows, before: _Near, after: _Near) -> dict[_Spot, float]:
    """Return the top of each, its order kept and its neighbours near."""
    heights = {spot: float(HIGH if isinstance(spot, str) else PASSED) for row in rows for spot in row}
    tops: dict[_Spot, float] = {}
    for row in rows:
        tops.update(zip(row, _stacked([heights[spot] for spot in row]), strict=True))
    for turn in range(SETTLES):
        forth = turn % 2 == 0
        for row in rows if forth else reversed(rows):
            wanted = [_wanted(spot, before if forth else after, tops, heights) for spot in row]
            tops.update(zip(row, _apart(wanted, [heights[spot] for spot in row]), strict=True))
    low = min(tops.values(), default=0.0)
    return {spot: round(top - low + MARGIN, 1) for spot, top in tops.items()}


def _wanted(spot: _Spot, near: _Near, tops: Mapping[_Spot, float], heights: Mapping[_Spot, float]) -> float:
    """Return the top at which a box would stand in the middle of its neighbours."""
    found = near.get(spot, ())
    if not found:
        return tops[spot]
    return sum(tops[one] + heights[one] / 2 for one in found) / len(found) - heights[spot] / 2


def _apart(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Return the tops nearest to those wanted (least squares) at which nothing overlaps and the order is kept."""
    offsets = _stacked(heights)
    pools: list[tuple[float, int]] = []
    for top, offset in zip(wanted, offsets, strict=True):
        mean, count = top - offset, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        pools.append((mean, count))
    level = [mean for mean, count in pools for _ in range(count)]
    return [one + offset for one, offset in zip(level, offsets, strict=True)]


def _stacked(heights: Sequence[float]) -> list[float]:
    """Return the tops of boxes that stand one below the other."""
    return list(accumulate((height + DOWN for height in heights[:-1]), initial=0.0)) if heights else []


def _path(
    one: str,
    name: str,
    layers: Mapping[str, int],
    places: Mapping[_Spot, tuple[float, float]],
    heights: Mapping[_Spot, float],
) -> str:
    """Return the path from the right of one box to the left of another, straight through the places on its way."""
    x, y = places[one][0] + WIDE, places[one][1] + heights[one] / 2
    words = [f"M{x:g} {y:g}"]
    spots: list[_Spot] = [*((one, layer) for layer in range(layers[one] + 1, layers[name])), name]
    for spot in spots:
        left, middle = places[spot][0], places[spot][1] + heights[spot] / 2
        bend = (left - x) / 2
        words.append(f"C{x + bend:g} {y:g} {left - bend:g} {middle:g} {left:g} {middle:g}")
        x, y = left, middle
        if not isinstance(spot, str):
            x = left + WIDE
            words.append(f"H{x:g}")
    return "".join(words)
