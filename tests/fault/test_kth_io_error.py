"""A server whose disk refuses the k-th call, whichever it is, loses and tears nothing, says so, and goes on."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from fault.failing_calls import FROM_THEN_ON, ONCE, Failing, shim
from fault.test_tracking_faults import LOG_BATCH, METRICS, batch, numbers_kept
from fault.tracker import Tracker

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900), pytest.mark.xdist_group("kth_io_error")]
# Every k in `make fault`; in the gate one of so many, from a place that the error and the way give.
STRIDE = int(os.environ.get("ROPEWALK_IO_STRIDE", "1" if "ROPEWALK_KILLS" in os.environ else "17"))
ERRORS = (errno.EIO, errno.ENOSPC)
FILES = "/api/2.0/mlflow-artifacts/artifacts"
PARTS = "/api/2.0/mlflow-artifacts/mpu"
LOUD = ("sqlite", "select ", "insert ", "pragma", "traceback", "/tmp", "errno")


@dataclass(kw_only=True)
class Told:
    """What the server was asked and what it acknowledged."""

    run: str
    number: int = 0
    batches: set[int] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)


class Scene:
    """A server before which the shim stands, and what was said to it."""

    def __init__(self, tracker: Tracker, failing: Failing) -> None:
        self.tracker, self.failing = tracker, failing
        self.told = Told(run=tracker.new_run())

    def send(
        self, method: str, path: str, data: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Ask once; whatever is refused must say so by a code and in words that tell no SQL and no path."""
        with closing(self.tracker.connect()) as line:
            line.request(method, path, data, headers or {"Content-Type": "application/json"})
            answer = line.getresponse()
            text, tag = answer.read(), answer.getheader("ETag", "")
        self.told.statuses[answer.status] += 1
        assert answer.status in (200, 503, 507), (answer.status, text, self.failing.seen(), self.tracker.log())
        if answer.status != 200:
            assert json.loads(text)["error_code"] in ("TEMPORARILY_UNAVAILABLE", "RESOURCE_EXHAUSTED"), text
            assert not any(word in text.decode().lower() for word in LOUD), text
        return answer.status, text, tag

    def rows(self) -> None:
        """Log a batch and begin a run."""
        self.told.number += 1
        number = self.told.number
        if self.send("POST", LOG_BATCH, json.dumps(batch(self.told.run, number)).encode())[0] == 200:
            self.told.batches.add(number)
        status, text, _ = self.send(
            "POST", "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0", "start_time": number}).encode()
        )
        if status == 200:
            self.told.runs.add(json.loads(text)["run"]["info"]["run_id"])

    def file(self) -> None:
        """Send a file whole."""
        self.told.number += 1
        path, data = f"whole/{self.told.number}.bin", random.Random(self.told.number).randbytes(200_000)
        self.told.seen.add(path)
        self.told.files[path] = hashlib.sha256(data).hexdigest()
        if self.send("PUT", f"{FILES}/{path}", data, {"Content-Type": "application/octet-stream"})[0] != 200:
            self._refused(path)

    def parts(self) -> None:
        """Send a file in two parts and put them together."""
        self.told.number += 1
        name = f"{self.told.number}.bin"
        path, halves = f"parts/{name}", [random.Random(self.told.number + part).randbytes(90_000) for part in (0, 1)]
        self.told.seen.add(path)
        self.told.files[path] = hashlib.sha256(b"".join(halves)).hexdigest()
        asked = json.dumps({"path": name, "num_parts": 2}).encode()
        status, text, _ = self.send("POST", f"{PARTS}/create/parts", asked)
        if status != 200:
            return self._refused(path)
        made = json.loads(text)
        tags = []
        for place, (half, one) in enumerate(zip(halves, made["credentials"], strict=True), 1):
            target = one["url"].partition(str(self.tracker.port))[2]
            status, _, tag = self.send("PUT", target, half, {"Content-Type": "application/octet-stream"})
            if status != 200:
                return self._refused(path)
            tags.append({"part_number": place, "etag": tag, "url": one["url"]})
        asked = json.dumps({"path": name, "upload_id": made["upload_id"], "parts": tags}).encode()
        if self.send("POST", f"{PARTS}/complete/parts", asked)[0] != 200:
            self._refused(path)
        return None

    def much(self) -> None:
        """Log so much that the log of SQLite is written back into its file at the end of the commit."""
        self.told.number += 1
        number = self.told.number
        body = batch(self.told.run, number)
        body["tags"] += [{"key": f"big{place}", "value": f"{number}" + "v" * 7_900} for place in range(40)]
        if self.send("POST", LOG_BATCH, json.dumps(body).encode())[0] == 200:
            self.told.batches.add(number)

    def _refused(self, path: str) -> None:
        """Note that nobody was promised a file; it may be there whole, or not at all."""
        self.told.files[f"?{path}"] = self.told.files.pop(path)

    def check(self) -> tuple[int, int]:
        """Return how much of what was acknowledged is lost, and how much of anything is torn."""
        kept = numbers_kept(self.tracker, self.told.run)
        lost = len(self.told.batches - set(kept))
        torn = sum(1 for parts in kept.values() if parts != METRICS + 2)
        for path, digest in self.told.files.items():
            with closing(self.tracker.connect()) as line:
                line.request("GET", f"{FILES}/{path.removeprefix('?')}")
                answer = line.getresponse()
                found = hashlib.sha256(answer.read()).hexdigest()
            lost += answer.status != 200 and not path.startswith("?")
            torn += answer.status == 200 and found != digest
            assert answer.status in (200, 404)
        for run in self.told.runs:
            lost += self.tracker.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")[0] != 200
        return lost, torn


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kth")
    failing = Failing(shim(folder), folder / "project" / ".ropewalk", folder / "switch")
    with closing(failing), Tracker(folder / "project", failing.environment) as tracker:
        yield Scene(tracker, failing)


