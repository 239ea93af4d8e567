"""A confined process can compute, and nothing else."""

import json
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.models import landlock, seccomp
from ropewalk.models.sandbox import available
from ropewalk.models.syscalls import AUDIT_ARCH
from ropewalk.testing.evil import connecting, evil_pickles

needs_walls = pytest.mark.skipif(
    landlock.version() == 0 or platform.machine() not in AUDIT_ARCH, reason="the kernel has no Landlock or filter"
)
LOAD_ALL = """
import json, pickle, sys
from pathlib import Path
folder, confined = Path(sys.argv[1]), sys.argv[2] == "confined"
data = [path.read_bytes() for path in sorted(folder.glob("*.pkl"))]
if confined:
    from ropewalk.models.sandbox import confine
    print(json.dumps(confine([]).record()), file=sys.stderr)
for one in data:
    try:
        pickle.loads(one)
    except BaseException:
        pass
"""


def _load_all(folder: Path, how: str) -> dict[str, object]:
    command = [sys.executable, "-c", LOAD_ALL, str(folder), how]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return (
        json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{"))) if how == "confined" else {}
    )


def _write(folder: Path, port: int) -> dict[str, Path]:
    marks = {}
    for evil in evil_pickles(folder):
        (folder / f"{evil.name}.pkl").write_bytes(evil.data)
        marks[evil.name] = evil.mark
    (folder / "connect.pkl").write_bytes(connecting(port))
    return marks


@needs_walls
def test_evil_pickles_have_their_way_outside_and_none_of_them_inside(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        outside, inside = tmp_path / "outside", tmp_path / "inside"
        outside.mkdir()
        inside.mkdir()
        free = _write(outside, listener.getsockname()[1])
        held = _write(inside, listener.getsockname()[1])

        _load_all(outside, "free")

        assert [name for name, mark in free.items() if not mark.exists()] == []
        listener.accept()[0].close()

        report = _load_all(inside, "confined")

        assert [name for name, mark in held.items() if mark.exists()] == []
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert report["missing"] == []


ATTEMPTS = """
import json, os, pathlib, signal, socket, sys, threading
from ropewalk.models.sandbox import confine
secret, place, room = sys.argv[1:4]
confine([pathlib.Path(place)], [pathlib.Path(room)] if room else [])
found = {}
def attempt(name, work):
    try:
        found[name] = work() is None or True
    except BaseException as error:
        found[name] = type(error).__name__
attempt("read secret", lambda: open(secret).read())
attempt("read place", lambda: open(place + "/code.py").read())
attempt("write place", lambda: open(place + "/new", "w"))
attempt("write room", lambda: open((room or place) + "/new", "w"))
attempt("remove", lambda: os.unlink(place + "/code.py"))
attempt("fork", os.fork)
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("socket", socket.socket)
attempt("pair", socket.socketpair)
attempt("other process", lambda: open(f"/proc/{os.getppid()}/environ", "rb"))
attempt("memory", lambda: bytearray(64 << 30))
attempt("link", lambda: os.symlink(secret, place + "/link"))
attempt("mode", lambda: os.chmod(place + "/code.py", 0o777))
thread = threading.Thread(target=lambda: found.update(thread=True))
thread.start(); thread.join()
import decimal, sqlite3
found["import"] = True
print(json.dumps(found))
"""


def _attempts(tmp_path: Path, room: str) -> dict[str, object]:
    place = tmp_path / "place"
    place.mkdir()
    (place / "code.py").write_text("x = 1\n")
    (tmp_path / "secret").write_text("key")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(tmp_path / "secret"), str(place), room],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@needs_walls
def test_a_confined_process_reads_its_code_and_imports_and_does_nothing_else(tmp_path: Path):
    found = _attempts(tmp_path, "")

    assert {name for name, how in found.items() if how is True} == {"read place", "thread", "import"}
    assert found["memory"] == "MemoryError"
    assert (tmp_path / "place" / "code.py").read_text() == "x = 1\n"


@needs_walls
def test_a_folder_that_is_given_for_writing_can_be_written_and_no_other(tmp_path: Path):
    room = tmp_path / "room"
    room.mkdir()

    found = _attempts(tmp_path, str(room))

    assert {name for name, how in found.items() if how is True} == {"read place", "write room", "thread", "import"}


NO_LANDLOCK = """
import json, os, sys
from ropewalk.models import landlock, sandbox
landlock.restrict = lambda read, write: "the kernel has no Landlock"
report = sandbox.confine([]).record()
try:
    open(sys.argv[1], "w")
    report["wrote"] = True
except OSError:
    report["wrote"] = False
print(json.dumps(report))
"""


@needs_walls
def test_without_landlock_the_filter_still_forbids_writing_and_the_report_says_what_is_missing(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", NO_LANDLOCK, str(tmp_path / "file")], check=True, capture_output=True, text=True
    )

    report = json.loads(done.stdout)

    assert report["wrote"] is False
    assert report["landlock"] == 0
    assert report["missing"] == ["files can be read anywhere: the kernel has no Landlock"]


def test_the_filter_can_be_written_for_both_machines_and_every_jump_stays_inside():
    for machine in AUDIT_ARCH:
        for read_only in (False, True):
            code = seccomp.program(machine, 1, read_only=read_only)
            lines = [code[place : place + 8] for place in range(0, len(code), 8)]

            assert len(lines) < 4096
            for place, line in enumerate(lines):
                if line[0] & 7 == 5:
                    assert place + 1 + max(line[2], line[3]) < len(lines)


def test_another_machine_gets_no_filter_and_is_told_so():
    assert "riscv64" in seccomp.install("riscv64", read_only=True)


def test_what_could_be_active_is_said_without_confining():
    assert set(available()) == {"landlock", "seccomp", "machine"}
    assert Path("/").exists()
