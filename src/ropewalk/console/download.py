"""The runs that a look at their table fits, as comma-separated values, written page by page while they are sent."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ropewalk.clock import iso
from ropewalk.console import cells, table
from ropewalk.console.compile import values_of
from ropewalk.console.query import Asked, asked_of
from ropewalk.console.words import YEAR_10000_US
from ropewalk.house import House
from ropewalk.runs import experiments, search
from ropewalk.runs.states import Run
from ropewalk.runs.view import status_of
from ropewalk.store.database import Reader

PAGE_ROWS = 1000
ATTRIBUTES = ("run_id", "run_name", "status", "start_time", "end_time", "user_id", "experiment_id", "source", "commit")
HEADERS = {
    "Content-Disposition": 'attachment; filename="runs.csv"',
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}
# A table program takes a text that begins so for a formula, and runs it.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def answer(house: House, request: Request) -> Response:
    """Return the file, whose first page is there before anything is answered, so that a wrong filter is an error.

    Raises:
        Invalid: the filter, the order or an experiment is none.
        NotFound: there is no such experiment.
    """
    asked = asked_of(request)
    with house.site.db.read() as rows:
        first = _page(rows, asked, "")
        columns = _columns(rows, asked, first.runs, every=request.query_params.get("every") == "1")
        head = _text([[word.removeprefix("attributes.") for word in columns]])
        begin = head + _text(_lines(rows, first.runs, columns))
    return StreamingResponse(_pieces(house, asked, columns, begin, first.token), media_type="text/csv", headers=HEADERS)


def _page(rows: Reader, asked: Asked, token: str) -> search.Page:
    numbers = tuple(experiments.parse_id(item) for item in asked.experiments) or None
    return search.search(
        rows,
        asked.text,
        experiments=numbers,
        orders=asked.order_by(),
        view=asked.view,
        count=PAGE_ROWS,
        token=token,
    )


def _columns(rows: Reader, asked: Asked, first: Sequence[Run], *, every: bool) -> list[str]:
    own = [f"attributes.{word}" for word in ATTRIBUTES]
    if every:
        groups = table.choices(rows, asked, table.listed(rows, asked))
        shown = [str(item["id"]) for group in groups for item in group["items"]]
    else:
        shown = list(asked.show) or cells.usual(rows, first, many=True)
    return [*own, *(word for word in shown if not word.startswith("attributes."))]


def _pieces(house: House, asked: Asked, columns: Sequence[str], begin: str, token: str) -> Iterator[str]:
    """Yield the file; each page is one look at the store, so that a slow reader holds nothing."""
    yield begin
    while token:
        with house.site.db.read() as rows:
            page = _page(rows, asked, token)
            text = _text(_lines(rows, page.runs, columns))
        token = page.token
        yield text


def _lines(rows: Reader, runs: Sequence[Run], columns: Sequence[str]) -> Iterator[list[str]]:
    values = values_of(rows, [run.number for run in runs], columns, said=repr)
    for run in runs:
        yield [_cell(run, word, values) for word in columns]


def _cell(run: Run, word: str, values: dict[tuple[str, int, str], str]) -> str:
    scope, _, key = word.partition(".")
    if scope == "attributes":
        return harmless(_attribute(run, key))
    text = values.get((scope, run.number, key), "")
    return text if scope == "metrics" else harmless(text)


def _attribute(run: Run, key: str) -> str:
    said = {
        "run_id": run.id,
        "run_name": run.name,
        "status": status_of(run.state),
        "start_time": _time(run.started_us),
        "end_time": _time(run.ended_us),
        "user_id": run.user_name,
        "experiment_id": str(run.experiment),
        "source": run.source_name,
        "commit": run.commit_sha,
    }
    return said[key]


def _time(at_us: int | None) -> str:
    return "" if not at_us else iso(at_us) if 0 < at_us < YEAR_10000_US else str(at_us)


def harmless(text: str) -> str:
    """Return a text that no table program takes for a formula: a quote stands before one, unless it is a number."""
    if not _FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _text(lines: Sequence[Sequence[str]] | Iterator[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()
