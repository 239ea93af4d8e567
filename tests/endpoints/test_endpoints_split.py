from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from endpoints.live import CONTRACT, ROW, Caller, add_release, bundle_of, serving, split
from endpoints.stand_in_worker import WAIT
from ropewalk.endpoints import capture
from ropewalk.endpoints.routing import bucket_of, role_of
from ropewalk.releases.traffic import Traffic
from ropewalk.site import Site


def traffic(weight: int, salt: str = "s") -> Traffic:
    return Traffic(
        endpoint="flights",
        generation=1,
        at_us=0,
        actor="",
        champion="flights/1",
        canary="flights/2",
        canary_weight_bp=weight,
        shadow="",
        previous="",
        salt=salt,
        reason="",
    )


def test_a_share_of_keys_meets_the_canary() -> None:
    keys = [f"customer {number}" for number in range(20_000)]

    share = sum(role_of(traffic(2500), key) == "canary" for key in keys) / len(keys)

    assert abs(share - 0.25) < 0.015
    assert {role_of(traffic(0), key) for key in keys} == {"champion"}
    assert {role_of(traffic(10_000), key) for key in keys} == {"canary"}


@given(st.text(max_size=40), st.integers(0, 10_000), st.integers(0, 10_000))
def test_who_met_the_canary_meets_it_at_every_higher_weight(key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))

    assert not (role_of(traffic(low), key) == "canary" and role_of(traffic(high), key) == "champion")


def test_another_salt_tries_other_keys() -> None:
    keys = [str(number) for number in range(1000)]

    assert sum(bucket_of("a", key) == bucket_of("b", key) for key in keys) < 5


def test_the_same_key_always_gets_the_same_release(flights: Caller, real: Site) -> None:
    flights.follows(split(real, "flights/1", canary=add_release(real, 2), canary_weight_bp=4000, salt="x"))

    seen: dict[str, set[str]] = {}
    for number in range(120):
        key = f"key {number % 40}"
        seen.setdefault(key, set()).add(flights.predict(ROW, key=key)[1]["release"])

    assert all(len(releases) == 1 for releases in seen.values())
    assert Counter(release for releases in seen.values() for release in releases).keys() == {"flights/1", "flights/2"}
    for key, releases in seen.items():
        assert releases == {"flights/2" if bucket_of("x", key) < 4000 else "flights/1"}


def test_rows_with_keys_of_their_own_are_split_within_one_request(flights: Caller, real: Site) -> None:
    flights.follows(split(real, "flights/1", canary=add_release(real, 2), canary_weight_bp=5000, salt="x"))
    keys = [str(number) for number in range(60)]

    _, answer = flights.predict(*[{"x": float(number % 9), "city": "EWR"} for number in range(60)], key=keys)

    rows = capture.read(real, "flights")
    by_id = {row["id"]: row for row in rows.iter_rows(named=True)}
    for number, (key, one) in enumerate(zip(keys, answer["predictions"], strict=True)):
        row = by_id[one["id"]]
        assert row["key"] == key
        assert row["in.x"] == float(number % 9)
        assert row["release"] == one.get("release", answer["release"])
        assert row["role"] == ("canary" if bucket_of("x", key) < 5000 else "champion")
    assert set(rows["role"]) == {"canary", "champion"}


def test_the_shadow_sees_every_row_of_the_champion_and_never_answers(flights: Caller, real: Site) -> None:
    flights.follows(split(real, "flights/1", shadow=add_release(real, 2)))

    answers = [flights.predict(ROW)[1] for _ in range(20)]
    flights.until(lambda: capture.read(real, "flights").filter(pl.col("role") == "shadow").height == 20)

    rows = capture.read(real, "flights")
    ids = {answer["predictions"][0]["id"] for answer in answers}
    shadow = rows.filter(pl.col("role") == "shadow")
    assert {answer["release"] for answer in answers} == {"flights/1"}
    assert set(rows.filter(pl.col("role") == "champion")["id"]) == ids
    assert set(shadow["pair"]) == ids
    assert set(shadow["release"]) == {"flights/2"}


def test_rows_that_only_the_canary_refuses_count_against_it(flights: Caller, real: Site) -> None:
    narrow = replace(CONTRACT.columns[0], max=0.1, strict=True)
    contract = replace(CONTRACT, columns=(narrow, *CONTRACT.columns[1:]))
    candidate = add_release(real, 2, bundle_of(real, 2, contract))
    flights.follows(split(real, "flights/1", canary=candidate, canary_weight_bp=5000, salt="x"))
    keys = [str(number) for number in range(40)]
    met = [key for key in keys if bucket_of("x", key) < 5000]

    statuses = Counter(flights.predict(ROW, key=key)[0] for key in keys)
    nonsense = flights.predict({"x": "nonsense", "city": "EWR"}, key=met[0])[0]

    rows = capture.read(real, "flights").filter(pl.col("role") == "canary")
    assert statuses == {422: len(met), 200: len(keys) - len(met)}
    assert nonsense == 422
    assert sorted(rows["key"]) == sorted(met)
    assert set(rows["status"]) == {"error"}
    assert set(rows["error"].str.slice(0, 15)) == {"contract-broken"}


def test_a_request_that_one_of_two_queues_cannot_take_is_not_asked_in_part(real: Site) -> None:
    split(real, add_release(real, 1))
    with serving(real, queue_max=1) as caller, ThreadPoolExecutor(2) as pool:
        caller.follows(split(real, "flights/1", canary=add_release(real, 2), canary_weight_bp=5000, salt="x"))
        keys = sorted(map(str, range(20)), key=lambda key: bucket_of("x", key))
        lane = caller.gateway.board.routes["flights"].warm["flights/2"].lane
        busy = pool.submit(caller.predict, {"x": WAIT, "city": None}, key=keys[0])
        caller.until((real.hidden / "gate" / "waiting").exists)
        queued = pool.submit(caller.predict, ROW, key=keys[1])
        caller.until(lambda: lane.queued_rows == 1)

        status, answer = caller.predict(ROW, ROW, key=[keys[-1], keys[2]])

        (real.hidden / "gate" / "go").write_text("go")
        assert (busy.result()[0], queued.result()[0]) == (200, 200)
    assert (status, answer["code"]) == (503, "queue-full")
    assert sorted(capture.read(real, "flights")["key"]) == sorted(keys[:2])
