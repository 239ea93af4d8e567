"""Environments of peers: each its own, below bench/out, made of requirements/peers-NAME.in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from measure.figures import OUT

ROOT = Path(__file__).resolve().parents[2]


def environment(name: str) -> Path:
    """Return the folder of a peer's environment.

    Raises:
        CalledProcessError: the registry has not what it needs.
    """
    made = OUT / "peers" / name
    if not (made / "ready").exists():
        print(f"installing the peer {name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(made)], check=True)
        wanted = ROOT / "requirements" / f"peers-{name}.in"
        subprocess.run([str(made / "bin/pip"), "install", "-q", "-r", str(wanted)], check=True)
        (made / "ready").touch()
    return made
