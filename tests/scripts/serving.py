"""`ropewalk serve` as a process, asked by the very command that it prints."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAST = "Ctrl-C stops it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that answers.

    Attributes:
        said: what it printed until it was ready.
        url: where.
    """

    said: str
    url: str

    def ask(self) -> dict[str, Any]:
        """Type the printed curl; return the answer."""
        line = next(line for line in self.said.splitlines() if line.strip().startswith("curl"))
        done = subprocess.run(shlex.split(line), capture_output=True, check=True)
        return json.loads(done.stdout)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()


@contextmanager
def serve(root: Path, *words: str, ropewalk: tuple[str, ...] = (sys.executable, "-m", "ropewalk")) -> Iterator[Served]:
    """Serve until the block ends; the last words are checked."""
    command = [*ropewalk, "--project", str(root), "serve", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(LAST):
                break
        else:
            raise AssertionError("".join(lines) + process.stderr.read())
        said = "".join(lines)
        try:
            yield Served(said=said, url=re.search(r"http://127\.0\.0\.1:\d+", said)[0])
        finally:
            process.send_signal(signal.SIGINT)
            left, wrong = process.communicate()
    assert process.returncode == 0, wrong
    assert "stopped" in left
    assert "ropewalk ship " in left
