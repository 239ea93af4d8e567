"""Requests are judged by their first bytes, and who is turned away is told in measure; nothing here waits for real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from endpoints.rush import HEAD, LINE, REFUSAL, REFUSALS, judge, request
from ropewalk.endpoints import admission as rules
from ropewalk.endpoints.admission import PASSED, TOLD_PER_TICK, Admission, is_too_many


@pytest.mark.parametrize(
    ("waiting", "milliseconds_each", "too_many"),
    [
        (127, 1000, False),  # a few always come in
        (128, 3.0, False),
        (128, 3.2, True),
        (1023, 0.1, False),
        (1024, 0.0, True),  # however quick they are
    ],
)
def test_so_many_come_in_as_can_be_answered_in_time(waiting: int, milliseconds_each: float, too_many: bool) -> None:
    assert is_too_many(waiting, milliseconds_each / 1e3) is too_many
    assert is_too_many(2 * waiting, milliseconds_each / 1e3, slack=2.0) is too_many


@pytest.mark.parametrize(
    ("data", "owed"),
    [
        (request(), 0),
        (request(b"")[:-2] + b"\r\n", 0),
        (request(b"{}")[:-1], 1),
        (request(b"x" * 5000)[:-5000], 5000),
        (request(more=b"Connection: keep-alive\r\n"), 0),
        (request(more=b"CONNECTION:  Keep-Alive\r\n"), 0),
        (request().replace(b"Content-Length", b"content-length"), 0),
    ],
)
def test_one_request_of_a_counted_kind_is_known_by_its_head(data: bytes, owed: int) -> None:
    assert judge().owed(data) == owed


@pytest.mark.parametrize(
    "data",
    [
        request(head=b"POST /other HTTP/1.1\r\nHost: localhost\r\n"),
        request(head=b"GET /write HTTP/1.1\r\nHost: localhost\r\n"),
        request(head=b"POST /write?x=1 HTTP/1.1\r\nHost: localhost\r\n"),
        request(head=b"POST /write HTTP/1.0\r\nHost: localhost\r\n"),
        request(head=b"\r\n" + HEAD),
        request(more=b"X-Apart: lab\r\n"),
        request(more=b"Content-Length: 2\r\n"),
        request(more=b"Transfer-Encoding: chunked\r\n"),
        request(more=b"Expect: 100-continue\r\n"),
        request(more=b"Upgrade: websocket\r\n"),
        request(more=b"Connection: close\r\n"),
        request(more=b"Connection: keep-alive, close\r\n"),
        request(more=b"X: y\r\n folded\r\n"),
        request(more=b"X: y\nTransfer-Encoding: chunked\r\n"),
        request(more=b"X: y\rTransfer-Encoding: chunked\r\n"),
        request(more=b"X: \0\r\n"),
        request().replace(b"Content-Length: 2", b"Content-Length: +2"),
        request().replace(b"Content-Length: 2", b"Content-Length: 99999999"),
        request().replace(b"Content-Length: 2", b"Content-Length: 2000000"),
        request().replace(b"Content-Length: 2\r\n", b""),
        request() + request(),
        request()[:40],
        HEAD,
        b"",
        b"\x16\x03\x01" + bytes(200),
    ],
)
def test_whatever_is_not_clearly_one_such_request_is_left_to_the_parser(data: bytes) -> None:
    assert judge().owed(data) == PASSED


class Clock:
    """A loop whose time is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, delay: float, callback: Callable[[], object], /) -> None:
        self.calls.append((self.now + delay, callback))

    def time(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let so much time pass, in ticks."""
        for _ in range(round(seconds / rules.TICK_SECONDS)):
            self.now += rules.TICK_SECONDS
            due = [call for at, call in self.calls if at <= self.now + 1e-9]
            self.calls = [(at, call) for at, call in self.calls if at > self.now + 1e-9]
            for call in due:
                call()


class Caller:
    def __init__(self) -> None:
        self.told: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)


def told(callers: list[Caller]) -> int:
    return sum(len(one.told) for one in callers)


def test_so_many_are_told_in_a_while_and_the_others_in_the_order_in_which_they_came() -> None:
    clock, admission = Clock(), judge()
    callers = [Caller() for _ in range(2 * TOLD_PER_TICK + 5)]

    for one in callers:
        admission.tell(one, clock)
    at_once = told(callers[:TOLD_PER_TICK])
    clock.turn(rules.TICK_SECONDS)
    after_a_tick = told(callers[: 2 * TOLD_PER_TICK])
    none_else = told(callers[2 * TOLD_PER_TICK :])
    clock.turn(rules.TICK_SECONDS)

    assert (at_once, after_a_tick, none_else) == (TOLD_PER_TICK, 2 * TOLD_PER_TICK, 0)
    assert [one.told for one in callers] == [[REFUSAL]] * len(callers)
    assert admission.turned_away == len(callers)


def test_a_late_tick_tells_no_more_than_another_for_who_is_served_needs_the_time() -> None:
    clock, admission = Clock(), judge()
    callers = [Caller() for _ in range(10 * TOLD_PER_TICK)]
    for one in callers:
        admission.tell(one, clock)

    clock.now += 1
    clock.turn(rules.TICK_SECONDS)

    assert told(callers) == 2 * TOLD_PER_TICK


def test_another_thread_gets_its_turn_while_a_rush_lasts_and_works_when_it_wants_to_after_it() -> None:
    clock, turns = Clock(), list[bool]()
    admission = Admission(
        lines=(LINE,), apart=b"x-apart", refusals=REFUSALS, pace=lambda: 0.0, turn=lambda on: turns.append(on) or 0.0
    )

    for _ in range(3):
        admission.tell(Caller(), clock)
        clock.turn(rules.TICK_SECONDS)
    clock.turn(5 * rules.TICK_SECONDS)

    assert turns == [True, True, True, False]


def test_in_a_second_no_more_are_told_than_leave_time_for_others() -> None:
    clock, admission, callers = Clock(), judge(), list[Caller]()

    for _ in range(100):
        for _ in range(3 * TOLD_PER_TICK):
            callers.append(Caller())
            admission.tell(callers[-1], clock)
        clock.turn(rules.TICK_SECONDS)

    count = told(callers)
    assert count == 101 * TOLD_PER_TICK
    assert [bool(one.told) for one in callers] == [place < count for place in range(len(callers))]


def test_the_longer_a_rush_lasts_the_later_shall_everybody_come_again_and_the_next_begins_anew() -> None:
    clock, admission, seconds = Clock(), judge(), list[bytes]()

    for wait in (0, 1.5, 1.0, 1.0, 1.5, 2.5):
        clock.turn(wait)
        admission.tell(caller := Caller(), clock)
        seconds += [one.partition(b"after: ")[2][:1] for one in caller.told]

    assert seconds == [b"1", b"1", b"2", b"3", b"3", b"1"]


def test_the_clock_stands_while_nobody_is_turned_away() -> None:
    clock, admission = Clock(), judge()

    admission.tell(Caller(), clock)
    clock.turn(5 * rules.TICK_SECONDS)
    stands = list(clock.calls)
    admission.tell(later := Caller(), clock)

    assert stands == []
    assert later.told == [REFUSAL]
    assert len(clock.calls) == 1


def test_who_has_gone_is_told_nothing_and_who_asks_on_is_told_first() -> None:
    clock, admission = Clock(), judge()
    for _ in range(TOLD_PER_TICK):
        admission.tell(Caller(), clock)
    gone, hasty = Caller(), Caller()
    for one in (gone, hasty):
        admission.tell(one, clock)

    admission.forget(gone)
    admission.hurry(hasty)
    waits = admission.awaits(hasty)
    clock.turn(3 * rules.TICK_SECONDS)

    assert not waits
    assert (gone.told, hasty.told) == ([], [REFUSAL])


def test_the_log_says_now_and_then_how_many_were_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    clock, admission = Clock(), judge()

    for _ in range(1500):
        admission.tell(Caller(), clock)
        clock.turn(rules.TICK_SECONDS)

    assert [record.getMessage().split()[1] for record in caplog.records] == ["1", "1000"]
