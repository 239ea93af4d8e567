"""What a bad release did: every prediction, for whom, from when until when, and as many as were answered."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import chain

import pytest

from endpoints.live import add_release, serving, split
from endpoints.stand_in_worker import FAIL
from ropewalk.clock import SystemClock
from ropewalk.endpoints import compact
from ropewalk.endpoints.capture import each
from ropewalk.errors import NotFound
from ropewalk.evidence import blast
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


@pytest.fixture
def real(site: Site) -> Site:
    """The site with the machine's clock, for a gateway."""
    (site.hidden / "gate").mkdir()
    os.mkfifo(site.hidden / "gate" / "go")
    return replace(site, clock=SystemClock())


@pytest.fixture
def asked(real: Site) -> tuple[Site, list[str], list[str]]:
    """A site whose second release was canary, champion and was rolled back, and what callers saw of it."""
    first, second = add_release(real, 1), add_release(real, 2)
    split(real, first)
    ids: list[str] = []
    keys: list[str] = []
    with serving(real) as caller:

        def ask(key: str, x: float = 0.5) -> None:
            status, answer = caller.predict({"x": x}, key=key)
            by = answer["release"] if status == 200 else second
            if by == second:
                ids.extend(one["id"] for one in answer.get("predictions", ()))
                keys.append(key)

        for number in range(5):
            ask(f"before-{number}")
        caller.follows(split(real, first, canary=second, canary_weight_bp=5000))
        for number in range(30):
            ask(f"split-{number % 10}")
        caller.follows(split(real, second, previous=first))
        for _ in range(7):
            ask("all")
        ask("failed", FAIL)
        caller.follows(split(real, first, shadow=second))
        for number in range(4):
            ask(f"after-{number}")
    return real, ids, keys


def test_it_counts_what_was_answered_for_whom_and_since_when(asked: tuple[Site, list[str], list[str]]) -> None:
    site, ids, keys = asked

    found = blast.radius(site, "flights/2", callers=3)
    rows = list(chain.from_iterable(table["id"].to_list() for table in blast.tables(site, "flights/2")))

    assert found.predictions == len(keys) == len(rows)
    assert found.answered == len(ids)
    assert set(ids) < set(rows)
    assert found.statuses == {"error": 1, "ok": len(ids)}
    assert found.keys == len(set(keys))
    assert found.without_key == 0
    assert (found.callers[0].key, found.callers[0].predictions) == ("all", 7)
    assert len(found.callers) == 3
    assert found.shadowed == 4
    assert [(one.role, one.share) for one in found.spans] == [("canary", 0.5), ("champion", 1.0), ("shadow", 0.0)]
    assert found.spans[0].until_us == found.spans[1].since_us
    assert found.spans[2].until_us is None
    assert found.first_us is not None
    assert found.last_us is not None
    assert found.spans[0].since_us <= found.first_us <= found.last_us


def test_a_release_that_answered_nobody_has_no_radius(asked: tuple[Site, list[str], list[str]]) -> None:
    site = asked[0]
    add_release(site, 3)

    found = blast.radius(site, "flights/3")

    assert (found.predictions, found.first_us, found.spans, found.callers) == (0, None, (), ())


def test_a_release_that_never_was_is_not_found(site: Site) -> None:
    with pytest.raises(NotFound):
        blast.radius(site, "flights/9")


def test_a_row_is_read_once_while_its_segment_is_merged(site: Site, clock: SetClock) -> None:
    from endpoints.captured import fill

    ids = fill(site, clock, days=1, segments=4, rows=2)
    clock.advance(3 * 86_400)

    tables = each(site, "flights")
    found = next(tables)["id"].to_list()
    while compact.compact(site, "flights"):
        pass
    compact.sweep_files(site)
    found += chain.from_iterable(table["id"].to_list() for table in tables)
    compact.sweep_files(site)

    assert sorted(found) == sorted(ids)
    assert sorted(chain.from_iterable(table["id"].to_list() for table in each(site, "flights"))) == sorted(ids)
