"""Runs a project's own pytest on the code that trained the model, and reads what it reports."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from ropewalk.errors import missing_extra

NO_TESTS, OK, FAILED = 5, 0, 1
OUTPUT_BYTES_MAX = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A test that did not pass.

    Attributes:
        name: module and function.
        message: first line of what pytest says.
    """

    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What pytest reported.

    Attributes:
        total: tests that were collected.
        skipped: tests that were skipped.
        failures: tests that failed, and errors outside of tests.
        problem: why pytest itself did not come to an end; empty when it did.
        junit: JUnit XML.
        output: the end of what it printed.
    """

    total: int
    skipped: int
    failures: tuple[Failure, ...]
    problem: str
    junit: bytes
    output: bytes


def run_pytest(folder: Path, paths: Sequence[str], *, timeout_seconds: float) -> Tested:
    """Run pytest in a process group of its own, which is killed when the time is up.

    Args:
        folder: the materialised code snapshot; nothing is written there but by the tests.
        paths: where the tests are; those that are not there are left out.
        timeout_seconds: for all of them together.

    Raises:
        Missing: pytest is not installed.
    """
    there = [path for path in paths if (folder / path).exists()]
    if not there:
        return Tested(total=0, skipped=0, failures=(), problem="", junit=b"", output=b"")
    if importlib.util.find_spec("pytest") is None:
        raise missing_extra("pytest", "dev")
    with tempfile.TemporaryDirectory(prefix="ropewalk-") as scratch:
        report = Path(scratch) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *there]
        with (Path(scratch) / "output").open("w+b") as output:
            status = _run(command, folder, output.fileno(), timeout_seconds)
            output.seek(0, os.SEEK_END)
            output.seek(max(0, output.tell() - OUTPUT_BYTES_MAX))
            said = output.read()
        junit = report.read_bytes() if report.exists() else b""
    return read_junit(junit, said, status)


def _run(command: Sequence[str], folder: Path, output: int, timeout_seconds: float) -> int | None:
    """Return the exit status, or None when the time was up."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read_junit(junit: bytes, output: bytes, status: int | None) -> Tested:
    """Return what a JUnit report says, together with pytest's exit status (None: the time was up)."""
    failures: list[Failure] = []
    total = skipped = 0
    cut = False
    try:
        root = ET.fromstring(junit) if junit else ET.Element("testsuites")  # noqa: S314 - pytest wrote it a moment ago
    except ET.ParseError:  # killed while it wrote
        root, cut = ET.Element("testsuites"), True
    for case in root.iter("testcase"):
        total += 1
        skipped += case.find("skipped") is not None
        for kind in ("failure", "error"):
            found = case.find(kind)
            if found is not None:
                name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
                failures.append(Failure(name=name, message=(found.get("message") or "").partition("\n")[0][:300]))
    problem = ""
    if status is None:
        problem = "the time was up"
    elif cut:
        problem = f"pytest ended with status {status} and half a report"
    elif status not in (OK, FAILED, NO_TESTS) or (status == FAILED and not failures):
        last = output.decode("utf-8", "replace").strip().rpartition("\n")[2]
        problem = f"pytest ended with status {status}: {last[:200]}"
    return Tested(total=total, skipped=skipped, failures=tuple(failures), problem=problem, junit=junit, output=output)
