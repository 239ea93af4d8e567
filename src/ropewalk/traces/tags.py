"""Tags of traces: names, limits, and those that the server alone writes."""

from __future__ import annotations

from ropewalk.errors import Invalid, NotFound
from ropewalk.runs.keys import check_tag_key
from ropewalk.store.database import Transaction
from ropewalk.traces.trace import ARTIFACTS, NAME, SPANS_LOCATION, TAG, get

KEY_LETTERS_MAX = 250
VALUE_LETTERS_MAX = 8000
OWN = frozenset((ARTIFACTS, SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"))


def tag_text(key: str, value: str) -> tuple[str, str]:
    """Return name and value of a tag or a piece of metadata; a value above 8000 characters is cut.

    Raises:
        Invalid: the name is empty or has more than 250 characters.
    """
    if not key or len(key) > KEY_LETTERS_MAX:
        raise Invalid(
            "trace-invalid",
            "A trace's tag or metadata cannot have this name.",
            where=key[:80],
            why=f"a name has 1 to {KEY_LETTERS_MAX} letters",
        )
    return key, value[:VALUE_LETTERS_MAX]


def set_tag(tx: Transaction, trace: str, key: str, value: str) -> None:
    """Give a trace a tag, or another value to one.

    Raises:
        NotFound: there is no such trace.
        Invalid: the name is none, or the server alone writes it.
    """
    _require_free(key)
    name, text = tag_text(check_tag_key(key), value)
    found = get(tx, trace)
    if name == NAME:
        tx.run("traces.set_name", number=found.number, name=text)
    else:
        tx.run("traces.set_value", trace=found.number, kind=TAG, key=name, value=text)


def delete_tag(tx: Transaction, trace: str, key: str) -> None:
    """Take a tag off a trace.

    Raises:
        NotFound: there is no such trace, or it has no such tag.
        Invalid: the server alone writes it.
    """
    _require_free(key)
    found = get(tx, trace)
    if key == NAME and found.name is not None:
        tx.run("traces.set_name", number=found.number, name=None)
    elif not tx.run("traces.delete_value", trace=found.number, kind=TAG, key=key):
        raise NotFound(
            "trace-tag-not-found",
            f"No trace tag with key {key[:80]!r}.",
            where=f"trace:{trace[:80]}",
            fix="mlflow.get_trace(...).info.tags lists them",
        )


def _require_free(key: str) -> None:
    if key in OWN:
        raise Invalid(
            "trace-tag-immutable",
            f"Tag {key!r} is immutable: the server alone writes it.",
            where=key,
            why="it says where spans and files are",
            fix="choose another name",
        )
