from __future__ import annotations

import gzip
import os
import re
import signal
import threading

import pytest

from endpoints.live import split
from endpoints.plane_stand import GOOD, ROW, Wire, first, given_away, has_plane, http, lines, plane_stand
from ropewalk.endpoints import capture, connection
from ropewalk.endpoints.segment import folder_of
from ropewalk.site import Site

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

PREDICT, INFER, SCORE = "/endpoints/flights/predict", "/v2/models/flights/infer", "/endpoints/flights/invocations"
TENSOR = {"name": "a", "shape": [1, 2], "datatype": "FP64", "data": [3.5, 0.5]}
CHUNKED = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", GOOD).replace(b"{", b"26\r\n{", 1)
CHUNKED += b"\r\n0\r\n\r\n"
ALIKE = [
    GOOD,
    http(PREDICT, {"records": [ROW, {"x": 1, "wind": 0}, {"x": 16.0, "wind": 1.5}], "key": ["a", None, "b"]}),
    http(PREDICT, {"records": [ROW], "key": "ann", "time": "2026-01-02T03:04:05Z"}),
    http(PREDICT, {"records": [ROW] * 40}),
    http(PREDICT, {"records": [ROW] * 5000}),
    http(PREDICT, {"records": [{"x": "much"}, *[ROW] * 5000]}),
    http(PREDICT, {"records": [ROW] * 9000}),
    http(INFER, {"inputs": [TENSOR], "id": "seven"}),
    http(INFER, {"inputs": [TENSOR], "outputs": [{"name": "label", "parameters": {"binary_data": True}}]}),
    http("/invocations", {"instances": [[3.5, 0.5], [1, 2]]}),
    http(SCORE, {"dataframe_split": {"columns": ["wind", "x"], "data": [[1, 2]]}, "params": {"outputs": ["label"]}}),
    http(SCORE, b"x,wind\n3.5,0.5\n", kind="text/csv"),
    GOOD * 3,
    GOOD + http(PREDICT, {"records": [{"x": "much"}]}) + GOOD,
    http(PREDICT, {"records": [{"x": 3.5}]}),
    http(PREDICT, {"records": [{**ROW, "y": 1}]}),
    http(PREDICT, {"records": [{"x": 1e300, "wind": -4}]}),
    http(PREDICT, b'{"records": [{"x": 1e999, "wind": 1}]}'),
    http(PREDICT, b'{"records": [{"x": 1, "x": 2, "wind": 1}]}'),
    http(PREDICT, {"records": []}),
    http(PREDICT, {"rows": [ROW]}),
    http(PREDICT, b'{"records": [{"x": "\xff\xfe"}]}'),
    http(PREDICT, b"[" * 5000),
    http(PREDICT, b""),
    http(PREDICT, {"records": [ROW], "time": "soon"}),
    http(INFER, {"inputs": [{**TENSOR, "shape": [2, 2]}]}),
    http(SCORE, {"instances": [[1]]}),
    http(PREDICT, {"records": [ROW]}, kind="text/plain"),
    http(PREDICT, {"records": [ROW]}, "X-Ropewalk-Release: flights/1"),
    http(PREDICT, {"records": [ROW]}, "X-Ropewalk-Release: flights/9"),
    http(PREDICT, {"records": [ROW]}, "X-Ropewalk-Deadline-Ms: none"),
    http(PREDICT, {"records": [ROW]}, "Origin: http://elsewhere.example"),
    http(PREDICT, {"records": [ROW]}, "Connection: close"),
    http(PREDICT, {"records": [ROW]}, "Accept: */*", "User-Agent: a/1", "Connection: keep-alive"),
    http(PREDICT, {"records": [ROW]}, "Inference-Header-Content-Length: 3"),
    http(PREDICT, gzip.compress(b'{"records": [{"x": 3.5, "wind": 0.5}]}', mtime=0), "Content-Encoding: gzip"),
    http(PREDICT, {"records": [ROW]}, "Host: other"),
    GOOD.replace(b"Host: HOST", b"Host: other.example"),
    GOOD.replace(b"flights", b"nights"),
    GOOD.replace(b"POST", b"GET"),
    GOOD.replace(b"predict", b"pre%64ict"),
    GOOD.replace(b"predict HTTP", b"predict?a=1 HTTP"),
    GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    GOOD.replace(b"Content-Length: ", b"content-length:\t"),
    GOOD.replace(b"Host: HOST\r\n", b"Host: HOST\r\nX: 1\r\n  folded\r\n"),
    GOOD.replace(b"Host: HOST\r\n", b"Host: HOST\nX: 1\r\n"),
    GOOD.replace(b"Content-Length: ", b"Content-Length: +"),
    GOOD.replace(b"Content-Length: ", b"Content-Length: 0\r\nContent-Length: "),
    GOOD.replace(b"Content-Length: ", b"Transfer-Encoding: chunked\r\nContent-Length: "),
    GOOD.replace(b"Content-Length: ", b"Transfer-Encoding : chunked\r\nContent-Length: "),
    GOOD.replace(b"Host: HOST\r\n", b"Host: HOST\r\nX: " + b"a" * 70_000 + b"\r\n"),
    GOOD.replace(b"Host: HOST\r\n", b"Host: HOST\r\nExpect: 100-continue\r\n"),
    GOOD + b"GET / HTTP/1.1\r\nHost: HOST\r\n\r\n",
    CHUNKED,
    b"\r\n\r\n" + GOOD,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWERS_MIN", 1)


def plain(answer: bytes) -> bytes:
    """An answer without what differs between two answers to one question."""
    return re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", b"ID", answer)


def answers(wire: Wire, data: bytes) -> list[bytes]:
    """Everything that comes for some bytes: as many answers as requests, with a last one behind them all."""
    wire.send(data)
    found: list[bytes] = []
    for _ in range(data.count(b" HTTP/1.")):
        found.append(plain(wire.answer()))
        if not found[-1] or b"connection: close" in found[-1]:
            break
    wire.close()
    return found


def test_a_data_plane_answers_byte_for_byte_as_the_home_process(real: Site) -> None:
    first(real, 1)
    with plane_stand(real) as caller:
        planes = caller.gateway.planes
        wire = given_away(caller)
        pid = planes.links["flights"].pid
        wire.close()

        away = [answers(given_away(caller), data) for data in ALIKE]
        alive = (planes.links["flights"].pid, has_plane(caller))
        planes.barred = lambda: True
        home = []
        for data in ALIKE:
            wire = Wire(caller.url)
            assert wire.ask()[0] == 200
            home.append(answers(wire, data))

    assert alive == (pid, True)
    for asked, one, other in zip(ALIKE, away, home, strict=True):
        assert one == other, asked[:200]
    assert sum(one[0].startswith(b"HTTP/1.1 200") for one in home) > 10
    captured = capture.read(real, "flights")
    assert captured["id"].is_unique().all()
    assert not list(folder_of(real, "flights").glob("*.journal"))


def test_a_switch_under_load_fails_nobody_and_the_new_release_answers_at_once(real: Site) -> None:
    made = first(real, 1, 2)
    end, failed, ids = threading.Event(), [], []
    with plane_stand(real) as caller:
        wires = [given_away(caller) for _ in range(3)]

        def hammer(wire: Wire) -> None:
            while not end.is_set():
                status, body = wire.ask()
                ids.extend(re.findall(rb'"id":"([^"]+)"', body))
                if status != 200:
                    failed.append(body)

        threads = [threading.Thread(target=hammer, args=(wire,)) for wire in wires]
        for thread in threads:
            thread.start()
        seen = []
        for champion in (made[1], made[0], made[1]):
            caller.follows(split(real, champion))
            watch = given_away(caller)
            seen.append([champion.encode() in watch.ask()[1] for _ in range(5)])
            watch.close()
        caller.follows(split(real, made[0], canary=made[1], canary_weight_bp=5000, salt="s"))
        both = given_away(caller)
        shared = {re.findall(rb'"release":"([^"]+)"', both.ask()[1])[0] for _ in range(60)}
        sticky = {plain(both.ask(http(PREDICT, {"records": [ROW], "key": "ann"}))[1]) for _ in range(10)}
        away = lines(caller)
        end.set()
        for thread in threads:
            thread.join(20)
        for wire in (*wires, both):
            wire.close()

    assert (failed, seen) == ([], [[True] * 5] * 3)
    assert (shared, len(sticky), away >= 4) == ({b"flights/1", b"flights/2"}, 1, True)
    captured = capture.read(real, "flights")
    assert {one.decode() for one in ids} <= set(captured["id"])
    assert set(captured["role"]) == {"champion", "canary"}
    assert captured.filter(captured["role"] == "canary")["release"].unique().to_list() == ["flights/2"]


def test_a_shadow_and_a_quota_bring_everybody_home(real: Site) -> None:
    made = first(real, 1, 2)
    with plane_stand(real) as caller:
        wire = given_away(caller)
        link = caller.gateway.planes.links["flights"]

        caller.follows(split(real, made[0], shadow=made[1]))
        at_home = wire.ask()
        caller.until(lambda: link.connections == 0)
        caller.follows(split(real, made[0]))
        again = given_away(caller)
        caller.gateway.planes.barred = lambda: True
        assert again.ask()[0] == 200
        caller.until(lambda: not has_plane(caller))
        kept = [again.ask()[0] for _ in range(6)]
        wire.close()
        again.close()

    assert (at_home[0], kept) == (200, [200] * 6)
    captured = capture.read(real, "flights")
    assert "shadow" in set(captured["role"])


def test_a_killed_data_plane_loses_no_answered_prediction_and_is_replaced(real: Site) -> None:
    first(real, 1)
    ids: list[bytes] = []
    with plane_stand(real) as caller:
        wires = [given_away(caller) for _ in range(2)]
        link = caller.gateway.planes.links["flights"]
        for wire in wires * 20:
            ids += re.findall(rb'"id":"([^"]+)"', wire.ask()[1])

        os.kill(link.pid, signal.SIGKILL)
        ended = [wire.ask()[0] for wire in wires]
        caller.until(lambda: not link.live)
        anew = Wire(caller.url)
        status, body = anew.ask()
        replaced = given_away(caller)
        pid = caller.gateway.planes.links["flights"].pid
        for wire in (*wires, anew, replaced):
            wire.close()

    assert (ended, status, pid != link.pid) == ([0, 0], 200, True)
    captured = capture.read(real, "flights")
    assert {one.decode() for one in [*ids, *re.findall(rb'"id":"([^"]+)"', body)]} <= set(captured["id"])
    assert not list(folder_of(real, "flights").glob("*.journal"))


def test_what_comes_slowly_or_idles_goes_home_or_ends_and_the_counts_are_whole(real: Site) -> None:
    first(real, 1)
    with plane_stand(real) as caller:
        half = given_away(caller)
        half.send(GOOD[:60])
        caller.until(lambda: lines(caller) == 0)
        half.send(GOOD[60:].replace(b"HOST", half.host.encode()))
        late = half.answer()
        wire = given_away(caller)
        asked = sum(wire.ask()[0] == 200 for _ in range(30))

        def counted() -> bool:
            text = caller.gateway.meters.text().decode()
            found = re.findall(r'ropewalk_(?:predictions|http_answers)_total\{.*"\} (\d+)', text)
            rows = capture.read(real, "flights").height
            return len(found) == 2 and {float(one) for one in found} == {rows}

        caller.until(counted)
        status = caller.ask("GET", "/metrics")[0]
        wire.close()
        half.close()

    assert (late[:12], asked, status) == (b"HTTP/1.1 200", 30, 200)
