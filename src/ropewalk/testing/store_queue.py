"""Conformance of a store's queue and of composed statements: submitted works, patterns, values without a column."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from ropewalk.store.database import Database, Transaction
from ropewalk.store.writer import WAITING_MAX
from ropewalk.testing.store_rows import (
    WAIT_SECONDS,
    OpenStore,
    PlannedError,
    code_of,
    fail_after,
    insert,
    opened,
    subjects,
)

OF_PATTERN = "select subject from events where subject like :pattern and kind = :kind order by seq"


class _Held:
    """Holds a store's writer inside of a work until it is let go."""

    def __init__(self, store: Database) -> None:
        self._release = threading.Event()
        entered = threading.Event()

        def hold(_: Transaction) -> None:
            entered.set()
            assert self._release.wait(WAIT_SECONDS)

        self.future = store.submit(hold)
        assert entered.wait(WAIT_SECONDS)

    def let_go(self) -> None:
        self._release.set()
        self.future.result(WAIT_SECONDS)


def answers_a_submitted_work_once_it_is_durable(open_store: OpenStore) -> None:
    """Another view sees the row at the moment in which the future is done."""
    with opened(open_store) as store:
        for place in range(20):
            name = f"row {place}"
            done = store.submit(lambda tx, name=name: (insert(tx, name), name)[1])
            assert done.result(WAIT_SECONDS) == name
            assert name in subjects(store)


def gives_a_submitted_work_its_own_error(open_store: OpenStore) -> None:
    """One of a group fails: it alone is told, and a key counts among submitted works as among others."""
    with opened(open_store) as store:
        held = _Held(store)
        good = store.submit(lambda tx: insert(tx, "kept"))
        bad = store.submit(fail_after("gone"))
        keyed = [store.submit(lambda tx: {"rows": insert(tx, "once")}, key="k") for _ in range(3)]
        held.let_go()
        assert good.result(WAIT_SECONDS) == 1
        assert isinstance(bad.exception(WAIT_SECONDS), PlannedError)
        assert [one.result(WAIT_SECONDS) for one in keyed] == [{"rows": 1}] * 3
        assert subjects(store) == ["kept", "once"]


def drops_a_work_that_was_cancelled_before_its_turn(open_store: OpenStore) -> None:
    """A caller who has gone costs no work; what has begun is finished."""
    with opened(open_store) as store:
        held = _Held(store)
        first, second, third = (
            store.submit(lambda tx, name=name: insert(tx, name)) for name in ("first", "second", "third")
        )
        assert second.cancel()
        held.let_go()
        assert first.result(WAIT_SECONDS) == third.result(WAIT_SECONDS) == 1
        assert not first.cancel(), "what is durable cannot be cancelled"
        assert subjects(store) == ["first", "third"]


def says_no_when_too_many_wait(open_store: OpenStore) -> None:
    """The queue has an end: who comes after it is told at once, and those before are all done."""
    with opened(open_store) as store, ThreadPoolExecutor(1) as pool:
        held = _Held(store)
        waiting = [store.submit(lambda _: None) for _ in range(WAITING_MAX)]
        assert code_of(lambda: store.submit(lambda _: None)) == "store-overloaded"
        closing = pool.submit(store.close)
        held.let_go()
        closing.result(WAIT_SECONDS)
        assert all(one.done() and one.exception() is None for one in waiting)


def runs_a_composed_statement(open_store: OpenStore) -> None:
    """Values are bound; colons and percent signs within quotes are text."""
    with opened(open_store) as store:
        store.write(lambda tx: [insert(tx, name) for name in ("a:b", "100%", "it's")])
        with store.read() as reader:
            for name in ("a:b", "100%", "it's"):
                found = reader.composed(
                    "select subject, 'x:y %s' as note from events where subject = :subject", {"subject": name}
                )
                assert [dict(row) for row in found] == [{"subject": name, "note": "x:y %s"}]
            rows = reader.composed("select count(*) as n, max(seq) as top from events where seq > :seq", {"seq": 99})
            assert [dict(row) for row in rows] == [{"n": 0, "top": None}]
            assert reader.composed("select seq from events where seq > :seq", {"seq": 99}) == []


def tells_letters_apart_in_like(open_store: OpenStore) -> None:
    """A pattern is case-sensitive on every engine."""
    with opened(open_store) as store:
        store.write(lambda tx: [insert(tx, name) for name in ("Train", "train", "TRAIN 2")])
        with store.read() as reader:

            def like(pattern: str) -> list[object]:
                rows = reader.composed(OF_PATTERN, {"pattern": pattern, "kind": "check"})
                return [row["subject"] for row in rows]

            assert like("train%") == ["train"]
            assert like("%RAIN%") == ["TRAIN 2"]
            assert like("T_ain") == ["Train"]


def refuses_what_no_column_holds(open_store: OpenStore) -> None:
    """A value that cannot be kept is the caller's mistake, and undoes his work alone."""
    with opened(open_store) as store:
        assert code_of(lambda: store.write(lambda tx: insert(tx, "half \ud800"))) == "value-unstorable"
        assert code_of(lambda: store.write(lambda tx: insert(tx, "big", at_us=1 << 63))) == "value-unstorable"
        with store.read() as reader:
            asked = {"pattern": "\udfff", "kind": "check"}
            assert code_of(lambda: reader.composed(OF_PATTERN, asked)) == "value-unstorable"
        store.write(lambda tx: insert(tx, "kept"))
        assert subjects(store) == ["kept"]


def ends_a_question_that_costs_too_much(open_store: OpenStore) -> None:
    """The limit is for one statement; the next view is as good as any."""
    endless = (
        "with recursive n (x) as (select 1 union all select x + 1 from n where x < :most) "
        "select count(*) as numbers from n"
    )
    with opened(open_store) as store:
        started = monotonic()
        with store.read(seconds_max=0.1) as reader:
            assert code_of(lambda: reader.composed(endless, {"most": 1 << 60})) == "query-too-costly"
        assert monotonic() - started < WAIT_SECONDS
        with store.read(seconds_max=0.1) as reader:
            assert reader.composed(endless, {"most": 10}) == [{"numbers": 10}]
        with store.read(seconds_max=None) as reader:
            assert reader.composed(endless, {"most": 300_000}) == [{"numbers": 300_000}]
