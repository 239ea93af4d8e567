"""A graph's calls on their way between processes: what many of them have in common is said once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ropewalk.pipelines.graph import Node
from ropewalk.records import fields_of

_OWN = ("id", "inputs")
_ALIKE = tuple(name for name in fields_of(Node) if name not in _OWN)


def told_calls(nodes: Iterable[Node]) -> dict[str, Any]:
    """Return calls as JSON: `kinds`, each a list of what calls have in common, and `calls`: `[id, kind, inputs]`."""
    kinds: dict[tuple[Any, ...], int] = {}
    calls: list[list[Any]] = []
    for node in nodes:
        kind = tuple(getattr(node, name) for name in _ALIKE)
        calls.append([node.id, kinds.setdefault(kind, len(kinds)), dict(node.inputs)])
    return {"kinds": [list(kind) for kind in kinds], "calls": calls}


def nodes_of(told: Mapping[str, Any]) -> tuple[Node, ...]:
    """Return the calls that were told; those of one kind share what they have in common."""
    kinds = [_kind(kind) for kind in told["kinds"]]
    calls: list[tuple[str, int, dict[str, Any]]] = told["calls"]
    return tuple(Node(id=name, inputs=inputs, **kinds[kind]) for name, kind, inputs in calls)


def _kind(values: list[Any]) -> dict[str, Any]:
    """Return what calls have in common by its names."""
    kind: dict[str, Any] = dict(zip(_ALIKE, values, strict=True))
    return kind | {"secrets": tuple(kind["secrets"])}
