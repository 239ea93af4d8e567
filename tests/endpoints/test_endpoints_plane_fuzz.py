"""Bytes that no client sends: a data plane answers them as the home process does, in whichever pieces they come."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from endpoints.live import Caller, serving
from endpoints.plane_stand import GOOD, ROW, Wire, first, given_away, has_plane, http, plane_stand
from ropewalk.endpoints import capture, connection
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.site import Site

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

EXAMPLES = 1500 if "ROPEWALK_KILLS" in os.environ else 20
SILENT, SURELY_SILENT = 0.1, 2.0
PREDICT = "/endpoints/flights/predict"
BODY = b'{"records": [{"x": 3.5, "wind": 0.5}]}'
CHUNKS = (
    b"26\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"1\r\n{\r\n25\r\n" + BODY[1:] + b"\r\n0\r\n\r\n",
    b"26;a=b\r\n" + BODY + b"\r\n0\r\nX: 1\r\n\r\n",
    b"027\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"0x26\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"-26\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"26\n" + BODY + b"\n0\n\n",
    b"ffffffffffffffff\r\n" + BODY,
)
LINES = (
    b"Content-Length: 0", b"Content-Length: 38", b"Content-Length: 39", b"Content-Length: 38, 38",
    b"Content-Length: 0x26", b"Content-Length:", b"Content-Length : 38", b"Content-Length: 18446744073709551654",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity", b"transfer-encoding:\tchunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding:\x0bchunked", b"Host: HOST", b"Host: other.example", b"Host:", b"Connection: close",
    b"Connection: keep-alive, close", b"Connection: Upgrade\r\nUpgrade: websocket", b"Expect: 100-continue",
    b"Content-Type: text/csv", b"Content-Encoding: gzip", b"Cookie: a=b", b"X-Forwarded-For: 10.0.0.1", b"A: b\r\n c",
    b"A\x00: b", b"A: b\x00", b"A: b\rContent-Length: 1", b"A: b\nContent-Length: 1", b": b", b"nothing",
    b"\xff\xfe: a",
    b"X: LONG", b"X: HUGE", b"Origin: null", b"Sec-Fetch-Site: cross-site",
)  # fmt: skip
WHOLE = (
    GOOD, GOOD, GOOD, http(PREDICT, {"records": [ROW, {"x": 1, "wind": 0}]}),
    http("/invocations", {"instances": [[3.5, 0.5]]}),
    http("/endpoints/flights/invocations", b"x,wind\n1,2\n", kind="text/csv"),
    http(PREDICT, {"records": [{"x": "much"}]}), http(PREDICT, b""), http(PREDICT, b"{" * 300),
    b"GET /endpoints/flights HTTP/1.1\r\nHost: HOST\r\n\r\n", b"\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    http(PREDICT, GOOD), http(PREDICT, {"records": [ROW] * 60}),
)  # fmt: skip
_PATH = b"/endpoints/flights/predict"
TARGETS = (
    b"POST %b HTTP/1.1" % _PATH, b"POST %b HTTP/1.0" % _PATH, b"POST  %b HTTP/1.1" % _PATH,
    b"POST http://HOST%b HTTP/1.1" % _PATH, b"POST %b" % _PATH, b"post %b HTTP/1.1" % _PATH,
    b"POST /endpoints/..%b HTTP/1.1" % _PATH, b"POST %b HTTP/1.1 " % _PATH, b"POST %b\tHTTP/1.1" % _PATH,
    b"PUT %b HTTP/1.1" % _PATH, b"POST /endpoints/flights%00/predict HTTP/1.1",
)  # fmt: skip


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    """One request, honest or with something wrong about it."""
    kind = draw(st.integers(0, 9))
    if kind < 3:
        return draw(st.sampled_from(WHOLE))
    if kind < 4:
        return (
            b"POST "
            + PREDICT.encode()
            + b" HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
            + draw(st.sampled_from(CHUNKS))
        )
    line, _, rest = GOOD.partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if kind < 5:
        line = draw(st.sampled_from(TARGETS))
    for extra in draw(st.lists(st.sampled_from(LINES), max_size=2)):
        lines.insert(draw(st.integers(0, len(lines))), extra)
    if draw(st.integers(0, 4)) == 0:
        del lines[draw(st.integers(0, len(lines) - 1))]
    made = b"\r\n".join([line, *lines]) + b"\r\n\r\n" + body
    if kind > 7:
        at = draw(st.integers(0, len(made) - 1))
        made = made[:at] + draw(st.binary(max_size=2)) + made[at + draw(st.integers(0, 2)) :]
    return made


STREAM = st.lists(_request(), min_size=1, max_size=3).map(lambda after: [GOOD, *after])
PIECES = st.tuples(STREAM, st.lists(st.integers(0, 800), max_size=4))


def _said(wire: Wire, pieces: list[bytes], *, silent: float, one_by_one: bool = False) -> list[bytes]:
    """Send bytes in pieces; return every answer until the end, or until nothing more comes.

    Args:
        wire: where.
        pieces: the bytes.
        silent: seconds after which nothing more comes.
        one_by_one: whether the answers to one piece are waited for before the next is sent.
    """
    wire.socket.settimeout(silent)
    found: list[bytes] = []
    silence = False
    for at, piece in enumerate(pieces, 1):
        silence = False
        with suppress(OSError):
            wire.socket.sendall(piece.replace(b"HOST", wire.host.encode()))
        while not silence and (one_by_one or at == len(pieces)):
            try:
                came = wire.answer()
            except OSError:
                silence = True
                break
            if not came:
                break
            came = came.replace(wire.host.encode(), b"HOST")
            found.append(re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", b"ID", came))
    wire.close()
    return [*found, b"silence" if silence else b"end"]


def _is_as(one: list[bytes], two: list[bytes]) -> bool:
    """Say whether a data plane's answers are those of the home process.

    Where something malformed comes in one piece with what is well formed and stands before it, uvicorn answers the last
    alone. So answers may be missing before such an end, and never one more or another.
    """
    if one == two:
        return True
    cut = len(one) - 2
    return 0 <= cut <= len(two) and one[cut:] == two[-2:] and b'"http-malformed"' in one[cut] and one[:cut] == two[:cut]


@contextmanager
def both(site: Site) -> Iterator[tuple[Caller, Caller]]:
    """Two gateways before one endpoint, the second without data planes."""
    with plane_stand(site) as away, serving(site, command=COMMAND, plane=False) as home:
        yield away, home


@pytest.mark.fault
@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_whatever_bytes_come_in_whichever_pieces_it_is_answered_as_at_home(
    real: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWERS_MIN", 1)
    first(real, 1)
    answered = {200: 0}
    with both(real) as (away, home):
        given_away(away).close()
        pid = away.gateway.planes.links["flights"].pid

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(PIECES)
        def once(drawn: tuple[list[bytes], list[int]]) -> None:
            requests = [one.replace(b"LONG", b"a" * 5000).replace(b"HUGE", b"a" * 70_000) for one in drawn[0]]
            data = b"".join(requests)
            cuts = [0, *sorted({at for at in drawn[1] if at < len(data)}), len(data)]
            pieces = [data[start:end] for start, end in pairwise(cuts)]
            # Who is silent for a moment on a busy machine may still be about to speak.
            for silent, parts in product((SILENT, SURELY_SILENT), (pieces, requests)):
                wire = Wire(home.url)
                assert wire.ask()[0] == 200
                one = _said(given_away(away), pieces, silent=silent)
                two = _said(wire, parts, silent=silent, one_by_one=parts is requests)
                if _is_as(one, two):
                    break
            assert _is_as(one, two), drawn
            for part in one:
                status = int(part[9:12]) if part.startswith(b"HTTP/1.1 ") else 0
                assert status < 500, (data, part)
                answered[status] = answered.get(status, 0) + 1

        once()
        assert (away.gateway.planes.links["flights"].pid, has_plane(away)) == (pid, True)

    assert answered[200] > EXAMPLES / 4
    assert answered[400] > EXAMPLES / 10
    assert capture.read(real, "flights")["id"].is_unique().all()
