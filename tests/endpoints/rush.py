"""What a rush asks, and the judge whom the tests of admission ask about it."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.endpoints.admission import Admission

REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy"
REFUSALS = [REFUSAL.replace(b"after: 1", b"after: %d" % seconds) for seconds in (1, 2, 3)]
LINE = "POST /write"
HEAD = b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def request(body: bytes = b"{}", more: bytes = b"", head: bytes = HEAD) -> bytes:
    return b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(body), more, body)


def judge(pace: Callable[[], float] = lambda: 0.0) -> Admission:
    return Admission(lines=(LINE,), apart=b"x-apart", refusals=REFUSALS, pace=pace)
