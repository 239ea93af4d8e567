"""A real Prometheus over a server that is watched, and what it is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import pytest

from ropewalk.cli import main
from ropewalk.demo.server import free_port

T = TypeVar("T")


def program(name: str) -> str:
    """Return a program's path; a machine without it says so."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian's package is prometheus)")
    return found


def until(found: Callable[[], T], times: int = 400) -> T:
    """Return what is found, once there is something."""
    for _ in range(times):
        there = found()
        if there:
            return there
        Event().wait(0.05)
    raise AssertionError("it never came")


def exported(root: Path, kind: str, *words: str) -> Path:
    """Write what `ropewalk export` writes for who watches; return its folder."""
    assert main(["--project", str(root), "export", kind, *words]) == 0
    return root / "exports" / kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """One that runs."""

    port: int

    def ask(self, path: str, **query: str) -> Any:
        """Return what its API says."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.loads(answer.read())["data"]


@contextmanager
def scraping(folder: Path, files: Path) -> Iterator[Prometheus]:
    """Run Prometheus by an exported configuration, twice a second instead of four times a minute."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text((files / "prometheus.yml").read_text().replace("15s", "500ms"))
    shutil.copy(files / "ropewalk.rules.yml", folder)
    words = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'rows'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
    with (folder / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        one = Prometheus(port=port)

        def ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return bool(one.ask("targets")["activeTargets"])
            except OSError:
                return False

        try:
            until(ready)
            yield one
        finally:
            process.terminate()
            process.wait(20)
