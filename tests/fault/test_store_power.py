"""A power cut loses nothing that was acknowledged: ext4 in a file, shut at once, its journal replayed."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fault.own_server import make, running
from fault.store_scene import MIB, ROUNDS, Victim, mounted, opened, subjects, torn

pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        bool(os.geteuid()) or not shutil.which("losetup") or not shutil.which("mkfs.ext4"),
        reason="cutting the power of a disk needs root, losetup and mkfs.ext4",
    ),
]
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2  # what was not on the disk is gone, as when the power goes


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(512 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True, capture_output=True)
    return path


def cut(disk: Path) -> None:
    """Take the power from a mounted disk.

    Only what was acknowledged before counts. A real cut takes the process along; here it lives on for some
    milliseconds, and an fsync that is under way while ext4 aborts its journal may be told that all is well.
    """
    handle = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        os.close(handle)


def judged(engine: str, where: str, acknowledged: set[str]) -> None:
    """Pass only when all that was acknowledged is there, whole, and the database finds no damage in itself."""
    with opened(where) as store:
        there, damage = subjects(store), store.damage()
    lost = {name for name in acknowledged for half in "ab" if f"{name}{half}" not in there}
    print(f"{engine}: {len(acknowledged)} acknowledged, {len(lost)} lost, {len(torn(there))} torn")  # noqa: T201
    assert lost == set()
    assert torn(there) == []
    assert damage == []


def test_sqlite_loses_nothing_at_a_power_cut(image: Path, tmp_path: Path) -> None:
    dice, acknowledged = random.Random(13), set[str]()
    for place in range(ROUNDS):
        with mounted(tmp_path / f"disk{place}", "-o", "loop", str(image)) as disk:
            victim = Victim(str(disk / "rows" / "rows.db"), "4")
            victim.wait_for(dice.randrange(1, 150))
            acknowledged |= set(victim.done)
            cut(disk)
            victim.kill()
        with mounted(tmp_path / f"again{place}", "-o", "loop", str(image)) as disk:
            judged(f"sqlite, cut {place + 1}", str(disk / "rows" / "rows.db"), acknowledged)


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that the server's own user can look into, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="ropewalk-power-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_postgresql_loses_nothing_at_a_power_cut(image: Path, shelf: Path) -> None:
    dice, acknowledged = random.Random(17), set[str]()
    with mounted(shelf / "new", "-o", "loop", str(image)) as disk:
        make(disk / "cluster")
    for place in range(ROUNDS):
        with mounted(shelf / f"disk{place}", "-o", "loop", str(image)) as disk, running(disk / "cluster") as url:
            victim = Victim(url, "4")
            victim.wait_for(dice.randrange(1, 150))
            acknowledged |= set(victim.done)
            cut(disk)
            victim.kill()
        with mounted(shelf / f"again{place}", "-o", "loop", str(image)) as disk, running(disk / "cluster") as url:
            judged(f"postgres, cut {place + 1}", url, acknowledged)
