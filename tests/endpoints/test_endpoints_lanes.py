from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest

from endpoints.live import ROW, Caller, add_release, bundle_of, serving, split
from endpoints.stand_in_worker import CRASH, FAIL, HANG, WAIT
from ropewalk.endpoints import capture, gateway
from ropewalk.endpoints.items import statuses
from ropewalk.endpoints.runtime import Worker
from ropewalk.releases import release as releases
from ropewalk.releases.bundle import read_bundle
from ropewalk.site import Site


def held(site: Site, caller: Caller) -> threading.Thread:
    """Start a request that keeps the only worker busy until `let_go`."""
    asking = threading.Thread(target=caller.predict, args=({"x": WAIT, "city": None},))
    asking.start()
    caller.until((site.hidden / "gate" / "waiting").exists)
    return asking


def let_go(site: Site, asking: threading.Thread) -> None:
    (site.hidden / "gate" / "go").write_text("go")
    asking.join(10)


def test_what_queued_while_the_last_batch_ran_goes_as_one(flights: Caller, real: Site) -> None:
    lane = flights.gateway.board.routes["flights"].champion.lane
    asking = held(real, flights)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(flights.predict, {"x": float(n), "city": None}) for n in range(8)]
        flights.until(lambda: lane.queued_rows == 8)
        let_go(real, asking)
        found = [answer.result() for answer in answers]

    rows = {row["id"]: row["in.x"] for row in capture.read(real, "flights").iter_rows(named=True)}
    assert [status for status, _ in found] == [200] * 8
    assert [rows[answer["predictions"][0]["id"]] for _, answer in found] == [float(n) for n in range(8)]
    assert capture.read(real, "flights")["latency_us"].min() > 0


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(real: Site) -> None:
    split(real, add_release(real, 1))
    with serving(real, queue_max=3) as caller:
        lane = caller.gateway.board.routes["flights"].champion.lane
        asking = held(real, caller)
        with ThreadPoolExecutor(3) as pool:
            queued = [pool.submit(caller.predict) for _ in range(3)]
            caller.until(lambda: lane.queued_rows == 3)

            status, headers, body = caller.ask("POST", "/endpoints/flights/predict", {"records": [ROW]})

            let_go(real, asking)
            later = [one.result()[0] for one in queued]

    assert (status, json.loads(body)["code"]) == (503, "queue-full")
    assert int(headers["retry-after"]) >= 1
    assert later == [200] * 3


def test_a_request_that_waited_past_its_deadline_is_not_asked(flights: Caller, real: Site) -> None:
    asking = held(real, flights)

    status, answer = flights.predict(headers={"X_Ropewalk_Deadline_Ms": "30"})

    let_go(real, asking)
    assert (status, answer["code"]) == (503, "deadline-passed")
    assert sorted(capture.read(real, "flights")["status"]) == ["ok", "timeout"]


def test_nobody_works_for_a_caller_who_left(flights: Caller, real: Site) -> None:
    asking = held(real, flights)
    lane = flights.gateway.board.routes["flights"].champion.lane
    leaver = Caller(url=flights.url)

    def leave() -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            leaver.predict()

    gone = threading.Thread(target=leave)
    gone.start()
    flights.until(lambda: lane.queued_rows == 1)
    threading.Event().wait(0.1)  # past the time from which the lane looks

    leaver.opened[0].sock.shutdown(2)
    gone.join(10)
    for _ in range(2):  # whoever is answered after the end of that connection comes from a loop that has seen it
        assert flights.ask("GET", "/v2/health/live")[0] == 200
    leaver.close()
    let_go(real, asking)
    status, _ = flights.predict()

    assert status == 200
    assert capture.read(real, "flights").height == 2


def test_a_crash_is_told_recorded_and_mended(flights: Caller, real: Site) -> None:
    lane = flights.gateway.board.routes["flights"].champion.lane
    before = lane.pids

    status, answer = flights.predict({"x": CRASH, "city": None})
    after, _ = flights.predict()

    assert (status, answer["code"]) == (503, "worker-died")
    assert after == 200
    assert lane.pids != before
    assert capture.read(real, "flights")["status"].to_list() == ["error", "ok"]


