"""The spans of an answer: the request, and in it each release that answered rows of it."""

from __future__ import annotations

from collections import Counter

from ropewalk.endpoints.asking import Given
from ropewalk.endpoints.guard import REQUEST
from ropewalk.endpoints.problems import Scope
from ropewalk.endpoints.requests import route_of
from ropewalk.telemetry.context import PARENT, Parent, new_span, new_trace
from ropewalk.telemetry.spans import INSIDE, SERVER, Span, Spans, Value

_FAULT = 500


def tell_of(
    spans: Spans, scope: Scope, *, endpoint: str, status: int, given: Given | None, began_us: int, now_us: int
) -> None:
    """Tell of a request for predictions that was answered, if its trace is wanted.

    Args:
        spans: who is told.
        scope: of the request.
        endpoint: whom it asked.
        status: of the answer.
        given: what was answered; None where nothing was.
        began_us: when its head had come.
        now_us: when the answer was made.
    """
    parent: Parent | None = scope.get(PARENT)
    trace = parent.trace if parent else new_trace()
    if not spans.wants(trace, parent):
        return
    route = route_of(scope)
    attributes: dict[str, Value] = {
        "http.request.method": str(scope["method"]),
        "http.route": route,
        "url.path": str(scope["path"])[:400],
        "http.response.status_code": status,
        "ropewalk.endpoint": endpoint,
        "ropewalk.request_id": str(scope.get(REQUEST, "")),
    }
    whole = Span(
        name=f"{scope['method']} {route}",
        kind=SERVER,
        trace=trace,
        id=new_span(),
        parent=parent.span if parent else "",
        begun_us=began_us,
        ended_us=now_us,
        attributes=attributes,
        failure=f"status {status}" if status >= _FAULT else "",
    )
    spans.tell((whole, *_answers(whole, given)))


def _answers(whole: Span, given: Given | None) -> list[Span]:
    """Return a span for each release that answered rows, with the first of its prediction ids."""
    if given is None:
        return []
    first: dict[str, str] = {}
    for number, release in zip(given.ids, given.releases, strict=True):
        if release:
            first.setdefault(release, number)
    rows = Counter(given.releases)
    return [
        Span(
            name=f"predict {release}",
            kind=INSIDE,
            trace=whole.trace,
            id=new_span(),
            parent=whole.id,
            begun_us=given.begun_us,
            ended_us=whole.ended_us,
            attributes={
                "ropewalk.release": release,
                "ropewalk.rows": rows[release],
                "ropewalk.prediction_id": number,
            },
        )
        for release, number in first.items()
    ]
