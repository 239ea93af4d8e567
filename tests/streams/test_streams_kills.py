"""A topic is scored on real brokers, killed at every kind of place: no message is lost, none has its effect twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from endpoints.live import add_release, split
from endpoints.stand_in_worker import FAIL
from ropewalk.clock import SystemClock
from ropewalk.endpoints import capture
from ropewalk.evidence.verify import verify
from ropewalk.parts import Stream
from ropewalk.site import Site
from ropewalk.store.database import Row
from ropewalk.streams.connect import connect

pytest.importorskip("aiokafka")

TESTS = Path(__file__).parents[1]
PLACES = {
    "rabbit": ("ROPEWALK_TEST_RABBIT", "amqp://guest:guest@127.0.0.1:5672/"),
    "redis": ("ROPEWALK_TEST_REDIS", "redis://127.0.0.1:6379/0"),
    "nats": ("ROPEWALK_TEST_NATS", "nats://127.0.0.1:4222"),
}
KILLS = range(1, 30) if int(os.environ.get("ROPEWALK_KILLS", "0")) else (3, 6, 9)


@pytest.fixture(params=["rabbit", "redis", "nats", "kafka"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the address of a broker that runs; Kafka's is librdkafka's own, in memory, over the real protocol."""
    if request.param == "kafka":
        producer = pytest.importorskip("confluent_kafka").Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "x"}
        )
        request.node.producer = producer  # the broker lives as long as its producer
        broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
        return f"kafka://{broker.host}:{broker.port}"
    variable, usual = PLACES[request.param]
    found = os.environ.get(variable, usual)
    import socket

    parts = urlsplit(found)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), 2).close()
    except OSError:
        assert variable not in os.environ, f"{variable} names a broker that does not answer"
        pytest.skip(f"no broker at {parts.hostname}:{parts.port}: set {variable}")
    return found


def put(url: str, topic: str, bodies: list[bytes]) -> None:
    async def whole() -> None:
        # A consumer of another group opens topics as ours does, and takes nothing.
        broker = connect(Stream(name="writer", broker="redis://x", topic=f"{topic}-none", results=topic, group="none"))
        await broker.open()
        for number, body in enumerate(bodies):
            await broker.put(topic, body, f"m{number}")
        await broker.close()

    os.environ["ROPEWALK_STREAM_WRITER"] = url
    asyncio.run(whole())


def published(url: str, topic: str, count: int) -> list[dict[str, object]]:
    async def whole() -> list[dict[str, object]]:
        broker = connect(Stream(name="writer", broker="redis://x", topic=topic, group=f"look-{uuid4()}", batch=1000))
        await broker.open()
        found: list[dict[str, object]] = []
        empty, end = 0, time.monotonic() + 20
        while time.monotonic() < end and (len({str(one["message"]) for one in found}) < count or empty < 1):
            taken = await broker.take(100, 0.05)
            empty = 0 if taken else empty + 1
            found += [json.loads(one.body) for one in taken]
        await broker.close()
        return found

    os.environ["ROPEWALK_STREAM_WRITER"] = url
    return asyncio.run(whole())


def begin(site: Site, url: str, topic: str, kill_at: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, str(TESTS / "streams" / "stream_process.py"), str(site.root), "redis://x"]
    told = {**os.environ, "PYTHONPATH": str(TESTS), "ROPEWALK_STREAM_SCORES": url}
    return subprocess.Popen([*words, topic, f"{topic}-out", str(kill_at)], env=told)


def until(met: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)


def rows_of(site: Site) -> list[Row]:
    with site.db.read() as reader:
        return [
            row
            for state in ("done", "dead", "trying")
            for row in reader.rows("streams.in_state", stream="scores", state=state, count=1000)
        ]


@pytest.mark.fault
@pytest.mark.skipif("ROPEWALK_TEST_STREAMS" not in os.environ, reason="half a minute a broker: ROPEWALK_TEST_STREAMS=1")
def test_every_message_has_its_effect_once_wherever_the_consumer_is_killed(
    site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    for name in ("ROPEWALK_STREAM_WRITER", "ROPEWALK_STREAM_SCORES"):
        monkeypatch.setenv(name, url)
    site = replace(site, clock=SystemClock())
    split(site, add_release(site, 1))
    topic = f"ropewalk-test-{uuid4()}"
    bodies = [json.dumps({"x": number / 10}).encode() for number in range(10)]
    wrong = [b"no JSON", json.dumps({"x": FAIL}).encode()]
    put(url, topic, [*bodies, *wrong])

    for kill_at in KILLS:
        child = begin(site, url, topic, kill_at)
        with suppress(subprocess.TimeoutExpired):
            child.wait(6)
        child.kill()
        child.wait()
    last = begin(site, url, topic, 0)
    try:
        until(lambda: len([row for row in rows_of(site) if row["state"] != "trying" and row["published"]]) == 12)
        found = published(url, f"{topic}-out", 10)
    finally:
        last.send_signal(signal.SIGTERM)
        assert last.wait(40) == 0

    rows = rows_of(site)
    done = {str(row["message"]): str(row["prediction"]) for row in rows if row["state"] == "done"}
    assert (len(done), len(rows)) == (10, 12)
    assert {str(row["error"]).partition(":")[0] for row in rows if row["state"] == "dead"} == {
        "json-malformed",
        "model-failed",
    }
    # What is published may come twice, but then with the same id and the same words.
    assert {str(one["message"]) for one in found} == set(done)
    assert len({json.dumps(one) for one in found}) == 10
    captured = capture.read(site, "flights")
    assert captured["id"].is_unique().all()
    assert set(captured.filter(captured["status"] == "ok")["id"]) == set(done.values())
    assert captured.filter(captured["status"] == "error").height == 2  # the failing one, tried twice
    # The stand-in releases of this test are no signed bundles: segments and chain are what streams write.
    assert verify(site, only=frozenset({"segments", "ledger"})).findings == ()
