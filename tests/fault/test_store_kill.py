"""A store whose process is killed loses nothing that it acknowledged, tears nothing and answers the same again."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from fault.store_scene import ENGINES, ROUNDS, Victim, in_child, opened, place_for, subjects, torn
from fault.store_victim import move, once, pair, walk
from ropewalk.clock import SystemClock
from ropewalk.store import schema
from ropewalk.store.link import Store
from ropewalk.store.migrate import load_migrations
from ropewalk.store.transfer import measure

pytestmark = pytest.mark.fault
WHOLE = "ROPEWALK_KILLS" in os.environ


@pytest.mark.parametrize("engine", ENGINES)
def test_four_clients_lose_nothing_when_their_process_is_killed(engine: str, tmp_path: Path) -> None:
    dice, acknowledged, slowest = random.Random(7), set[str](), 0.0
    with place_for(engine, tmp_path) as where:
        for _ in range(ROUNDS):
            victim = Victim(where, "4")
            victim.wait_for(dice.randrange(1, 120))
            time.sleep(dice.random() / 50)
            victim.kill()
            acknowledged |= set(victim.done)
            began = time.monotonic()
            with opened(where) as store:
                pair(store, f"{began}")
                slowest = max(slowest, time.monotonic() - began)
        with opened(where) as store:
            there = subjects(store)
            damage = store.damage()

    lost = {name for name in acknowledged if f"{name}a" not in there}
    print(  # noqa: T201 - the figure
        f"{engine}: {ROUNDS} kills, {len(acknowledged)} acknowledged, {len(lost)} lost, {len(torn(there))} torn, "
        f"ready again in {slowest:.2f} s"
    )
    assert lost == set()
    assert torn(there) == []
    assert damage == []
    assert slowest < 2.0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_killed_at_any_statement_is_done_whole_or_not_at_all(engine: str, tmp_path: Path) -> None:
    """Before and after each statement, the commit among them; the same key then gives the same answer."""
    whole = nothing = step = 0
    finished = False
    with place_for(engine, tmp_path) as where, opened(where) as store:
        while not finished:
            step += 1
            for signed in (step, -step):
                name = f"request {signed} "
                lived, said = in_child(once, where, signed, name)
                finished = finished or lived
                there = [one for one in subjects(store) if one.startswith(name)]
                again = [pair(store, name, key=name) for _ in range(2)]

                assert there in ([], [f"{name}a", f"{name}b"])
                whole, nothing = whole + (bool(there) and not lived), nothing + (not there)
                assert len([one for one in subjects(store) if one.startswith(name)]) == 2, "it was done twice"
                assert again[0] == again[1] == (said or again[0])
    print(  # noqa: T201 - the figure
        f"{engine}: killed before and after each of {step - 1} statements: {nothing} times nothing, {whole} whole"
    )
    assert step > 6
    assert nothing > 10
    assert whole


def shape(store: Store) -> dict[str, list[str]]:
    link = store.link()
    try:
        return {table: sorted(columns) for table, columns in link.tables().items()}
    finally:
        link.close()


def steps_of(store: Store) -> list[int]:
    link = store.link()
    try:
        return sorted(schema.applied(link))
    finally:
        link.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_walk_of_the_schema_killed_anywhere_goes_on(engine: str, tmp_path: Path) -> None:
    """Up and down: after each kill every step is whole or not there, and the next walk goes on from it."""
    dice, kills, shapes = random.Random(11), 0, dict[int, dict[str, list[str]]]()
    steps = load_migrations("sqlite")
    numbers = [step.number for step in steps]
    with opened(str(tmp_path / "shapes.db"), climb=False) as store:
        link = store.link()
        for step in steps:  # both engines make the same tables: tests/store/test_schema.py
            schema.climb(link, SystemClock(), steps[: steps.index(step) + 1], where="here")
            shapes[step.number] = shape(store)
        link.close()
    with place_for(engine, tmp_path) as where:
        in_child(walk, where, 0, numbers[0])
        for _ in range(max(1, ROUNDS // 2)):
            for to in (numbers[0], numbers[-1]):
                finished = False
                while not finished:
                    finished, _ = in_child(walk, where, dice.randrange(2, 60), to)
                    kills += not finished
                    with opened(where, climb=False) as store:
                        applied = steps_of(store)
                        assert applied == [number for number in numbers if number <= applied[-1]]
                        assert shape(store) == shapes[applied[-1]]
        with opened(where) as store:
            pair(store, "after")
            assert subjects(store)[-2:] == ["aftera", "afterb"]
    print(f"{engine}: {kills} kills on the way up and down {len(numbers)} steps, none half done")  # noqa: T201
    assert kills > 3


@pytest.mark.parametrize("engine", ENGINES if WHOLE else ENGINES[:1])
def test_each_step_of_the_schema_killed_at_each_statement_goes_on(engine: str, tmp_path: Path) -> None:
    """Step by step, down and up again; in the gate one statement of so many, and every third step."""
    steps, kills, stride = load_migrations("sqlite"), 0, 1 if WHOLE else 7
    with place_for(engine, tmp_path) as where:
        in_child(walk, where, 0, steps[-1].number)
        for place in range(len(steps) - 1, 0, -1 if WHOLE else -3):
            here, below = steps[place].number, steps[place - 1].number
            with opened(where, climb=False) as store:
                whole = shape(store)
            for to, back in ((below, here), (here, below)):
                statement, finished = 2, False
                while not finished:
                    in_child(walk, where, 0, back)
                    finished, _ = in_child(walk, where, statement, to)
                    kills += not finished
                    with opened(where, climb=False) as store:
                        assert max(steps_of(store)) in (here, below)
                    statement += stride
            with opened(where, climb=False) as store:
                assert shape(store) == whole
            in_child(walk, where, 0, steps[max(0, place - (1 if WHOLE else 3))].number)
        with opened(where) as store:
            pair(store, "after")
            assert subjects(store)[-2:] == ["aftera", "afterb"]
    print(f"{engine}: {kills} kills, down and up each of {len(steps)} steps, none half done")  # noqa: T201 - the figure
    assert kills > 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_move_killed_anywhere_leaves_the_other_store_as_it_was(engine: str, tmp_path: Path) -> None:
    source = str(tmp_path / "source.db")
    with opened(source) as store:
        for place in range(30):
            pair(store, f"{place}")
        link = store.link()
        link.look()
        wanted = measure(link)
        link.close()
    with place_for(engine, tmp_path) as where:
        with opened(where) as store:
            pair(store, "mine")
        for step in [2, 60, *random.Random(3).sample(range(3, 150), ROUNDS)]:
            lived, _ = in_child(move, source, step, where)
            with opened(where) as store:
                assert not lived
                assert subjects(store) == ["minea", "mineb"]
        lived, statements = in_child(move, source, 0, where)
        with opened(where) as store:
            link = store.link()
            link.look()
            found = measure(link)
            link.close()
    print(f"{engine}: a move of {statements} statements, killed {ROUNDS + 2} times, left nothing half done")  # noqa: T201
    assert lived
    assert found == wanted