def test_a_machine_that_refuses_processes_for_a_while_is_asked_again(
    flights: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = flights.gateway.board.routes["flights"].champion.lane
    start, refusals = gateway.start_worker, iter([OSError(11, "no more processes"), OSError(12, "no memory")])

    async def refused(*words: Any, **more: Any) -> Worker:
        for error in refusals:
            raise error
        return await start(*words, **more)

    monkeypatch.setattr(gateway, "start_worker", refused)
    os.kill(lane.pids[0], signal.SIGKILL)

    flights.until(lambda: lane.restarts > 1)  # the refusals were met
    flights.until(lambda: lane.ready)
    assert flights.predict()[0] == 200


def test_a_worker_that_hangs_is_ended_at_the_deadline(real: Site) -> None:
    split(real, add_release(real, 1))
    with serving(real, deadline_ms=300) as caller:
        began = time.monotonic()
        status, answer = caller.predict({"x": HANG, "city": None})
        took = time.monotonic() - began
        caller.until(lambda: caller.predict()[0] == 200)

    assert (status, answer["code"]) == (503, "deadline-passed")
    assert took < 3
    assert capture.read(real, "flights")["status"].to_list()[0] == "timeout"


def test_a_model_that_fails_says_so_and_stays(flights: Caller, real: Site) -> None:
    lane = flights.gateway.board.routes["flights"].champion.lane
    before = lane.pids

    status, answer = flights.predict({"x": FAIL, "city": None})

    assert (status, answer["why"]) == (500, "the model says no")
    assert lane.pids == before
    assert capture.read(real, "flights")["error"].to_list() == ["model-failed: The model failed on these rows."]


def refuse(site: Site, release: str) -> None:
    """Have the stand-in worker refuse to load a release's model."""
    with site.db.read() as reader:
        bundle = releases.get(reader, release).bundle
    (site.hidden / "gate" / "refuse").write_text(read_bundle(site.blobs, bundle).manifest)


def test_a_release_that_cannot_load_never_takes_the_champions_place(flights: Caller, real: Site) -> None:
    broken = add_release(real, 2)
    refuse(real, broken)

    split(real, broken, previous="flights/1")
    flights.until(lambda: "flights" in flights.gateway.board.problems)
    status, answer = flights.predict()
    ready, _, body = flights.ask("GET", "/v2/health/ready")

    assert (status, answer["release"]) == (200, "flights/1")
    assert json.loads(body)["problems"]["flights"]["code"] == "blob-corrupt"
    assert ready == 200


def test_a_canary_that_cannot_load_fails_honestly_for_its_share_alone(flights: Caller, real: Site) -> None:
    broken = add_release(real, 2)
    refuse(real, broken)
    flights.follows(split(real, "flights/1", canary=broken, canary_weight_bp=5000, salt="x"))

    found = Counter(flights.predict(key=str(number))[0] for number in range(40))

    rows = capture.read(real, "flights")
    assert set(found) == {200, 503}
    assert rows.filter(pl.col("role") == "canary")["status"].to_list() == ["error"] * found[503]
    assert rows.filter(pl.col("role") == "champion")["status"].to_list() == ["ok"] * found[200]


def test_a_tampered_bundle_is_refused_and_the_old_release_goes_on(flights: Caller, real: Site) -> None:
    bad = add_release(real, 2)
    path = real.blobs.path_of(bundle_of(real, 2))
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)

    split(real, bad)
    flights.until(lambda: "flights" in flights.gateway.board.problems)

    assert flights.gateway.board.problems["flights"].code == "blob-corrupt"
    assert flights.predict()[1]["release"] == "flights/1"


def test_switching_under_load_loses_no_request_and_answers_from_no_third_release(flights: Caller, real: Site) -> None:
    names = ["flights/1", add_release(real, 2), add_release(real, 3)]
    stop = threading.Event()
    switched = 0
    found: list[tuple[int, int, str]] = []

    def hammer() -> None:
        while not stop.is_set():
            asked = switched
            status, answer = flights.predict()
            found.append((asked, status, answer.get("release", "")))

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for turn in range(1, 7):
        new, old = names[turn % 3], names[(turn - 1) % 3]
        flights.follows(split(real, new, previous=old))
        switched = turn
        seen = len(found)
        flights.until(lambda new=new, seen=seen: new in {release for _, _, release in found[seen:]})
    stop.set()
    for thread in threads:
        thread.join(10)

    # Who asked after a switch is answered by it, or by the next one: never by what was live before.
    late = [one for one in found if one[2] not in (names[one[0] % 3], names[(one[0] + 1) % 3])]
    assert late == []
    assert {status for _, status, _ in found} == {200}
    assert capture.read(real, "flights").height == len(found)
    assert len(flights.gateway.board.routes["flights"].warm) == 2


def test_an_old_release_ends_when_nothing_names_it_any_more(flights: Caller, real: Site) -> None:
    old = flights.gateway.board.routes["flights"].champion.lane
    flights.follows(split(real, add_release(real, 2)))

    flights.until(lambda: not old.ready)

    assert flights.predict()[1]["release"] == "flights/2"


def test_status_of_outputs() -> None:
    inf = float("inf")

    assert statuses({"probability": [0.5, 1.5, -0.1, float("nan"), inf]}, 5) == ["ok"] + ["invalid_output"] * 4
    assert statuses({"prediction": [1e308, 1e308, inf], "label": ["a", "b", "c"]}, 3) == ["ok", "ok", "invalid_output"]
    assert statuses({"probability.a": [1.0], "probability.b": [0.0]}, 1) == ["ok"]


@pytest.mark.parametrize(("poison", "wanted"), [(CRASH, 503), (FAIL, 500)])
def test_who_makes_the_model_fail_harms_nobody_else(flights: Caller, real: Site, poison: float, wanted: int) -> None:
    lane = flights.gateway.board.routes["flights"].champion.lane
    asking = held(real, flights)

    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(flights.predict, {"x": x, "city": None}) for x in (1.0, 2.0, poison, 3.0, 4.0)]
        flights.until(lambda: lane.queued_rows == 5)
        let_go(real, asking)
        found = [answer.result()[0] for answer in answers]

    assert found == [200, 200, wanted, 200, 200]
    assert sorted(capture.read(real, "flights")["status"]) == ["error", *["ok"] * 5]


def test_a_canary_whose_bundle_was_changed_fails_on_the_record(flights: Caller, real: Site) -> None:
    bad = add_release(real, 2)
    path = real.blobs.path_of(bundle_of(real, 2))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b" ")

    flights.follows(split(real, "flights/1", canary=bad, canary_weight_bp=10_000))
    status, answer = flights.predict()
    flights.follows(split(real, "flights/1"))

    assert (status, "blob-corrupt" in answer["why"]) == (503, True)
    assert flights.predict()[0] == 200
    rows = capture.read(real, "flights")
    assert rows.select("release", "role", "status").rows()[0] == ("flights/2", "canary", "error")
