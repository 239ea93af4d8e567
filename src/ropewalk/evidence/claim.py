"""A kind of fact that stands in rows and in the ledger, and a row that is not what the ledger says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.ledger.chain import Entry
from ropewalk.store.database import Row

Words = Mapping[str, Any]
Said = Callable[[Entry, Words], Words]
GONE = "gone"


def name_of(entry: Entry) -> str:
    """Return what an entry is about, without its kind."""
    return entry.subject.partition(":")[2]


def as_it_is(row: Row) -> Words:
    """Return a row's words."""
    return row


def plain(entry: Entry, facts: Words) -> Words:
    """Return what an entry says: its body, `id` for what it is about, `actor` for who did it."""
    return {**facts, "id": name_of(entry), "actor": entry.actor}


def state_of(words: Mapping[str, str]) -> Said:
    """Return what reads a state out of the kind of an entry; `words` are the kinds that call it otherwise."""

    def said(entry: Entry, _facts: Words) -> Words:
        word = entry.kind.partition(".")[2]
        return {"id": name_of(entry), "state": words.get(word, word)}

    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A kind of fact that stands in rows and in the ledger.

    Attributes:
        what: how people call it.
        query: gives the rows; columns have the names of `key` and `words`.
        kinds: entries that speak of it; the newest about a key counts.
        key: which words name the fact.
        words: which words are compared.
        said: turns an entry and its body into those words; with a true word `GONE` the row was taken away.
        read: turns a row into those words.
        known: whether the ledger has to know every row; entries of older releases do not say everything.
    """

    what: str
    query: str
    kinds: tuple[str, ...]
    key: tuple[str, ...]
    words: tuple[str, ...]
    said: Said = plain
    read: Callable[[Row], Words] = as_it_is
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what the ledger says.

    Attributes:
        what: the kind of fact and its key.
        why: what is wrong.
        seq: the ledger's entry, 0 when there is none.
    """

    what: str
    why: str
    seq: int


def kinds_of(room: str, *words: str) -> tuple[str, ...]:
    """Return the kinds of entries of a room."""
    return tuple(f"{room}.{word}" for word in words)
