"""A PostgreSQL server of our own, in a folder of the test's, so that its disk can be taken from it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

USER = "postgres"


def programs() -> Path:
    """Return the folder of the server's programs; say plainly where there is none."""
    found = shutil.which("postgres") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), "")
    if not found:
        pytest.skip("no PostgreSQL server is installed on this machine")
    return Path(found).parent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def make(folder: Path) -> None:
    """Make a cluster with checksums; it is the user's who runs it."""
    folder.mkdir()
    shutil.chown(folder, USER)
    command = [programs() / "initdb", "-D", folder, "-U", "root", "-A", "trust", "-k", "--no-sync", "-E", "UTF8"]
    subprocess.run([*map(str, command)], user=USER, cwd="/", check=True, capture_output=True)
    subprocess.run(["sync", "-f", str(folder)], check=True)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the server; give the address of its database, and kill it at the end."""
    port = free_port()
    settings = {
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "log_min_messages": "fatal",
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [str(programs() / "postgres"), "-D", str(folder), "-p", str(port), *words]
    server = subprocess.Popen(command, user=USER, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"postgresql://root@127.0.0.1:{port}/postgres"
    try:
        for _ in range(300):
            try:
                psycopg.connect(url, connect_timeout=2).close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None, "the server did not start"
                time.sleep(0.1)
        else:
            pytest.fail("the server did not answer within 30 s")
        yield url
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(30)