def every_k(
    scene: Scene, play: Callable[[], None], error: int, mode: int, stride: int, *, syncs: bool = False
) -> tuple[int, Counter[str]]:
    """Play a scene with its k-th call failing, for k = 1, 1 + stride ... until it passes without a hit."""
    found, k = Counter[str](), 1
    while True:
        with scene.failing.armed(k, error, mode=mode, torn=bool(k % 2), syncs=syncs):
            play()
        seen = scene.failing.seen()
        if not seen.hits:
            return k, found
        found[seen.what] += 1
        # A commit's own syncs are of the log; one of the file itself fails while the log is written back, which is done
        # again from the log by whoever comes next.
        assert seen.reused == 0 or seen.where == "/ropewalk.db", f"written after its sync had failed: {seen}"
        before = scene.told.statuses[200]
        scene.rows()  # the disk is well again, and so is the server, at once
        assert scene.told.statuses[200] == before + 2, (seen, scene.tracker.log())
        k += stride


@pytest.mark.parametrize("mode", [ONCE, FROM_THEN_ON], ids=["once", "from-then-on"])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("play", ["rows", "file", "parts"])
def test_whichever_call_fails_it_is_told_and_the_server_goes_on(scene: Scene, play: str, error: int, mode: int) -> None:
    last, found = every_k(scene, getattr(scene, play), error, mode, STRIDE)

    lost, torn = scene.check()
    print(f"{play} {errno.errorcode[error]}: k = 1..{last} by {STRIDE}, failed {dict(found)}, {lost} lost, {torn} torn")  # noqa: T201 - the figures
    assert found
    assert (lost, torn) == (0, 0)


@pytest.mark.parametrize("play", ["rows", "file", "parts", "much"])
def test_nothing_is_acknowledged_through_a_file_whose_sync_failed(scene: Scene, play: str) -> None:
    """Every fsync and fdatasync in turn: the connection is closed, and what is acknowledged next came by another."""
    last, found = every_k(scene, getattr(scene, play), errno.EIO, ONCE, 1, syncs=True)

    lost, torn = scene.check()
    print(f"{play} syncs: k = 1..{last}, failed {dict(found)}, {lost} lost, {torn} torn, 0 used again")  # noqa: T201 - the figures
    assert found
    assert set(found) <= {"fsync", "fdatasync"}
    assert (lost, torn) == (0, 0)


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_a_call_that_fails_while_the_log_is_written_back_loses_nothing(scene: Scene, error: int) -> None:
    last, found = every_k(scene, scene.much, error, ONCE, 5 * STRIDE)

    lost, torn = scene.check()
    print(f"written back, {errno.errorcode[error]}: k = 1..{last}, failed {dict(found)}, {lost} lost, {torn} torn")  # noqa: T201 - the figures
    assert found
    assert (lost, torn) == (0, 0)


def test_after_all_that_a_killed_server_has_everything_and_verifies(scene: Scene) -> None:
    scene.rows()
    scene.tracker.kill()
    scene.tracker.start()

    lost, torn = scene.check()
    checked = subprocess.run(
        [sys.executable, "-m", "ropewalk", "--project", str(scene.tracker.root), "verify"],
        check=False,
        capture_output=True,
    )
    print(f"answers {dict(scene.told.statuses)}, {lost} lost, {torn} torn after a kill")  # noqa: T201 - the figures
    assert (lost, torn) == (0, 0)
    assert scene.told.batches
    assert checked.returncode == 0, checked.stdout
    assert http.client.OK in scene.told.statuses
