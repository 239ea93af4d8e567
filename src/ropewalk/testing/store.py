"""Conformance of a store: what every adapter of the database port must do, as checks that anybody can run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ropewalk.errors import RopewalkError
from ropewalk.store.database import Database, Reader, Transaction, Value

OpenStore = Callable[[], Database]
THREADS = 16
WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """One behaviour.

    Attributes:
        name: the behaviour as a sentence.
        run: raises AssertionError when the store does not behave so. It is given a function that opens the same,
            freshly migrated store at each call, in this process or in another one (so it can be pickled).
    """

    name: str
    run: Callable[[OpenStore], None]


def store_checks() -> tuple[StoreCheck, ...]:
    """Return every behaviour; each needs a fresh store."""
    return tuple(
        StoreCheck(name=check.__name__.removeprefix("_").replace("_", " "), run=check)
        for check in (
            _returns_what_the_work_returned,
            _undoes_all_of_a_work_that_fails,
            _keeps_the_others_of_a_group_when_one_fails,
            _commits_everything_of_sixteen_threads,
            _refuses_a_row_that_breaks_a_constraint,
            _does_a_keyed_work_once,
            _does_a_keyed_work_once_over_processes,
            _forgets_the_key_of_a_work_that_failed,
            _keeps_a_reader_on_one_view,
            _never_shows_half_a_transaction,
            _changes_its_version_when_this_process_commits,
            _changes_its_version_when_another_process_commits,
            _keeps_texts_and_numbers_as_they_were,
            _gives_rows_in_every_shape,
            _finishes_what_was_accepted_before_it_closes,
            _refuses_writes_after_it_was_closed,
            _loses_no_acknowledged_write_at_kill_9,
            _opens_for_many_at_once,
        )
    )


@contextmanager
def _opened(open_store: OpenStore) -> Generator[Database]:
    store = open_store()
    try:
        yield store
    finally:
        store.close()


def _insert(tx: Transaction, subject: str, at_us: int = 0, body: str = "{}") -> int:
    return tx.run("events.insert", at_us=at_us, kind="check", subject=subject, body=body)


def _events(reader: Reader) -> list[dict[str, Value]]:
    return [dict(row) for row in reader.rows("events.after", seq=0, count=1_000_000)]  # type: ignore[misc]


def _subjects(store: Database) -> list[str]:
    with store.read() as reader:
        return [str(row["subject"]) for row in _events(reader)]


def _code_of(work: Callable[[], object]) -> str:
    """Return the code of the error that a work raises, or an empty text."""
    try:
        work()
    except RopewalkError as error:
        return error.code
    return ""


class _PlannedError(Exception):
    """What a work raises on purpose."""


def _fail_after(subject: str) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        _insert(tx, subject)
        raise _PlannedError

    return work


def _returns_what_the_work_returned(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        assert store.write(lambda tx: ("answer", _insert(tx, "a"))) == ("answer", 1)
        assert _subjects(store) == ["a"]


def _undoes_all_of_a_work_that_fails(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        raised = False
        try:
            store.write(_fail_after("gone"))
        except _PlannedError:
            raised = True
        assert raised, "the work's own exception was swallowed"
        store.write(lambda tx: _insert(tx, "kept"))
        assert _subjects(store) == ["kept"]


def _keeps_the_others_of_a_group_when_one_fails(open_store: OpenStore) -> None:
    """The first work holds the writer until all others wait, so that they form one group."""
    with _opened(open_store) as store, ThreadPoolExecutor(THREADS) as pool:
        entered, release = threading.Event(), threading.Event()

        def hold(_: Transaction) -> None:
            entered.set()
            assert release.wait(WAIT_SECONDS)

        first = pool.submit(store.write, hold)
        assert entered.wait(WAIT_SECONDS)
        works = [
            pool.submit(store.write, _fail_after(f"gone-{place}"))
            if place % 3 == 0
            else pool.submit(store.write, lambda tx, place=place: _insert(tx, f"kept-{place}"))
            for place in range(12)
        ]
        release.set()
        first.result(WAIT_SECONDS)
        failed = [work.exception(WAIT_SECONDS) is not None for work in works]
        assert failed == [place % 3 == 0 for place in range(12)]
        assert sorted(_subjects(store)) == sorted(f"kept-{place}" for place in range(12) if place % 3)


def _commits_everything_of_sixteen_threads(open_store: OpenStore) -> None:
    with _opened(open_store) as store, ThreadPoolExecutor(THREADS) as pool:

        def one(thread: int) -> list[str]:
            names = [f"{thread}-{place}" for place in range(20)]
            return [store.write(lambda tx, name=name: (_insert(tx, name), name)[1]) for name in names]

        answers = [name for names in pool.map(one, range(THREADS)) for name in names]
        assert sorted(answers) == sorted(_subjects(store))
        assert len(answers) == 20 * THREADS


def _refuses_a_row_that_breaks_a_constraint(open_store: OpenStore) -> None:
    with _opened(open_store) as store:

        def twice(tx: Transaction) -> None:
            _insert(tx, "gone")
            for _ in range(2):
                tx.run("idempotency.insert", key="same", at_us=1, answer="1")

        assert _code_of(lambda: store.write(twice)) == "row-conflict"
        assert _subjects(store) == []


def _does_a_keyed_work_once(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        answers = [store.write(lambda tx, n=n: {"n": n, "rows": _insert(tx, "once")}, key="k") for n in range(3)]
        assert answers == [{"n": 0, "rows": 1}] * 3, answers
        assert _subjects(store) == ["once"]


def _keyed_child(open_store: OpenStore, way: Connection) -> None:
    with _opened(open_store) as store:
        way.send(store.write(lambda tx: [_insert(tx, f"by {os.getpid()}"), os.getpid()], key="shared"))


def _does_a_keyed_work_once_over_processes(open_store: OpenStore) -> None:
    with _opened(open_store):
        pass
    context = multiprocessing.get_context("spawn")
    ways = [context.Pipe(duplex=False) for _ in range(3)]
    children = [context.Process(target=_keyed_child, args=(open_store, way)) for _, way in ways]
    for child in children:
        child.start()
    answers = [_next(ours) for ours, _ in ways]
    for child in children:
        child.join(WAIT_SECONDS)
    assert answers[0] == answers[1] == answers[2], answers
    with _opened(open_store) as store:
        assert len(_subjects(store)) == 1


def _next(way: Connection) -> object:
    assert way.poll(WAIT_SECONDS), "the other process said nothing"
    return way.recv()


def _forgets_the_key_of_a_work_that_failed(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        with suppress(_PlannedError):
            store.write(_fail_after("gone"), key="k")
        assert store.write(lambda tx: _insert(tx, "kept"), key="k") == 1
        assert _subjects(store) == ["kept"]


def _keeps_a_reader_on_one_view(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        store.write(lambda tx: _insert(tx, "before"))
        with store.read() as reader:
            assert len(_events(reader)) == 1
            store.write(lambda tx: _insert(tx, "after"))
            assert len(_events(reader)) == 1, "a reader saw a commit that came after its first look"
        assert _subjects(store) == ["before", "after"]


def _never_shows_half_a_transaction(open_store: OpenStore) -> None:
    """Each transaction writes two rows; no view may hold an odd number."""
    with _opened(open_store) as store, ThreadPoolExecutor(4) as pool:
        done = threading.Event()

        def look() -> tuple[int, int]:
            looks = odd = 0
            while not done.is_set() or not looks:
                with store.read() as reader:
                    odd += len(_events(reader)) % 2
                looks += 1
            return looks, odd

        lookers = [pool.submit(look) for _ in range(3)]
        for place in range(50):
            store.write(lambda tx, place=place: [_insert(tx, f"{place}-{half}") for half in "ab"])
        done.set()
        for looker in lookers:
            looks, odd = looker.result(WAIT_SECONDS)
            assert looks
            assert not odd, f"{odd} of {looks} looks saw half a transaction"


def _changes_its_version_when_this_process_commits(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        store.write(lambda tx: _insert(tx, "a"))
        before = store.version()
        assert store.version() == before, "the version changed although nobody committed"
        store.write(lambda tx: _insert(tx, "b"))
        assert store.version() != before


def _insert_child(open_store: OpenStore, way: Connection) -> None:
    with _opened(open_store) as store:
        store.write(lambda tx: _insert(tx, "from elsewhere"))
        way.send("done")


def _changes_its_version_when_another_process_commits(open_store: OpenStore) -> None:
    context = multiprocessing.get_context("spawn")
    with _opened(open_store) as store:
        before = store.version()
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_insert_child, args=(open_store, theirs))
        child.start()
        assert _next(ours) == "done"
        assert store.version() != before
        child.join(WAIT_SECONDS)


def _keeps_texts_and_numbers_as_they_were(open_store: OpenStore) -> None:
    bodies = ("", "'; drop table events; --", "π 🪢 \u2028", "line\nline", "x" * 100_000, ":name ? %s {}")
    numbers = (0, -1, (1 << 63) - 1, -(1 << 63))
    with _opened(open_store) as store:
        for body in bodies:
            store.write(lambda tx, body=body: _insert(tx, "text", body=body))
        for number in numbers:
            store.write(lambda tx, number=number: _insert(tx, "number", at_us=number))
        with store.read() as reader:
            rows = _events(reader)
        assert tuple(row["body"] for row in rows if row["subject"] == "text") == bodies
        assert tuple(row["at_us"] for row in rows if row["subject"] == "number") == numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    seq: int
    at_us: int
    kind: str
    subject: str
    body: str


def _gives_rows_in_every_shape(open_store: OpenStore) -> None:
    with _opened(open_store) as store:
        with store.read() as reader:
            assert reader.row("events.after", seq=0, count=9) is None
            assert reader.get(_Event, "events.after", seq=0, count=9) is None
            assert reader.value("events.reader", reader="nobody") is None
            assert reader.value("events.newest") == 0
        rows: list[dict[str, Value]] = [{"at_us": n, "kind": "k", "subject": f"s{n}", "body": "{}"} for n in range(3)]
        assert store.write(lambda tx: tx.many("events.insert", rows)) == len(rows)
        with store.read() as reader:
            first, *others = reader.all(_Event, "events.after", seq=0, count=9)
            assert [event.subject for event in (first, *others)] == ["s0", "s1", "s2"]
            assert reader.get(_Event, "events.after", seq=0, count=9) == first
            assert reader.value("events.newest") == others[-1].seq


def _finishes_what_was_accepted_before_it_closes(open_store: OpenStore) -> None:
    store = open_store()
    entered, release = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> int:
        entered.set()
        assert release.wait(WAIT_SECONDS)
        return _insert(tx, "accepted")

    with ThreadPoolExecutor(2) as pool:
        work = pool.submit(store.write, slow)
        assert entered.wait(WAIT_SECONDS)
        closing = pool.submit(store.close)
        release.set()
        assert work.result(WAIT_SECONDS) == 1
        closing.result(WAIT_SECONDS)
    with _opened(open_store) as again:
        assert _subjects(again) == ["accepted"]


def _refuses_writes_after_it_was_closed(open_store: OpenStore) -> None:
    store = open_store()
    store.close()
    store.close()
    assert _code_of(lambda: store.write(lambda tx: _insert(tx, "late"))) == "store-closed"


def _acknowledging_child(open_store: OpenStore, way: Connection) -> None:
    store = open_store()

    def one(thread: int) -> None:
        place = 0
        while True:
            name = f"{thread}-{place}"
            store.write(lambda tx, name=name: [_insert(tx, f"{name}{half}") for half in "ab"])
            with lock:
                way.send(name)
            place += 1

    lock = threading.Lock()
    for thread in range(4):
        threading.Thread(target=one, args=(thread,), daemon=True).start()
    threading.Event().wait()


def _loses_no_acknowledged_write_at_kill_9(open_store: OpenStore) -> None:
    """Four threads of another process write pairs and acknowledge each; it is killed while they do."""
    context = multiprocessing.get_context("spawn")
    acknowledged: list[str] = []
    for target in (7, 40):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_acknowledging_child, args=(open_store, theirs))
        child.start()
        theirs.close()
        acknowledged.clear()
        try:
            while len(acknowledged) < target:
                acknowledged.append(str(_next(ours)))
        finally:
            os.kill(child.pid or 0, signal.SIGKILL)
        try:
            while ours.poll(WAIT_SECONDS):
                acknowledged.append(str(ours.recv()))
        except (EOFError, OSError):
            pass
        child.join(WAIT_SECONDS)
        with _opened(open_store) as store:
            there = _subjects(store)
            assert {f"{name}{half}" for name in acknowledged for half in "ab"} <= set(there)
            assert len(there) % 2 == 0, "half a transaction survived"
            store.write(lambda tx: [_insert(tx, f"ready again {half}") for half in "ab"])


def _opens_for_many_at_once(open_store: OpenStore) -> None:
    """The first opening sets the store up; nobody who comes at the same moment may fail for it."""
    together = threading.Barrier(8)

    def one(place: int) -> None:
        together.wait(WAIT_SECONDS)
        with _opened(open_store) as store:
            store.write(lambda tx: _insert(tx, str(place)))

    with ThreadPoolExecutor(8) as pool:
        for work in [pool.submit(one, place) for place in range(8)]:
            work.result(WAIT_SECONDS)
    with _opened(open_store) as store:
        assert sorted(_subjects(store)) == [str(place) for place in range(8)]
