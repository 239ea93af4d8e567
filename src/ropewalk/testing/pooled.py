"""The worker of a pool's conformance: does what its message says. `python -m ropewalk.testing.pooled FD PARENT`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ropewalk.compute.serve import serve

PAUSE = "import os, signal, sys; open(sys.argv[1], 'w').write(f'{os.getppid()} {os.getpid()}'); signal.pause()"


def handle(job: dict[str, Any]) -> dict[str, Any]:
    """Do it; the same function serves workers that are reached in another way."""
    if "exit" in job:
        os._exit(job["exit"])
    if "print" in job:
        print(job["print"], flush=True)  # noqa: T201 - what a job prints is what is tried
    if "daemon" in job:
        subprocess.run([sys.executable, "-c", PAUSE, job["daemon"]], start_new_session=True, check=False)
    for verb in ("write", "read") if job.get("first") == "write" else ("read", "write"):
        if verb in job:
            _meet(verb, Path(job[verb]))
    return {"said": job.get("say"), "environ": {name: os.environ.get(name) for name in job.get("environ", ())}}


def _meet(verb: str, fifo: Path) -> None:
    """Wait at a named pipe for whoever has its other end."""
    if verb == "read":
        fifo.read_text()
    else:
        fifo.write_text("go")


if __name__ == "__main__":
    serve(handle)
