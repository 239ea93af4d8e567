"""Uploads whose server is killed, whose disk is full, or that are larger than its memory should ever be."""

import hashlib
import http.client
import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ropewalk.blobs.incoming import RESERVE_BYTES
from ropewalk.demo.server import Server
from ropewalk.evidence.verify import verify
from ropewalk.house import open_house
from ropewalk.testing.blobs_objects import s3_server

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
MEGABYTE = 1 << 20
KILLS = int(os.environ.get("ROPEWALK_KILLS", "3"))
pytestmark = [pytest.mark.slow, pytest.mark.fault]


def pieces(seed, megabytes):
    piece = hashlib.sha256(str(seed).encode()).digest() * (MEGABYTE // 32)
    for number in range(megabytes):
        yield number.to_bytes(8) + piece[8:]


def digest(seed, megabytes):
    hasher = hashlib.sha256()
    for piece in pieces(seed, megabytes):
        hasher.update(piece)
    return hasher.hexdigest()


def put(port, path, seed, megabytes):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Length": str(megabytes * MEGABYTE)}
    with closing(line):
        line.request("PUT", f"{ROOT}/{path}", body=pieces(seed, megabytes), headers=headers)
        answer = line.getresponse()
        return answer.status, answer.read()


def get(port, path):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(line):
        line.request("GET", f"{ROOT}/{path}")
        answer = line.getresponse()
        hasher = hashlib.sha256()
        while piece := answer.read(MEGABYTE):
            hasher.update(piece)
        return answer.status, hasher.hexdigest()


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "project"
    made.mkdir()
    (made / "ropewalk.toml").write_text('name = "faults"\n')
    return made


@pytest.fixture(params=["folder", "objects"])
def kept_in(request, monkeypatch, tmp_path):
    """Where the blobs are; how large files may be there, in MB."""
    if request.param == "folder":
        yield 64
        return
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ROPEWALK_BLOBS_URL", f"s3://kept/{tmp_path.name}")
        yield 24


@pytest.mark.timeout(600)
def test_after_a_kill_what_is_seen_is_complete_and_what_was_acknowledged_is_seen(root, kept_in):
    chance = random.Random(7)
    sent, acknowledged = {}, set()

    def upload(port, worker, turn, stop):
        number = 0
        while not stop.is_set():
            path, megabytes = f"{turn}/{worker}/{number}", chance.choice([1, 2, 5, kept_in])
            sent[path] = megabytes
            with suppress(OSError, http.client.HTTPException):
                if put(port, path, path, megabytes)[0] == 200:
                    acknowledged.add(path)
            number += 1

    for turn in range(KILLS):
        stop = threading.Event()
        with ThreadPoolExecutor(3) as pool, Server(root, 0) as server:
            work = [pool.submit(upload, server.port, worker, turn, stop) for worker in range(3)]
            time.sleep(0.5 + chance.random())
            server._process.kill()
            server._process.wait()
            stop.set()
            for one in work:
                one.result()

    assert acknowledged
    assert sent.keys() - acknowledged
    with Server(root, 0) as server:
        for path, megabytes in sent.items():
            status, found = get(server.port, path)
            assert status == 200 or (status == 404 and path not in acknowledged), path
            assert status == 404 or found == digest(path, megabytes), path
    with open_house(root) as house:
        report = verify(house.site)
        assert report.holds, report.findings


@pytest.fixture
def small_disk(root):
    """A disk of 256 MB for the project."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(root)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a small disk: {done.stderr.strip()}")
    (root / "ropewalk.toml").write_text('name = "faults"\n')
    yield root
    subprocess.run(["umount", "-l", str(root)], check=True)


def test_a_full_disk_takes_nothing_serves_what_it_has_and_recovers_at_once(small_disk):
    with Server(small_disk, 0) as server:
        assert put(server.port, "before", "before", 2)[0] == 200
        filler = small_disk / "filler"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        filler.write_bytes(bytes(free - RESERVE_BYTES - 5 * MEGABYTE))

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda number: put(server.port, f"full/{number}", number, 8), range(4)))

        assert {status for status, _ in answers} == {507}
        assert all(b"RESOURCE_EXHAUSTED" in body and b"insert" not in body for _, body in answers)
        assert get(server.port, "full/0")[0] == 404
        assert get(server.port, "before") == (200, digest("before", 2))
        assert list((small_disk / ".ropewalk" / "blobs" / "incoming").iterdir()) == []

        filler.unlink()
        begun = time.monotonic()
        assert put(server.port, "after", "after", 8)[0] == 200
        assert time.monotonic() - begun < 2
        assert get(server.port, "after") == (200, digest("after", 8))


def resident_peak(pid, *, reset=False):
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def test_a_large_file_goes_in_and_out_without_growing_the_server(root):
    with Server(root, 0) as server:
        assert put(server.port, "warm", "warm", 2)[0] == 200
        assert get(server.port, "warm")[0] == 200
        before = resident_peak(server._process.pid, reset=True)

        assert put(server.port, "large", "large", 300)[0] == 200
        assert get(server.port, "large") == (200, digest("large", 300))

        assert resident_peak(server._process.pid) - before <= 32 * MEGABYTE
