"""A PostgreSQL store whose server goes silent or away is told within five seconds, and goes on when it is back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fault.broken_line import Line, line_to
from fault.store_scene import opened, subjects, torn
from fault.store_victim import pair
from ropewalk.errors import RopewalkError
from ropewalk.store.link import Store
from store.postgres_places import SILENT, new_place

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(bool(SILENT), reason=f"no PostgreSQL answers (ROPEWALK_TEST_POSTGRES): {SILENT}"),
]
DEADLINE_SECONDS = 5.5  # five, and half a one for a machine that does other things too


@pytest.fixture
def scene() -> Iterator[tuple[Line, Store]]:
    with new_place() as url, line_to(url) as (line, through), opened(through) as store:
        pair(store, "first")
        assert len(subjects(store)) == 2
        yield line, store
        line.well()


def told(work: Callable[[], object]) -> tuple[str, float]:
    """Return the code of the error that a work raises, if any, and how long it took."""
    began = time.monotonic()
    try:
        work()
    except RopewalkError as error:
        return error.code, time.monotonic() - began
    return "", time.monotonic() - began


def test_a_silent_server_is_told_within_five_seconds_and_healed_as_soon(scene: tuple[Line, Store]) -> None:
    line, store = scene
    threads = threading.active_count()
    line.silent()
    with ThreadPoolExecutor(20) as pool:
        works = [pool.submit(told, lambda: subjects(store)) for _ in range(12)]
        works += [
            pool.submit(told, lambda place=place: pair(store, f"silent-{place}", key=f"k{place}")) for place in range(8)
        ]
        answers = [work.result(60) for work in works]
    again, second = told(lambda: pair(store, "silent-0", key="k0"))
    line.well()
    healed = time.monotonic()
    while told(lambda: pair(store, "healed", key="healed"))[0]:
        assert time.monotonic() - healed < 30
    recovered = time.monotonic() - healed
    for place in range(8):
        pair(store, f"silent-{place}", key=f"k{place}")
    there = Counter(subjects(store))

    slowest = max(seconds for _, seconds in answers)
    print(  # noqa: T201 - the figure
        f"silent server: {len(answers)} callers told after {slowest:.1f} s at most, healed after {recovered:.2f} s"
    )
    assert {code for code, _ in answers} <= {"store-unreachable", "store-busy"}
    assert slowest < DEADLINE_SECONDS
    assert again == "store-unreachable"
    assert second < DEADLINE_SECONDS
    assert recovered < 5.0
    assert set(there.values()) == {1}, "something was written twice"
    assert torn(list(there)) == []
    assert len(there) == 2 * (1 + 8 + 1)
    assert threading.active_count() <= threads + 30


def test_a_broken_line_is_mended_by_the_next_request(scene: tuple[Line, Store]) -> None:
    line, store = scene
    line.reset()
    time.sleep(0.1)

    assert len(subjects(store)) == 2
    assert store.version()
    codes = [told(lambda place=place: pair(store, f"after-{place}", key=f"k{place}"))[0] for place in range(3)]

    assert codes[0] in ("", "store-unreachable")
    assert codes[1:] == ["", ""]


def test_a_line_that_breaks_under_four_writers_loses_and_doubles_nothing(scene: tuple[Line, Store]) -> None:
    line, store = scene
    acknowledged, stop = list[str](), threading.Event()

    def write(thread: int) -> None:
        place = 0
        while not stop.is_set():
            name = f"{thread}-{place}"
            if not told(lambda name=name: pair(store, name, key=name))[0]:
                acknowledged.append(name)
                place += 1

    writers = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        time.sleep(0.2)
        line.reset()
    time.sleep(0.2)
    stop.set()
    for writer in writers:
        writer.join(60)
    there = Counter(subjects(store))

    print(f"5 breaks under 4 writers: {len(acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the figure
    assert {f"{name}{half}" for name in acknowledged for half in "ab"} <= set(there)
    assert set(there.values()) == {1}
    assert torn(list(there)) == []
    assert len(acknowledged) > 20


def test_a_statement_that_takes_long_is_left_alone_while_the_server_answers(scene: tuple[Line, Store]) -> None:
    _, store = scene
    link = store.link(patient=True)

    code, seconds = told(lambda: link.raw("select 1 from pg_sleep(3)"))

    link.close()
    assert code == ""
    assert seconds > 2.9
