"""Runs a script that nobody may touch, as a run: recorded from its first line to its exit status."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk import leases, witness
from ropewalk.compute.pool import ended_how
from ropewalk.errors import Interrupted, Unavailable
from ropewalk.runs import inputs, keep
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.scripts import child, jobs, keeper
from ropewalk.scripts.child import Ending
from ropewalk.scripts.program import Program
from ropewalk.scripts.record import Told
from ropewalk.scripts.secrets import Secrets
from ropewalk.scripts.seen import Seen, read_notes
from ropewalk.scripts.tracked import carried, tracked_by
from ropewalk.site import Site
from ropewalk.source.environment import environment_blob
from ropewalk.source.snapshot import CodeSnapshot, snapshot_code
from ropewalk.store.database import Transaction

FOLDER = "scripts"
KEEP_SECONDS_MAX = 600.0
Tracking = Callable[[socket.socket], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of a script's run.

    Attributes:
        model: name of the model that it makes.
        variable: the script's variable that holds it; empty for the rule.
        loud: whether the script may speak on our standard output.
        autolog: whether MLflow's autologging is turned on for a script that does not use MLflow itself.
    """

    model: str
    variable: str = ""
    loud: bool = True
    autolog: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """A script's run that has ended.

    Attributes:
        run: as it is now.
        status: the script's exit status.
        how: how it ended, in words that follow `it`.
        seen: what was seen.
        model: digest of the model's manifest; empty for none.
        why: why there is no model version although there is a model; empty when there is one, or nothing at all.
        held: how many held-out rows the model was measured on.
        tracked: names of the runs that MLflow's client began in it.
    """

    run: Run
    status: int
    how: str
    seen: Seen
    model: str
    why: str
    held: int
    tracked: tuple[str, ...]


