"""Conformance of a store: what every adapter of the database port must do, as checks that anybody can run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from ropewalk.store.database import Transaction, Value
from ropewalk.testing import store_processes, store_queue
from ropewalk.testing.store_rows import (
    THREADS,
    WAIT_SECONDS,
    OpenStore,
    PlannedError,
    code_of,
    events,
    fail_after,
    insert,
    opened,
    subjects,
)


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
            store_processes.does_a_keyed_work_once_over_processes,
            _forgets_the_key_of_a_work_that_failed,
            _keeps_a_reader_on_one_view,
            _never_shows_half_a_transaction,
            _changes_its_version_when_this_process_commits,
            store_processes.changes_its_version_when_another_process_commits,
            _keeps_texts_and_numbers_as_they_were,
            _gives_rows_in_every_shape,
            _pours_rows_as_they_are,
            _finishes_what_was_accepted_before_it_closes,
            _refuses_writes_after_it_was_closed,
            store_processes.loses_no_acknowledged_write_at_kill_9,
            store_processes.opens_for_many_at_once,
            store_queue.answers_a_submitted_work_once_it_is_durable,
            store_queue.gives_a_submitted_work_its_own_error,
            store_queue.drops_a_work_that_was_cancelled_before_its_turn,
            store_queue.says_no_when_too_many_wait,
            store_queue.runs_a_composed_statement,
            store_queue.tells_letters_apart_in_like,
            store_queue.refuses_what_no_column_holds,
            store_queue.ends_a_question_that_costs_too_much,
        )
    )


def _returns_what_the_work_returned(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        assert store.write(lambda tx: ("answer", insert(tx, "a"))) == ("answer", 1)
        assert subjects(store) == ["a"]


def _undoes_all_of_a_work_that_fails(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        raised = False
        try:
            store.write(fail_after("gone"))
        except PlannedError:
            raised = True
        assert raised, "the work's own exception was swallowed"
        store.write(lambda tx: insert(tx, "kept"))
        assert subjects(store) == ["kept"]


def _keeps_the_others_of_a_group_when_one_fails(open_store: OpenStore) -> None:
    """The first work holds the writer until all others wait, so that they form one group."""
    with opened(open_store) as store, ThreadPoolExecutor(THREADS) as pool:
        entered, release = threading.Event(), threading.Event()

        def hold(_: Transaction) -> None:
            entered.set()
            assert release.wait(WAIT_SECONDS)

        first = pool.submit(store.write, hold)
        assert entered.wait(WAIT_SECONDS)
        works = [
            pool.submit(store.write, fail_after(f"gone-{place}"))
            if place % 3 == 0
            else pool.submit(store.write, lambda tx, place=place: insert(tx, f"kept-{place}"))
            for place in range(12)
        ]
        release.set()
        first.result(WAIT_SECONDS)
        failed = [work.exception(WAIT_SECONDS) is not None for work in works]
        assert failed == [place % 3 == 0 for place in range(12)]
        assert sorted(subjects(store)) == sorted(f"kept-{place}" for place in range(12) if place % 3)


def _commits_everything_of_sixteen_threads(open_store: OpenStore) -> None:
    with opened(open_store) as store, ThreadPoolExecutor(THREADS) as pool:

        def one(thread: int) -> list[str]:
            names = [f"{thread}-{place}" for place in range(20)]
            return [store.write(lambda tx, name=name: (insert(tx, name), name)[1]) for name in names]

        answers = [name for names in pool.map(one, range(THREADS)) for name in names]
        assert sorted(answers) == sorted(subjects(store))
        assert len(answers) == 20 * THREADS


def _refuses_a_row_that_breaks_a_constraint(open_store: OpenStore) -> None:
    with opened(open_store) as store:

        def twice(tx: Transaction) -> None:
            insert(tx, "gone")
            for _ in range(2):
                tx.run("idempotency.insert", key="same", at_us=1, answer="1")

        assert code_of(lambda: store.write(twice)) == "row-conflict"
        assert subjects(store) == []


def _does_a_keyed_work_once(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        answers = [store.write(lambda tx, n=n: {"n": n, "rows": insert(tx, "once")}, key="k") for n in range(3)]
        assert answers == [{"n": 0, "rows": 1}] * 3, answers
        assert subjects(store) == ["once"]


def _forgets_the_key_of_a_work_that_failed(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        with suppress(PlannedError):
            store.write(fail_after("gone"), key="k")
        assert store.write(lambda tx: insert(tx, "kept"), key="k") == 1
        assert subjects(store) == ["kept"]


def _keeps_a_reader_on_one_view(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        store.write(lambda tx: insert(tx, "before"))
        with store.read() as reader:
            assert len(events(reader)) == 1
            store.write(lambda tx: insert(tx, "after"))
            assert len(events(reader)) == 1, "a reader saw a commit that came after its first look"
        assert subjects(store) == ["before", "after"]


def _never_shows_half_a_transaction(open_store: OpenStore) -> None:
    """Each transaction writes two rows; no view may hold an odd number."""
    with opened(open_store) as store, ThreadPoolExecutor(4) as pool:
        done = threading.Event()

        def look() -> tuple[int, int]:
            looks = odd = 0
            while not done.is_set() or not looks:
                with store.read() as reader:
                    odd += len(events(reader)) % 2
                looks += 1
            return looks, odd

        lookers = [pool.submit(look) for _ in range(3)]
        for place in range(50):
            store.write(lambda tx, place=place: [insert(tx, f"{place}-{half}") for half in "ab"])
        done.set()
        for looker in lookers:
            looks, odd = looker.result(WAIT_SECONDS)
            assert looks
            assert not odd, f"{odd} of {looks} looks saw half a transaction"


def _changes_its_version_when_this_process_commits(open_store: OpenStore) -> None:
    with opened(open_store) as store:
        store.write(lambda tx: insert(tx, "a"))
        before = store.version()
        assert store.version() == before, "the version changed although nobody committed"
        store.write(lambda tx: insert(tx, "b"))
        assert store.version() != before


def _keeps_texts_and_numbers_as_they_were(open_store: OpenStore) -> None:
    bodies = ("", "'; drop table events; --", "π 🪢 \u2028", "line\nline", "x" * 100_000, ":name ? %s {}")
    numbers = (0, -1, (1 << 63) - 1, -(1 << 63))
    with opened(open_store) as store:
        for body in bodies:
            store.write(lambda tx, body=body: insert(tx, "text", body=body))
        for number in numbers:
            store.write(lambda tx, number=number: insert(tx, "number", at_us=number))
        with store.read() as reader:
            rows = events(reader)
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
    with opened(open_store) as store:
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


def _pours_rows_as_they_are(open_store: OpenStore) -> None:
    rows: list[tuple[Value, ...]] = [(n, 10 * n, n, n / 3, 0) for n in range(112)]
    rows += [(200, 1, 1, float("inf"), 0), (201, 1, 1, 5, 0), (202, 1, 1, -0.0, 1)]
    own = (0, 1)
    texts: list[tuple[Value, ...]] = [(1, f"k{n}, \"'{{}}\\", "", *own, n, 1, 0.5, 0) for n in range(12)]
    newer = [(*text[:5], cast("int", text[5]) + place % 2, *text[6:]) for place, text in enumerate(texts)]
    with opened(open_store) as store:
        store.write(lambda tx: tx.pour(("runs.point", []), ("runs.latest", [])))
        store.write(lambda tx: tx.pour(("runs.point", rows), ("runs.latest", texts)))
        store.write(lambda tx: tx.pour(("runs.point", [*rows, *rows[:1]])))  # they are there already
        store.write(lambda tx: tx.pour(("runs.latest", newer), ("runs.point", [])))
        with store.read() as reader:
            for series, at_ms, step, value, is_nan in rows:
                page = reader.rows("series.page", series=series, at_ms=-1, step=0, value=0.0, is_nan=0, count=2)
                found = [(row["at_ms"], row["step"], row["value"], row["is_nan"]) for row in page]
                assert found == [(at_ms, step, value, is_nan)], found
            kept = {row["key"]: row["step"] for row in reader.rows("runs.record_latest", run=1)}
            assert kept == {row[1]: row[5] for row in newer}, kept


def _finishes_what_was_accepted_before_it_closes(open_store: OpenStore) -> None:
    store = open_store()
    entered, release = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> int:
        entered.set()
        assert release.wait(WAIT_SECONDS)
        return insert(tx, "accepted")

    with ThreadPoolExecutor(2) as pool:
        work = pool.submit(store.write, slow)
        assert entered.wait(WAIT_SECONDS)
        closing = pool.submit(store.close)
        release.set()
        assert work.result(WAIT_SECONDS) == 1
        closing.result(WAIT_SECONDS)
    with opened(open_store) as again:
        assert subjects(again) == ["accepted"]


def _refuses_writes_after_it_was_closed(open_store: OpenStore) -> None:
    store = open_store()
    store.close()
    store.close()
    assert code_of(lambda: store.write(lambda tx: insert(tx, "late"))) == "store-closed"
