"""A Ray cluster on this machine for tests: a head and further nodes, each a process group that is ended by its id."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Nodes that are gone are missed in a second, for Ray would give them fifteen.
BRISK = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
# Ray insists on the token that it finds in somebody's home, unless another is named.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
STORE_BYTES = 80 << 20
RAY = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
SAID = b"will now block"


class ClusterUnderTest:
    """Nodes started by `ray start --block`."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="rt-"))
        self._nodes: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._port = port

    def start(self) -> None:
        """Start the head: two processors, two cards that nobody has, a gibibyte."""
        has = ["--num-cpus=2", "--num-gpus=2", f"--memory={1 << 30}"]
        self.add(
            "--head",
            f"--port={self._port}",
            f"--temp-dir={self.place}",
            "--include-dashboard=false",
            "--no-monitor",
            *has,
        )

    def add(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a node and wait until it is one."""
        command = [
            sys.executable,
            "-c",
            RAY,
            "start",
            "--block",
            "--disable-usage-stats",
            "--node-ip-address=127.0.0.1",
        ]
        command += [f"--object-store-memory={STORE_BYTES}", "--include-log-monitor=false", *words]
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        node = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**bare, **BRISK, **TOKEN, **environ, "PYTHONUNBUFFERED": "1"},
            process_group=0,
        )
        self._nodes.append(node)
        assert node.stdout is not None
        said = b""
        while SAID not in said:
            assert select.select([node.stdout], [], [], 100)[0], said.decode()
            piece = os.read(node.stdout.fileno(), 1 << 16)
            assert piece, said.decode()
            said += piece
        return node

    def join(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a further node."""
        return self.add(f"--address={self.address}", *words, **environ)

    def raylet_of(self, node: subprocess.Popen[bytes]) -> int:
        """Return the process id of a node's raylet."""
        (found,) = [pid for pid in family_of(node.pid) if b"/raylet/raylet" in words_of(pid).split(b"\0")[0]]
        return found

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """End a node with everything in it, as a machine ends that loses its power."""
        for pid in [*family_of(node.pid), node.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()
        assert node.stdout is not None
        node.stdout.close()
        self._nodes.remove(node)

    def close(self) -> list[int]:
        """End all nodes; return what of them had outlived even that."""
        for node in list(reversed(self._nodes)):
            self.kill(node)
        left = [pid for pid in processes() if str(self.place).encode() in words_of(pid)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.place, ignore_errors=True)
        return left


def processes() -> Iterator[int]:
    """Yield all processes."""
    yield from (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def words_of(pid: int) -> bytes:
    """Return a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def family_of(pid: int) -> list[int]:
    """Return all that descends from a process."""
    parents: dict[int, list[int]] = {}
    for one in processes():
        with suppress(OSError):
            parent = int(Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(one)
    found, ahead = list[int](), [pid]
    while ahead:
        children = parents.get(ahead.pop(), [])
        found += children
        ahead += children
    return found


@contextmanager
def running() -> Iterator[ClusterUnderTest]:
    """Yield a cluster of one node with two processors, two cards that nobody has, and a gibibyte."""
    before = {name: os.environ.get(name) for name in TOKEN}
    os.environ |= TOKEN
    cluster = ClusterUnderTest()
    try:
        cluster.start()
        yield cluster
    finally:
        left = cluster.close()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    assert left == [], "processes of the cluster were left"
