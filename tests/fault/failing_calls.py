"""The k-th call that changes a file fails in a process of ours: a C shim before libc, and the hand on its switch."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("failing.c")
LAYOUT = struct.Struct("=9q16s240s")
ONCE, FROM_THEN_ON = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of the calls since the shim was armed.

    Attributes:
        calls: how many changed a file below the folder.
        hits: how many of them failed.
        reused: changes through a descriptor whose sync had failed.
        what: the first call that failed.
        where: its file, without the folder.
    """

    calls: int
    hits: int
    reused: int
    what: str
    where: str


class Failing:
    """The switch of the shim.

    Args:
        library: the shim, compiled.
        under: the folder whose files are meant.
        control: a file for the switch.
    """

    def __init__(self, library: Path, under: Path, control: Path) -> None:
        control.write_bytes(bytes(LAYOUT.size))
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAILING_UNDER": str(under.resolve()),
            "FAILING_CONTROL": str(control),
        }
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), LAYOUT.size)

    @contextmanager
    def armed(self, k: int, error: int, *, mode: int = ONCE, torn: bool = False, syncs: bool = False) -> Iterator[None]:
        """Let the k-th call from now on fail with an errno, and with `FROM_THEN_ON` all after it, until the end.

        Args:
            k: from 1.
            error: the errno.
            mode: `ONCE` or `FROM_THEN_ON`.
            torn: a failing write does half of its work.
            syncs: only fsync and fdatasync are counted and fail.
        """
        self._map[8 : LAYOUT.size] = LAYOUT.pack(0, k, error, int(torn), int(syncs), 0, 0, 0, 0, b"", b"")[8:]
        self._map[:8] = struct.pack("=q", mode)
        try:
            yield
        finally:
            self._map[:8] = bytes(8)

    def seen(self) -> Seen:
        """Return what became of the calls since it was armed last."""
        _, _, _, _, _, calls, hits, _, reused, what, where = LAYOUT.unpack(self._map[:])
        return Seen(
            calls=calls,
            hits=hits,
            reused=reused,
            what=what.partition(b"\0")[0].decode(),
            where=where.partition(b"\0")[0].decode(),
        )

    def close(self) -> None:
        """Let the switch go."""
        self._map.close()


def shim(folder: Path) -> Path:
    """Compile the shim; say plainly where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler is on this machine (cc, gcc, clang), or it is not Linux: no call can be failed")
    library = folder / "failing.so"
    words = [
        compiler,
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        str(library),
        str(SOURCE),
        "-ldl",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return library
