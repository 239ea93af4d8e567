"""What a person asks of the table of runs, read from the address and written into addresses again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

PATH = "/runs"
ACTIVE, DELETED = "active", "deleted"
VIEWS = (ACTIVE, DELETED)
SCOPES = ("metrics", "params", "tags", "attributes")
SHOWN_MAX = 40
# Written by the browser itself, in static/table.js.
COLUMNS = "ropewalk-columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One look at the table.

    Attributes:
        experiments: ids of experiments; empty for all.
        text: the filter.
        sort: the column that orders, such as `metrics.auc`; empty for the start, newest first.
        up: whether the smallest comes first.
        view: `active` or `deleted`.
        show: columns by id; empty for the usual ones.
        named: part of a name that listed experiments contain.
        after: token of the page before.
    """

    experiments: tuple[str, ...] = ()
    text: str = ""
    sort: str = ""
    up: bool = False
    view: str = ACTIVE
    show: tuple[str, ...] = ()
    named: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryParams) -> Asked:
        """Return what an address asks; a view or a column of no known kind counts as not said."""
        shown = [word for word in query.getlist("show") if _is_column(word)]
        sort = query.get("sort", "")
        return cls(
            experiments=tuple(dict.fromkeys(query.getlist("experiment"))),
            text=query.get("filter", "").strip(),
            sort=sort if _is_column(sort) else "",
            up=query.get("up") == "1",
            view=DELETED if query.get("view") == DELETED else ACTIVE,
            show=tuple(dict.fromkeys(shown))[:SHOWN_MAX],
            named=query.get("named", "").strip()[:500],
            after=query.get("after", ""),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Return names and values of the address, defaults left out."""
        single = (("filter", self.text), ("sort", self.sort), ("up", "1" if self.up else ""), ("named", self.named))
        return [
            *(("experiment", item) for item in self.experiments),
            *((name, value) for name, value in single if value),
            *([("view", self.view)] if self.view != ACTIVE else []),
            *(("show", item) for item in self.show),
            *([("after", self.after)] if self.after else []),
        ]

    @property
    def words(self) -> str:
        """This look without its page, as a form carries it."""
        return urlencode(self.but().pairs())

    @property
    def place(self) -> str:
        """Under which word a browser remembers columns: the experiments that are looked at."""
        return ",".join(self.experiments)

    def but(self, **changes: Any) -> Asked:  # noqa: ANN401 - any of the fields
        """Return this look with changes, at its first page unless the page is what changes."""
        return replace(self, **{"after": "", **changes})

    def address(self, path: str = PATH) -> str:
        """Return the address of this look."""
        pairs = self.pairs()
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def order_by(self) -> tuple[str, ...]:
        """Return MLflow's words for the order; the start follows by itself."""
        if not self.sort:
            return ()
        scope, _, key = self.sort.partition(".")
        return (f"{scope}.{quoted(key)} {'ASC' if self.up else 'DESC'}",)


def asked_of(request: Request) -> Asked:
    """Return what a request asks; columns that its browser remembers for these experiments where it names none."""
    asked = Asked.read(request.query_params)
    if asked.show or not request.cookies.get(COLUMNS):
        return asked
    try:
        known = json.loads(unquote(request.cookies[COLUMNS]))
        kept = [word for word in known[asked.place] if isinstance(word, str) and _is_column(word)]
    except (ValueError, RecursionError, LookupError, TypeError):
        return asked
    return replace(asked, show=tuple(dict.fromkeys(kept))[:SHOWN_MAX])


def quoted(key: str) -> str:
    """Return a key as the grammar takes it, in backticks unless it holds one."""
    return f'"{key}"' if "`" in key else f"`{key}`"


def _is_column(word: str) -> bool:
    scope, dot, key = word.partition(".")
    return bool(dot and key and scope in SCOPES)
