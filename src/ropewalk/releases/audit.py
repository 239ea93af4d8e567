"""Asks a vulnerability service about pinned libraries through pip-audit; only where a project says which one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import missing_extra
from ropewalk.releases.advisories import Vulnerable

PYPI, OSV = "pypi", "osv"
ANSWER_SECONDS_MAX = 5
SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What a service said.

    Attributes:
        service: `pypi`, `osv` or the address of an OSV service.
        answered: whether it said anything about every library.
        problem: why it did not.
        packages: how many libraries it knows of.
        vulnerable: libraries with a known vulnerability.
    """

    service: str
    answered: bool
    problem: str = ""
    packages: int = 0
    vulnerable: tuple[Vulnerable, ...] = ()


def audit(lock: bytes, service: str) -> Audited:
    """Ask about every line of a lock.

    Args:
        lock: `name==version` lines.
        service: `pypi`, `osv` or the address of an OSV service's query route.

    Raises:
        Missing: pip-audit is not installed.
    """
    if importlib.util.find_spec("pip_audit") is None:
        raise missing_extra("pip-audit", "audit")
    with tempfile.TemporaryDirectory(prefix="ropewalk-audit-") as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_bytes(lock)
        try:
            done = subprocess.run(
                _command(listed, service), capture_output=True, check=False, timeout=SECONDS_MAX, text=True
            )
        except subprocess.TimeoutExpired:
            return Audited(service=service, answered=False, problem=f"no answer within {SECONDS_MAX:g} s")
    return _read(service, done.stdout, done.stderr)


def _command(listed: Path, service: str) -> list[str]:
    asked = ["-s", PYPI] if service == PYPI else ["-s", OSV]
    if service not in (PYPI, OSV):
        asked += ["--osv-url", service]
    plain = ["--no-deps", "--disable-pip", "-f", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", "-r", str(listed), *plain, *asked]
    return [*command, "--cache-dir", str(listed.parent / "cache"), "--timeout", str(ANSWER_SECONDS_MAX)]


def _read(service: str, said: str, complained: str) -> Audited:
    """Return what pip-audit printed; it ends with status 1 both for findings and for failures."""
    try:
        listed = cast(list[dict[str, Any]], json.loads(said)["dependencies"])
    except (ValueError, KeyError, TypeError):
        last = complained.strip().splitlines()[-1:] or ["it said nothing"]
        return Audited(service=service, answered=False, problem=last[0][:300])
    silent = [str(one["name"]) for one in listed if "skip_reason" in one]
    found = tuple(
        Vulnerable(
            package=str(one["name"]),
            version=str(one["version"]),
            advisory=str(known["id"]),
            aliases=tuple(known.get("aliases", ())),
            fixed=next(iter(known.get("fix_versions", ())), ""),
            summary=str(known.get("description", "")).partition("\n")[0][:200],
        )
        for one in listed
        for known in one.get("vulns", ())
    )
    return Audited(
        service=service,
        answered=not silent,
        problem=f"it knows nothing of {', '.join(silent[:5])}" if silent else "",
        packages=len(listed) - len(silent),
        vulnerable=found,
    )
