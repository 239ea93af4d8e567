"""What the checks of a store share: rows to write, and how they are read back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from ropewalk.errors import RopewalkError
from ropewalk.store.database import Database, Reader, Transaction, Value

OpenStore = Callable[[], Database]
THREADS = 16
WAIT_SECONDS = 30.0


@contextmanager
def opened(open_store: OpenStore) -> Generator[Database]:
    """Open the store, and close it whatever comes."""
    store = open_store()
    try:
        yield store
    finally:
        store.close()


def insert(tx: Transaction, subject: str, at_us: int = 0, body: str = "{}") -> int:
    """Write one row; return how many were changed."""
    return tx.run("events.insert", at_us=at_us, kind="check", subject=subject, body=body)


def events(reader: Reader) -> list[dict[str, Value]]:
    """Return all rows in the order of their numbers."""
    return [dict(row) for row in reader.rows("events.after", seq=0, count=1_000_000)]  # type: ignore[misc]


def subjects(store: Database) -> list[str]:
    """Return the names of all rows in order."""
    with store.read() as reader:
        return [str(row["subject"]) for row in events(reader)]


def code_of(work: Callable[[], object]) -> str:
    """Return the code of the error that a work raises, or an empty text."""
    try:
        work()
    except RopewalkError as error:
        return error.code
    return ""


class PlannedError(Exception):
    """What a work raises on purpose."""


def fail_after(subject: str) -> Callable[[Transaction], None]:
    """Return a work that writes a row and then fails."""

    def work(tx: Transaction) -> None:
        insert(tx, subject)
        raise PlannedError

    return work
