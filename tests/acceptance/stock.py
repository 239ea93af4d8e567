"""Environments with MLflow's own clients, and what runs inside them: a suite in one process, or one script."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parent.parent.parent
SUITE = Path(__file__).parent / "suite"
PLUGIN = Path(__file__).parent / "plugin"
EXAMPLES = ROOT / "examples" / "mlflow"


def python(environment: str) -> Path:
    """Return the interpreter of `.venv-ENVIRONMENT`; it need not be there."""
    return ROOT / f".venv-{environment}" / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test of the suite, as its run told it.

    Attributes:
        name: `FILE::test_name`, with the parameters of each of its runs left out.
        outcome: `passed`, `failed` or `skipped`.
        words: what it said when it did not pass.
    """

    name: str
    outcome: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run of the suite told.

    Attributes:
        cases: by `FILE::test_name`.
        offered: what the client can be asked, such as `client.get_run` and `mlflow.log_metric`.
        called: what of it the suite asked.
        endpoints: service, method, verb and path of every address in the protocol's tables.
    """

    cases: dict[str, list[Case]]
    offered: frozenset[str]
    called: frozenset[str]
    endpoints: tuple[tuple[str, str, str, str], ...]


def cases(environment: str) -> list[str]:
    """Return `FILE::test_name` of every test function that an environment runs, read without importing MLflow."""
    return [
        f"{path.stem}::{node.name}"
        for path in files(environment)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def files(environment: str) -> list[Path]:
    """Return the suite's files that an environment runs: PyTorch's own what is PyTorch's, MLflow's all the others."""
    return sorted(path for path in SUITE.glob("*.py") if (path.stem == "pytorch") == (environment == "torch"))


def surroundings(url: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a process's environment with the one variable that users change, and no coverage tool inside."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("COV", "MLFLOW_", "PYTEST_", "PYTHON"))
    }
    return {
        **kept,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **(more or {}),
    }


def run_suite(environment: str, url: str, folder: Path, seconds: float) -> Told:
    """Run an environment's part of the suite in one process of it; return what it told.

    Args:
        environment: `mlflow` or `torch`.
        url: the server's address.
        folder: where the report and what the suite leaves is written.
        seconds: longest time that it may take.
    """
    report, inventory = folder / "report.xml", folder / "inventory.json"
    words = [str(python(environment)), "-m", "pytest", "-c", str(SUITE / "pytest.ini"), "--rootdir", str(SUITE)]
    words += ["--confcutdir", str(SUITE), "--basetemp", str(folder / "temporary"), "--junit-xml", str(report), "-q"]
    words += ["-p", "inventory"]
    # pytest rewrites what is imported, MLflow's hooks wait for it, and lightning bears only one of them.
    words += ["--assert=plain"] if environment == "torch" else []
    done = subprocess.run(
        [*words, *map(str, files(environment))],
        cwd=folder,
        env=surroundings(url, {"PYTHONPATH": str(PLUGIN), "ROPEWALK_INVENTORY": str(inventory)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, list[Case]] = {}
    for one in ET.parse(report).iter("testcase"):
        case = _case(one)
        found.setdefault(case.name.partition("[")[0], []).append(case)
    counted = json.loads(inventory.read_text(encoding="utf-8"))
    return Told(
        cases=found,
        offered=frozenset(counted["offered"]),
        called=frozenset(counted["called"]),
        endpoints=tuple(tuple(row) for row in counted["endpoints"]),
    )


def _case(node: ET.Element) -> Case:
    name = f"{node.get('classname', '').rpartition('.')[2]}::{node.get('name')}"
    for outcome, tags in (("failed", ("failure", "error")), ("skipped", ("skipped",))):
        for tag in tags:
            if (told := node.find(tag)) is not None:
                return Case(name=name, outcome=outcome, words=told.text or told.get("message", ""))
    return Case(name=name, outcome="passed", words="")


def run_script(environment: str, script: Path, url: str, folder: Path, more: Mapping[str, str] | None = None) -> str:
    """Run one script unmodified, in an empty folder; return what it printed.

    Raises:
        AssertionError: it did not end well; the error holds its last words.
    """
    done = subprocess.run(
        [str(python(environment)), str(script)],
        cwd=folder,
        env=surroundings(url, more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{script.name}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout
