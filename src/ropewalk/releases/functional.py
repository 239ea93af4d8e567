"""The functional part of stage 7: the endpoint answers as its own document says, and as the golden rows say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ropewalk.models.golden import Golden
from ropewalk.models.manifest import Manifest
from ropewalk.releases.caller import Caller, Reply
from ropewalk.releases.described import Described
from ropewalk.releases.generated import EXACT, Tried, near
from ropewalk.releases.records import records_of

if TYPE_CHECKING:
    import polars as pl

ROWS_A_REQUEST = 100
OK, SERVER_ERROR = 200, 500
REFUSALS = range(400, 500)


def run_functional(caller: Caller, described: Described, manifest: Manifest, golden: Golden) -> tuple[Tried, ...]:
    """Run every functional test against an endpoint.

    Args:
        caller: a connection to it.
        described: its own document.
        manifest: the model that should be behind it.
        golden: rows with recorded answers.
    """
    return (
        Tried(name="the document's example is answered", problem=_example(caller, described, manifest)),
        Tried(name="golden rows get the recorded answers", problem=_golden(caller, described, manifest, golden)),
        Tried(name="an unknown field is refused by name", problem=_unknown(caller, described)),
        Tried(name="a missing field is refused by name", problem=_missing(caller, described, manifest)),
        Tried(name="a wrong type is refused by name", problem=_wrong_type(caller, described)),
        Tried(name="nonsense is refused and never a server error", problem=_nonsense(caller, described)),
        Tried(name="every page that the document names answers", problem=_pages(caller, described)),
    )


def predictions(reply: Reply, rows: int) -> tuple[list[dict[str, Any]], str]:
    """Return the predictions of an answer, or what is wrong with it."""
    if reply.status != OK:
        return [], f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"
    whole = reply.value()
    found: Any = cast("dict[str, Any]", whole).get("predictions") if isinstance(whole, dict) else None
    listed = cast("list[object]", found) if isinstance(found, list) else []
    if len(listed) != rows or not all(isinstance(one, dict) for one in listed):
        return [], f"{rows} predictions were wanted, found {str(listed)[:100]}"
    return cast("list[dict[str, Any]]", listed), ""


def _example(caller: Caller, described: Described, manifest: Manifest) -> str:
    reply = caller.ask("POST", described.path, described.example)
    found, problem = predictions(reply, len(described.example["records"]))
    if problem:
        return problem
    if str(reply.status) not in described.statuses:
        return f"status {reply.status} is not in the document"
    for one in found:
        absent = [output.name for output in manifest.signature.outputs if output.name not in one]
        if absent or "id" not in one:
            return f"an answer has no {', '.join(absent) or 'id'}: {str(one)[:200]}"
    ids = [one["id"] for one in found]
    return "" if len(set(ids)) == len(ids) else "two predictions have the same id"


def _golden(caller: Caller, described: Described, manifest: Manifest, golden: Golden) -> str:
    tolerance = max(EXACT, manifest.parity.tolerance if manifest.parity.passed else 0.0)
    allowed = manifest.parity.label_differences
    for start in range(0, golden.inputs.height, ROWS_A_REQUEST):
        part = golden.inputs[start : start + ROWS_A_REQUEST]
        reply = caller.ask("POST", described.path, {"records": list(records_of(part))})
        found, problem = predictions(reply, part.height)
        if problem:
            return problem
        recorded = golden.outputs[start : start + ROWS_A_REQUEST]
        for name, place, was, now in _different(recorded, found, tolerance):
            allowed -= name == "label"
            if name != "label" or allowed < 0:
                return f"row {start + place}: {name} was recorded as {was!r} and is answered as {now!r}"
    return ""


def _different(
    recorded: pl.DataFrame, found: list[dict[str, Any]], tolerance: float
) -> Iterator[tuple[str, int, Any, Any]]:
    for name in recorded.columns:
        for place, was in enumerate(recorded[name].to_list()):
            now = found[place].get(name)
            if not near(was, now, tolerance):
                yield name, place, was, now


def _refusal(reply: Reply, field: str) -> str:
    """Return what is wrong with a refusal that has to name a field."""
    if reply.status not in REFUSALS:
        return f"status {reply.status} for a bad {field}"
    if field not in reply.body.decode("utf-8", "replace"):
        return f"the refusal does not name {field}: {reply.body[:200].decode('utf-8', 'replace')}"
    return ""


def _unknown(caller: Caller, described: Described) -> str:
    record = {**described.example["records"][0], "no_such_field_here": 1}
    return _refusal(caller.ask("POST", described.path, {"records": [record]}), "no_such_field_here")


def _missing(caller: Caller, described: Described, manifest: Manifest) -> str:
    for field in manifest.signature.inputs:
        record = {name: value for name, value in described.example["records"][0].items() if name != field.name}
        reply = caller.ask("POST", described.path, {"records": [record]})
        if field.nullable and reply.status == OK:
            continue
        problem = _refusal(reply, field.name)
        if problem:
            return problem
    return ""


def _wrong_type(caller: Caller, described: Described) -> str:
    for name in described.example["records"][0]:
        record = {**described.example["records"][0], name: {"not": "a value"}}
        problem = _refusal(caller.ask("POST", described.path, {"records": [record]}), name)
        if problem:
            return problem
    return ""


def _nonsense(caller: Caller, described: Described) -> str:
    deep = b'{"records": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    for body in (b"", b"{", b"[]", b"null", b'{"records": []}', b'{"records": [1]}', b'{"records": "\xff"}', deep):
        reply = caller.ask("POST", described.path, body)
        if reply.status not in REFUSALS:
            return f"status {reply.status} for {body[:30]!r}"
    return ""


def _pages(caller: Caller, described: Described) -> str:
    for path in described.plain:
        reply = caller.ask("GET", path)
        if reply.status == 0 or reply.status >= SERVER_ERROR:
            return f"{path} answers {reply.status}"
    return ""
