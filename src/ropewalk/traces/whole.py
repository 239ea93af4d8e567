"""Traces with their spans, once all of these have come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.store.database import Reader
from ropewalk.traces import compile as composing
from ropewalk.traces.span import answered
from ropewalk.traces.trace import SIZE_STATS, SPANS_LOCATION, TRACKING_STORE, Info, by_ids, get, infos
from ropewalk.traces.values import loaded

TRACES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A trace with its spans.

    Attributes:
        info: what is known of it.
        spans: in MLflow's words, the root first, then by start.
    """

    info: Info
    spans: tuple[dict[str, Any], ...]


def get_whole(reader: Reader, trace: str, *, partial: bool) -> Whole | None:
    """Return a trace with its spans; None while some of them have not come.

    Args:
        reader: where the rows are.
        trace: its id.
        partial: return it with the spans that have come.

    Raises:
        NotFound: there is no such trace.
        Invalid: its client keeps the spans among its artifacts.
    """
    found = infos(reader, [get(reader, trace)])[0]
    if found.tags.get(SPANS_LOCATION) != TRACKING_STORE and not partial:
        raise Invalid(
            "trace-elsewhere",
            "The spans of this trace are not kept with it.",
            where=f"trace:{trace[:100]}",
            why="its client keeps them as the artifact traces.json",
            fix="mlflow.get_trace(...) reads it from there",
        )
    spans = _spans(reader, [found]).get(found.trace.number, ())
    return Whole(info=found, spans=spans) if partial or _all(found, len(spans)) else None


def several(reader: Reader, ids: Iterable[str], experiments: Sequence[str] | None = None) -> list[Whole]:
    """Return traces with their spans in the order of their ids, without those that are not whole or not here.

    Raises:
        Invalid: there are more than 100.
    """
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > TRACES_MAX:
        raise Invalid(
            "trace-invalid",
            "These are too many whole traces for one request.",
            why=f"found {len(wanted)}, at most {TRACES_MAX}",
            fix="ask for them in pieces",
        )
    found = infos(reader, by_ids(reader, wanted, experiments))
    spans = _spans(reader, found)
    return [
        Whole(info=one, spans=own) for one in found if (own := spans.get(one.trace.number, ())) and _all(one, len(own))
    ]


def _spans(reader: Reader, found: Sequence[Info]) -> dict[int, tuple[dict[str, Any], ...]]:
    listed: dict[int, list[dict[str, Any]]] = {}
    for row in composing.contents_of(reader, [one.trace.number for one in found]):
        listed.setdefault(int(str(row["trace"])), []).append(answered(str(row["content"])))
    return {number: tuple(spans) for number, spans in listed.items()}


def _all(info: Info, count: int) -> bool:
    """Say whether as many spans have come as the client told of."""
    told: object = loaded(info.metadata.get(SIZE_STATS, "{}"))
    stated: object = cast("dict[str, object]", told).get("num_spans", 0) if isinstance(told, dict) else 0
    return count > 0 and (not isinstance(stated, int) or count >= stated)
