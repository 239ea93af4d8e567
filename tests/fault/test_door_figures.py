"""What the door costs and how soon it shuts, on two servers that share one store, with figures."""

from __future__ import annotations

import base64
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from statistics import median

import pytest

from ropewalk.access import tokens, users
from ropewalk.access.roles import Grant
from ropewalk.demo.server import free_port
from ropewalk.house import open_house

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
PATH = "/api/2.0/mlflow/experiments/get?experiment_id=0"
PASSWORD = "correct horse battery staple"
TIMES = 500 if "ROPEWALK_KILLS" in os.environ else 100


class Door:
    """One server of a project whose callers have to say who they are."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        words = [sys.executable, "-m", "ropewalk", "--project", str(root), "up", "--auth", "--port", str(self.port)]
        with (root / f"{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait for its first answer."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError), closing(self.line()) as line:
                if self.ask(line, "", "/health")[0] == 200:
                    return
        raise AssertionError("it does not answer")

    def line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @staticmethod
    def ask(line: http.client.HTTPConnection, who: str, path: str = PATH) -> tuple[int, float]:
        """Ask once; return status and seconds."""
        began = time.perf_counter()
        line.request("GET", path, headers={"Authorization": who} if who else {})
        answer = line.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - began


@contextmanager
def doors(root: Path) -> Iterator[tuple[Door, Door]]:
    with ExitStack() as stack:
        both = Door(root), Door(root)
        for one in both:
            stack.callback(one.process.wait, 40)
            stack.callback(one.process.terminate)
        for one in both:
            one.wait()
        yield both


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_the_door_of_two_servers_is_quick_and_shuts_within_a_second(tmp_path: Path) -> None:
    (tmp_path / "ropewalk.toml").write_text('name = "door"\n')
    with open_house(tmp_path) as house:
        site = house.site

        def enter(tx) -> tuple[tokens.Token, str]:
            for name in ("ann", "bob"):
                users.add(tx, site, name, password=PASSWORD)
                users.grant(tx, site, name, Grant(role="developer"))
            return tokens.create(tx, site, "ann", scope=Grant(role="developer"))

        made, secret = site.db.write(enter)
        bearer = f"Bearer {secret}"
        with doors(tmp_path) as both, ExitStack() as lines:
            first, second = (lines.enter_context(closing(one.line())) for one in both)
            known = [Door.ask(first, bearer) for _ in range(TIMES)]
            public = [Door.ask(first, "", "/health")[1] for _ in range(TIMES)]
            logins = [Door.ask(line, basic("ann", PASSWORD)) for line in (first, second)]
            assert Door.ask(second, bearer)[0] == 200

            site.db.write(lambda tx: tokens.revoke(tx, site, made.id))
            revoked = time.perf_counter()
            shut = [0.0, 0.0]
            while not all(shut) and time.perf_counter() - revoked < 10:
                for place, line in enumerate((first, second)):
                    if not shut[place] and Door.ask(line, bearer)[0] == 401:
                        shut[place] = time.perf_counter() - revoked
            wrong = [Door.ask(line, basic("bob", "wrong wrong"))[0] for line in (first, second, first, second, first)]
            sixth = [
                Door.ask(line, basic("bob", word))[0] for line in (first, second) for word in ("no no no", PASSWORD)
            ]
    asked = median(seconds for _, seconds in known) - median(public)
    print(  # noqa: T201 - the figures
        f"a known token costs {asked * 1e6:.0f} us more than none by the clock, a password {logins[0][1] * 1e3:.0f} ms,"
        f" revoked on both servers after {max(shut):.2f} s; wrong passwords {wrong}, then {sixth}"
    )
    assert {status for status, _ in (*known, *logins)} == {200}
    assert all(shut)
    assert max(shut) < 5  # a second is the goal; a busy machine adds what it adds
    assert wrong == [401] * 5
    assert sixth == [429] * 4
