"""An open loop: requests are due by the clock, whether or not earlier ones were answered, as from many strangers.

The caller is `openloop.c` beside this file, compiled on the spot: it shares two cores with the server that it measures,
and one written in Python would be the first of the two to be overloaded. It also says what it cost itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from measure.writers import MARK

SOURCE = Path(__file__).with_name("openloop.c")
ENDED_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What an open loop came to; times are from leaving to the whole answer.

    Attributes:
        seconds: how long it went on.
        due: requests that were due in all seconds.
        carried: those that left; the others found no connection free.
        good: answered with 200.
        good_late: those of them whose answer came after the end.
        good_p50_ms: half of those took less.
        good_p99_ms: 99 of 100 of those took less; -1 where there are none, as below.
        good_most_ms: the slowest of those.
        refused: answered with 429 or 503 and Retry-After.
        refused_p50_ms: half of those took less.
        refused_p99_ms: 99 of 100 of those took less.
        refused_within_50_ms: the share of those that took no more.
        others: anything else: another status, a refusal without Retry-After, a broken connection.
        unanswered: left, and had no answer five seconds after the end.
        cpu_seconds: processor time of the caller itself.
    """

    seconds: float
    due: int
    carried: int
    good: int
    good_late: int
    good_p50_ms: float
    good_p99_ms: float
    good_most_ms: float
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    refused_within_50_ms: float
    others: int
    unanswered: int
    cpu_seconds: float


class Caller:
    """The caller, compiled into a folder.

    Args:
        folder: for the program and what it sends.
        url: what is posted to.
        bodies: JSON of one length each, with `MARK` where the next step shall be, if anywhere.
    """

    def __init__(self, folder: Path, url: str, bodies: list[object]) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise SystemExit("the caller of an open loop is written in C: install a compiler, such as the package gcc")
        self._program, self._requests = folder / "openloop", folder / "requests"
        subprocess.run([compiler, "-O2", "-o", str(self._program), str(SOURCE)], check=True)
        self._parts = urlsplit(url)
        made = [self._request(json.dumps(body).encode()) for body in bodies]
        self._bytes, self._step_at = len(made[0]), made[0].find(b"%d" % MARK)
        assert all((len(one), one.find(b"%d" % MARK)) == (self._bytes, self._step_at) for one in made), "of one length"
        self._requests.write_bytes(b"".join(made))

    def _request(self, body: bytes) -> bytes:
        head = f"POST {self._parts.path} HTTP/1.1\r\nHost: {self._parts.netloc}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def begin(self, rate: float, seconds: float, connections: int) -> subprocess.Popen[str]:
        """Let so many connections in, then begin to ask so many times a second; at 0 each asks again once answered."""
        words: list[object] = [self._program, self._parts.hostname, self._parts.port, rate, seconds, connections]
        words += [self._requests, self._bytes, self._step_at]
        child = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        return child


def said(child: subprocess.Popen[str]) -> Flood:
    """Wait for the end; return what it came to."""
    text = child.communicate(timeout=ENDED_SECONDS)[0]
    if child.returncode:
        raise SystemExit(f"the open loop ended with {child.returncode}")
    return Flood(**json.loads(text))
