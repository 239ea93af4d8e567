"""What a trace's spans say of the whole: previews of request and answer, tokens and cost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.traces.translate import TOKENS, whole
from ropewalk.traces.values import legal, loaded

PREVIEW_LETTERS = 1000
COSTS = ("input_cost", "output_cost", "total_cost")
TOKEN_KEYS = (*TOKENS, "cache_creation_input_tokens_above_1hr")
ALWAYS = TOKENS[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A span as far as tokens and cost go.

    Attributes:
        id: of the span.
        parent: of the span's parent, or None.
        usage: tokens by name, or None when the span says nothing.
        cost: dollars by name, or None when the span says nothing.
    """

    id: str
    parent: str | None
    usage: Mapping[str, int] | None
    cost: Mapping[str, float] | None


def usage_of(value: object) -> dict[str, int] | None:
    """Return the token counts of a span's attribute; None for what is no mapping, without what is no count."""
    if isinstance(value, str):
        value = loaded(value)
    if not isinstance(value, dict):
        return None
    told = cast("dict[str, object]", value)
    return {name: count for name in TOKEN_KEYS if (count := whole(told.get(name))) is not None}


def cost_of(value: object) -> dict[str, float] | None:
    """Return the dollars of a span's attribute; None for what is no mapping, without what is not finite."""
    if isinstance(value, str):
        value = loaded(value)
    if not isinstance(value, dict):
        return None
    told = cast("dict[str, object]", value)
    return {name: dollars for name in COSTS if (dollars := finite(told.get(name))) is not None}


def finite(value: object) -> float | None:
    """Return a number as a finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def total_usage(nodes: Iterable[Node]) -> dict[str, int] | None:
    """Return the tokens of a whole trace: below a span that told its sum nothing is counted again."""
    found = _total([(node.id, node.parent, node.usage) for node in nodes])
    if found is None:
        return None
    return {name: int(found.get(name, 0)) for name in TOKEN_KEYS if name in ALWAYS or name in found}


def total_cost(nodes: Iterable[Node]) -> dict[str, float] | None:
    """Return the dollars of a whole trace, counted as tokens are."""
    found = _total([(node.id, node.parent, node.cost) for node in nodes])
    return None if found is None else {name: float(found.get(name, 0.0)) for name in COSTS}


def _total(nodes: list[tuple[str, str | None, Mapping[str, float] | None]]) -> dict[str, float] | None:
    """Sum what the uppermost telling span of each branch says; a circle of parents counts nowhere."""
    known = {node for node, _, _ in nodes}
    children: dict[str, list[int]] = {}
    walk: list[int] = []
    for place, (_, parent, _) in enumerate(nodes):
        if parent is not None and parent in known:
            children.setdefault(parent, []).append(place)
        else:
            walk.append(place)
    totals: dict[str, float] = {}
    told = False
    while walk:
        node, _, values = nodes[walk.pop()]
        if values is None:
            walk.extend(children.get(node, ()))
            continue
        told = True
        for name, value in values.items():
            totals[name] = totals.get(name, 0) + value
    return totals if told else None


def preview(text: str | None, role: str) -> str | None:
    """Return the beginning of a request or an answer, at most 1000 characters; of a chat the last word of `role`.

    Args:
        text: JSON text of the root span's inputs or outputs.
        role: `user` or `assistant`.
    """
    if text is None:
        return None
    said = _words(loaded(text), role) or text
    said = legal(said.replace("\0", "\ufffd"))
    return said if len(said) <= PREVIEW_LETTERS else said[: PREVIEW_LETTERS - 3] + "..."


def _words(value: object, role: str) -> str:
    messages = _messages(value)
    if not messages:
        return ""
    chosen = next((one for one in reversed(messages) if one.get("role") == role), messages[-1])
    content = chosen.get("content")
    if isinstance(content, str):
        return content
    for part in cast("list[object]", content) if isinstance(content, list) else []:
        if isinstance(part, str):
            return part
        if isinstance(part, dict) and cast("dict[str, object]", part).get("type") in ("text", "output_text"):
            said = cast("dict[str, object]", part).get("text")
            return said if isinstance(said, str) else ""
    return ""


def _messages(value: object, depth: int = 0) -> list[dict[str, Any]]:
    """Return the messages of what chat clients send and get: OpenAI's two forms, also below `request`."""
    if not isinstance(value, dict):
        return []
    told = cast("dict[str, Any]", value)
    choices = told.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and not told.get("messages"):
        return _spoken([cast("dict[str, Any]", choices[0]).get("message")])
    for name in ("messages", "input", "output"):
        if isinstance(told.get(name), list) and told[name]:
            return _spoken(told[name])
    return _messages(told["request"], depth + 1) if "request" in told and depth < 4 else []  # noqa: PLR2004 - enough


def _spoken(listed: list[Any]) -> list[dict[str, Any]]:
    return [one for one in listed if isinstance(one, dict) and "role" in one and "content" in one]


def written(values: Mapping[str, float] | None) -> str | None:
    """Return totals as the JSON text that MLflow's metadata holds; None for nothing."""
    return json.dumps(dict(values)) if values else None
