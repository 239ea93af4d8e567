"""Labels that arrive late, twice, revised, by id, by key, or for nobody."""

from __future__ import annotations

import pytest

from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.errors import Invalid
from ropewalk.ledger import chain
from ropewalk.observations import labels, recorded
from ropewalk.observations.batch import Added, batch_digest
from ropewalk.observations.labels import Label
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

DAY_US = 86_400_000_000


def add(site: Site, *told: Label | tuple[str, labels.Value, int]) -> Added:
    return site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))


@pytest.fixture
def ids(site: Site) -> list[str]:
    release = make_release(site)
    set_traffic(site, release)
    return capture(site, release, 4, key=["a", "b", "a", None])


def known(site: Site) -> dict[str, str | None]:
    rows = recorded.read(site, ENDPOINT).rows
    return dict(rows.select("id", "label").iter_rows())


def test_a_late_label_finds_its_prediction(site: Site, clock: SetClock, ids: list[str]) -> None:
    clock.advance(30 * 86_400)

    added = add(site, (ids[0], 1, clock.now_us()), (ids[3], 0, clock.now_us()))

    assert (added.new, added.revised, added.repeated) == (2, 0, 0)
    assert known(site) == {ids[0]: "1", ids[1]: None, ids[2]: None, ids[3]: "0"}
    assert recorded.read(site, ENDPOINT).labelled == 2


def test_the_same_label_twice_changes_nothing(site: Site, ids: list[str]) -> None:
    first = add(site, (ids[0], 1, 5))

    again = add(site, (ids[0], 1, 5), (ids[0], 1, 9))

    assert again == Added(new=0, revised=0, repeated=2, batch=0)
    assert first.batch > 0
    with site.db.read() as reader:
        assert labels.count(reader, ENDPOINT) == 1


def test_the_truth_known_last_wins_in_whatever_order_it_is_told(site: Site, ids: list[str]) -> None:
    add(site, (ids[0], 1, 200))

    old = add(site, (ids[0], 0, 100))
    newer = add(site, (ids[0], 0, 300))

    assert (old.repeated, newer.revised) == (1, 1)
    assert known(site)[ids[0]] == "0"
    assert add(site, (ids[1], 0, 1), (ids[1], 1, 2)).new == 1
    assert known(site)[ids[1]] == "1"


def test_a_label_for_nobody_is_kept_and_harms_nobody(site: Site, clock: SetClock, ids: list[str]) -> None:
    stranger = uuid7(clock.now_us())

    assert add(site, (stranger, 1, 5)).new == 1
    assert known(site) == dict.fromkeys(ids)


def test_a_label_by_key_holds_for_what_was_asked_before_it_was_known(
    site: Site, clock: SetClock, ids: list[str]
) -> None:
    at_us = clock.now_us()
    clock.advance(86_400)
    later = capture(site, "flights/1", 1, key=["a"])

    add(site, Label(key="a", value=1, known_us=at_us + 1000), Label(key="a", value=0, known_us=at_us + 2 * DAY_US))

    assert known(site) == {ids[0]: "1", ids[1]: None, ids[2]: "1", ids[3]: None, later[0]: "0"}


def test_a_label_by_id_goes_before_one_by_key(site: Site, clock: SetClock, ids: list[str]) -> None:
    add(site, Label(key="a", value=1, known_us=clock.now_us()), (ids[2], 0, 7))

    assert (known(site)[ids[0]], known(site)[ids[2]]) == ("1", "0")


def test_a_shadow_shares_the_label_of_its_pair(site: Site, ids: list[str]) -> None:
    twin = capture(site, "flights/1", 1, role="shadow", pair=[ids[0]])

    add(site, (ids[0], 1, 5))

    assert known(site)[twin[0]] == "1"


@pytest.mark.parametrize(
    "bad",
    [
        ("no-id", 1, 5),
        ("0190b1f0-0000-7000-8000-00000000000z", 1, 5),
        ("0190B1F0-0000-7000-8000-000000000000", 1, 5),
        Label(value=1, known_us=5),
        Label(prediction="0190b1f0-0000-7000-8000-000000000000", key="a", value=1, known_us=5),
        Label(key="a" * 600, value=1, known_us=5),
        Label(key="a", value=float("nan"), known_us=5),
        Label(key="a", value="x" * 600, known_us=5),
        Label(key="a", value=1 << 60, known_us=5),
        Label(key="a", value=[1], known_us=5),  # type: ignore[arg-type]
        Label(key="a", value=1, known_us=-1),
    ],
)
def test_one_malformed_label_keeps_the_whole_batch_out(site: Site, ids: list[str], bad) -> None:
    with pytest.raises(Invalid, match="A label is not one") as raised:
        add(site, (ids[0], 1, 5), bad)

    assert raised.value.where == "label 1"
    with site.db.read() as reader:
        assert labels.count(reader, ENDPOINT) == 0


def test_a_batch_has_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch, ids: list[str]) -> None:
    monkeypatch.setattr(labels, "BATCH_MAX", 2)

    with pytest.raises(Invalid, match="at most 2"):
        add(site, *((one, 1, 5) for one in ids))


def test_the_ledger_holds_the_digest_of_each_batch(site: Site, ids: list[str]) -> None:
    batch = add(site, (ids[0], 1, 5), Label(key="b", value="late", known_us=9)).batch

    with site.db.read() as reader:
        entry = next(one for one in chain.entries(reader) if one.seq == batch)
        rows = labels.batch_rows(reader, batch)

    assert entry.facts()["digest"] == batch_digest(rows)
    assert entry.facts()["digest"] != batch_digest([(*rows[0][:3], "0", rows[0][4]), rows[1]])
    assert labels.value_of(next(row[3] for row in rows if row[2])) == "late"
