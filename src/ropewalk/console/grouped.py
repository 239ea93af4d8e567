"""Which steps of a large graph share a box, so that it can be looked at: loops, calls of one function, stretches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ropewalk.console.layered import Drawn, Links, drawn, layers_of

SINGLES_MAX = 60
BOXES_MAX = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a drawing needs to know of a step.

    Attributes:
        id: the node's.
        name: of the function.
        needs: ids of the nodes that it waits for.
    """

    id: str
    name: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box.

    Attributes:
        key: its name in the drawing.
        title: what stands on it.
        steps: ids of the steps that it stands for, in the order they were recorded.
    """

    key: str
    title: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A graph as it is drawn.

    Attributes:
        boxes: in the order of their first steps.
        drawn: where they are.
        grouped: whether boxes stand for several steps.
    """

    boxes: tuple[Box, ...]
    drawn: Drawn
    grouped: bool


@lru_cache(maxsize=64)
def picture(calls: tuple[Call, ...]) -> Picture:
    """Return a graph as boxes and lines: one for each step, or for each group where there are many.

    Args:
        calls: in an order in which all that is needed comes first.
    """
    whole = {call.id: call.needs for call in calls}
    if len(calls) <= SINGLES_MAX:
        boxes = tuple(Box(key=call.id, title=call.id, steps=(call.id,)) for call in calls)
        return Picture(boxes=boxes, drawn=drawn(whole), grouped=False)
    names = {call.id: call.name for call in calls}
    layers = layers_of(whole)
    groups: dict[str, str] = {}
    for groups in _ways(whole, names, layers):
        if len(set(groups.values())) <= BOXES_MAX:
            break
    held: dict[str, list[str]] = {}
    for call in calls:
        held.setdefault(groups[call.id], []).append(call.id)
    boxes = tuple(Box(key=key, title=_title(steps, names), steps=tuple(steps)) for key, steps in held.items())
    return Picture(boxes=boxes, drawn=drawn(_between(whole, groups)), grouped=True)


def _ways(whole: Links, names: Mapping[str, str], layers: Mapping[str, int]) -> Iterator[dict[str, str]]:
    """Yield the group of each step, finer ways first; the last one gives few groups whatever the graph is."""
    yield {one: f"{names[one]} {layers[one]}" for one in whole}
    yield _by_function(whole, names)
    depth = max(layers.values()) + 1
    yield {one: f"{layers[one] * BOXES_MAX // depth}" for one in whole}


def _by_function(whole: Links, names: Mapping[str, str]) -> dict[str, str]:
    """Return groups by function; functions that lead to each other in turns, as in a loop, share one."""
    near: dict[str, list[str]] = {}
    for one, listed in whole.items():
        near.setdefault(names[one], [])
        for before in listed:
            if names[one] not in near.setdefault(names[before], []):
                near[names[before]].append(names[one])
    knot = {name: members[0] for members in _knots(near) for name in members}
    return {one: knot[names[one]] for one in whole}


def _knots(near: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the strongly connected parts of a graph (Tarjan, 1972), without recursion."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    held: list[str] = []
    inside: set[str] = set()
    found: list[list[str]] = []
    for root in near:
        work = [(root, iter(near[root]))] if root not in order else []
        while work:
            name, rest = work[-1]
            if name not in order:
                order[name] = low[name] = len(order)
                held.append(name)
                inside.add(name)
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == order[name]:
                    at = held.index(name)
                    found.append(sorted(held[at:], key=order.__getitem__))
                    inside -= set(held[at:])
                    del held[at:]
            elif following not in order:
                work.append((following, iter(near[following])))
            elif following in inside:
                low[name] = min(low[name], order[following])
    return found


def _between(whole: Links, groups: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what each group needs of others, groups in an order in which all that is needed comes first."""
    needs: dict[str, dict[str, None]] = {}
    for one, listed in whole.items():
        own = needs.setdefault(groups[one], {})
        own.update((groups[before], None) for before in listed if groups[before] != groups[one])
    ordered: dict[str, list[str]] = {}
    left = dict(needs)
    while left:
        ready = [key for key, before in left.items() if all(one in ordered for one in before)]
        assert ready, "groups are made so that no circle arises"
        for key in ready:
            ordered[key] = list(left.pop(key))
    return ordered


def _title(steps: Sequence[str], names: Mapping[str, str]) -> str:
    if len(steps) == 1:
        return steps[0]
    found = list(dict.fromkeys(names[one] for one in steps))
    more = f", … {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004 - two names have room
    return f"{', '.join(found[:2])}{more}"