def run_script(
    site: Site,
    program: Program,
    wanted: Wanted,
    *,
    tracking: Tracking | None = None,
    on_finish: Callable[[Transaction, Run], None] = lambda _tx, _run: None,
) -> ScriptResult:
    """Run a program to its end and record it; it runs in the folder where we are.

    Args:
        site: the project.
        program: what to run.
        wanted: what of it is kept, and how.
        tracking: serves MLflow's clients on a socket as long as it is open; None for nobody.
        on_finish: called in the transaction that ends the run.

    Raises:
        Invalid: the code cannot be kept.
        Unavailable: the program cannot be started; the run is kept as failed.
    """
    secrets = Secrets(program.typed, os.environ)
    code = snapshot_code(site, for_script=True)
    environment = environment_blob(site)
    run = site.db.write(lambda tx: _begin(tx, site, program, secrets=secrets, code=code, environment=environment))
    folder = site.hidden / FOLDER / run.id
    _sweep(site, folder.parent)
    folder.mkdir(parents=True, mode=0o700)
    try:
        ending = _watched(site, run, program, wanted, folder=folder, tracking=tracking)
        seen = read_notes(folder, site.root)
        kept = _kept(site, folder, wanted, seen) if seen.model else {}
        secrets.learn(seen.arguments)
        for one in seen.jobs:
            secrets.learn(one.config)
        told = Told(program=program, secrets=secrets, ending=ending, seen=seen, kept=kept)
        return _finish(site, run, code, told, on_finish)
    except OSError as error:
        why = f"{error.strerror or error}: {program.words[0]}"
        with suppress(Interrupted):
            site.db.write(lambda tx: runs.move(tx, site, run.id, runs.FAILED, fence=run.fence, error=why))
        raise Unavailable(
            "script-not-started", "The script could not be run.", where=program.name, why=why, fix="ropewalk runs"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _begin(
    tx: Transaction, site: Site, program: Program, *, secrets: Secrets, code: CodeSnapshot, environment: str
) -> Run:
    runs.interrupt_dead(tx, site)
    return runs.start(
        tx,
        site,
        kind="script",
        pipeline=program.name,
        args={"command": list(secrets.words)},
        code=code.digest,
        commit=code.commit,
        environment=environment,
        lease=leases.take(site.clock.now_us(), 1),
    )


def _sweep(site: Site, folder: Path) -> None:
    """Remove what runs left behind whose process was killed."""
    for left in folder.glob("*"):
        with site.db.read() as reader, suppress(Exception):
            if runs.get(reader, left.name).state == runs.RUNNING:
                continue
        shutil.rmtree(left, ignore_errors=True)


def _watched(
    site: Site, run: Run, program: Program, wanted: Wanted, *, folder: Path, tracking: Tracking | None
) -> Ending:
    """Run the program with the witness on its path; MLflow's clients find us at a port that nobody else knows."""
    environment = dict(os.environ)
    path = str(Path(witness.__file__).parent / "path")
    environment["PYTHONPATH"] = os.pathsep.join((path, *filter(None, (environment.get("PYTHONPATH"),))))
    environment |= {"ROPEWALK_WITNESS": str(folder), "ROPEWALK_WATCHER": str(os.getpid())}
    environment["ROPEWALK_WITNESS_VARIABLE"] = wanted.variable
    environment.setdefault("PYTHONUNBUFFERED", "1")
    doors: dict[socket.socket, Callable[[], Any]] = {}
    with socket.socket() as door:
        if tracking is not None and "MLFLOW_TRACKING_URI" not in environment:
            door.bind(("127.0.0.1", 0))
            door.listen()
            environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{door.getsockname()[1]}"
            environment.setdefault("MLFLOW_RUN_CONTEXT", json.dumps({"mlflow.parentRunId": run.id}))
            # The address is nobody's when the script has ended, and nothing leaves the machine on our account.
            environment.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            environment.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            if wanted.autolog and not _speaks_mlflow(program):
                environment["ROPEWALK_WITNESS_AUTOLOG"] = "1"
            doors[door] = lambda: tracking(door)
        return child.run(program.words, environment, loud=wanted.loud, on_turn=_Renewal(site, run), doors=doors)


def _speaks_mlflow(program: Program) -> bool:
    """Say whether a script uses MLflow itself, and is to be left to it."""
    try:
        return program.file is None or b"mlflow" in program.file.read_bytes()
    except OSError:
        return True


class _Renewal:
    """Makes the lease last while the script runs: whoever looks from another host has nothing else to go by."""

    def __init__(self, site: Site, run: Run) -> None:
        self._site = site
        self._run = run
        self._until_us = run.expires_us

    def __call__(self) -> None:
        """Renew it when a third of it is over."""
        now_us = self._site.clock.now_us()
        if self._until_us - now_us < leases.LEASE_SECONDS * 2_000_000 // 3:
            lease = leases.take(now_us, self._run.fence)
            self._site.db.write(lambda tx: runs.renew(tx, self._run.id, lease))
            self._until_us = lease.expires_us


def _kept(site: Site, folder: Path, wanted: Wanted, seen: Seen) -> dict[str, Any]:
    """Have another process make a model version of what the script left; return its answer."""
    if "why" in seen.model:
        return {"name": wanted.model, "why": seen.model["why"]}
    command = [sys.executable, "-m", "ropewalk.scripts.keeper", "--folder", str(folder), "--name", wanted.model]
    command += ["--blobs", site.blobs.address, "--path", seen.path]
    try:
        done = subprocess.run(
            command,
            cwd=site.root,
            input=json.dumps(seen.model).encode(),
            capture_output=True,
            check=False,
            timeout=KEEP_SECONDS_MAX,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    except subprocess.TimeoutExpired:
        return {"why": f"making a version of it took longer than {KEEP_SECONDS_MAX:g} s"}
    try:
        return {"name": wanted.model, **json.loads((folder / keeper.KEPT).read_bytes())}
    except OSError:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return {"why": f"the process that should keep it {ended_how(done.returncode)}: {''.join(last[-1:])}"}


def _finish(
    site: Site, run: Run, code: CodeSnapshot, told: Told, on_finish: Callable[[Transaction, Run], None]
) -> ScriptResult:
    """Write everything in one transaction."""
    state, error = told.state()
    entries, datasets, several = told.entries(site, run), told.datasets(), jobs.logged(site, told)
    tracked: list[Run] = []

    def end(tx: Transaction) -> Run:
        tracked[:] = tracked_by(tx, run)
        logged = [*entries, *carried(tx, tracked, entries)]
        keep.apply(tx, run.id, logged, at_us=site.clock.now_us())
        if datasets:
            inputs.log(tx, site, run.id, datasets)
        jobs.record(tx, site, run, several, code=code, told=told)
        done = runs.move(tx, site, run.id, state, fence=run.fence, error=error)
        on_finish(tx, done)
        return done

    return ScriptResult(
        run=site.db.write(end),
        status=told.ending.status,
        how=told.ending.how,
        seen=told.seen,
        model=str(told.kept.get("manifest", "")),
        why=str(told.kept.get("why", "")),
        held=int(told.kept.get("held", 0)),
        tracked=tuple(one.name for one in tracked),
    )
