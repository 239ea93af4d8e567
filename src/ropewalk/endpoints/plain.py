"""The plain form: `{"records": [{...}], "key", "time"}` or an Arrow table in, one object or row per record out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ropewalk.clock import from_iso
from ropewalk.endpoints import arrow
from ropewalk.endpoints.asking import Asked, Given
from ropewalk.endpoints.reply import Reply
from ropewalk.endpoints.served import Served
from ropewalk.errors import Invalid

RECORDS_MAX = 10_000
KEY_LETTERS_MAX = 256
# Columns of an Arrow table that say of each row what `key` and `time` say in JSON.
KEY_COLUMN, TIME_COLUMN = "$key", "$time"
Key = Annotated[str, Meta(max_length=KEY_LETTERS_MAX)]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body.

    Attributes:
        records: one object per row, a value per field of the model.
        key: what the split is sticky by, such as a customer's number: one for all records, or one for each.
        time: event time, ISO 8601, one for all or one for each; the arrival when it is left out.
    """

    records: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=RECORDS_MAX)]
    key: Key | list[Key | None] | None = None
    time: str | list[str | None] | None = None


_decoder = msgspec.json.Decoder(Ask)
_encoder = msgspec.json.Encoder()


def decode(body: bytes, now_us: int) -> Asked:
    """Return the rows of a plain request.

    Args:
        body: JSON.
        now_us: event time of records that say none.

    Raises:
        Invalid: it is not JSON, or not of this form; the error names the member.
    """
    try:
        ask = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(
            "request-malformed",
            "The request is not of the form that is served here.",
            where="body",
            why=str(error),
            fix='send {"records": [{...}]}; /openapi.json has an example',
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            "json-malformed", "The body is not JSON.", where="body", why=str(error), fix="send JSON in UTF-8"
        ) from error
    count = len(ask.records)
    keys = ask.key if isinstance(ask.key, list) else [ask.key] * count
    times = ask.time if isinstance(ask.time, list) else [ask.time] * count
    for name, values in (("key", keys), ("time", times)):
        if len(values) != count:
            raise Invalid(
                "request-malformed",
                f"There must be one {name} for all records, or one for each.",
                where=name,
                why=f"{len(values)} for {count} records",
                fix="send as many as records",
            )
    return Asked(ask.records, keys, None if ask.time is None else [_event(text, now_us) for text in times])


def _event(text: str | None, now_us: int) -> int:
    if text is None:
        return now_us
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "request-malformed",
            "An event time is not ISO 8601.",
            where="time",
            why=f"found {text[:60]!r}",
            fix="send a time such as 2013-09-01T06:00:00Z",
        ) from error


def decode_arrow(body: bytes, served: Served, now_us: int) -> Asked:
    """Return the rows of an Arrow table; columns `$key` and `$time` say what `key` and `time` say in JSON.

    Args:
        body: an IPC stream or file.
        served: the release whose fields are read.
        now_us: event time of rows that say none.

    Raises:
        Invalid: it is not Arrow's format, has no rows or too many, or a key or time is none.
    """
    fields = {field.name for field in served.inputs}
    columns = arrow.read(body, fields | {KEY_COLUMN, TIME_COLUMN}, RECORDS_MAX)
    keys, times = columns.pop(KEY_COLUMN, None), columns.pop(TIME_COLUMN, None)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not rows:
        raise Invalid("request-malformed", "The table has no rows.", where="body", fix="send at least one row")
    for key in keys or ():
        if key is not None and (not isinstance(key, str) or len(key) > KEY_LETTERS_MAX):
            raise Invalid(
                "request-malformed",
                "A key is not a text.",
                where=KEY_COLUMN,
                why=f"texts of at most {KEY_LETTERS_MAX} letters, or nulls",
            )
    events = None if times is None else [_event(None if one is None else str(one), now_us) for one in times]
    return Asked(rows, keys or [None] * len(rows), events)


def encode(given: Given) -> Reply:
    """Return the answer: the release above, one object per record in the order of the request.

    A record that another release answered (a key of its own) names that release itself.
    """
    served = given.warm.served
    predictions: list[dict[str, Any]] = []
    for at, row in enumerate(given.rows):
        one: dict[str, Any] = {"id": given.ids[at], **row}
        if given.releases[at] != served.release:
            one["release"] = given.releases[at]
        if given.warnings[at]:
            one["warnings"] = [
                {"field": problem.field, "rule": problem.rule, "message": problem.message}
                for problem in given.warnings[at]
            ]
        predictions.append(one)
    answered = {"release": served.release, "model_version": f"{served.model}/{served.version}"}
    # A bundle is what walks the line; what answers without one says so.
    marked = answered | ({} if served.bundle else {"unreleased": True})
    return Reply(_encoder.encode(marked | {"predictions": predictions}))


def encode_arrow(given: Given, media: bytes) -> Reply:
    """Return the answer as a table: `id`, `release`, the outputs, `warnings` and `error` as texts that may be null."""
    rows = given.rows
    columns: dict[str, list[Any]] = {"id": given.ids, "release": given.releases}
    kinds = {"id": "string", "release": "string", "warnings": "string", "error": "string"}
    for output in given.warm.served.outputs:
        columns[output.name] = [row.get(output.name) for row in rows]
        kinds[output.name] = output.type
    columns["warnings"] = [
        "; ".join(f"{problem.field} {problem.message}" for problem in problems) or None for problems in given.warnings
    ]
    errors = [row.get("error") for row in rows]
    columns["error"] = [f"{error['code']}: {error['what']}" if isinstance(error, dict) else None for error in errors]
    return Reply(arrow.write(columns, kinds, file=media == arrow.FILE), media)
