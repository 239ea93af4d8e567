"""`ropewalk run SCRIPT`: an unchanged script as a run, with what was seen of it and the model that it left."""

from __future__ import annotations

import argparse
import os
import shlex
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.parse import project_folder_of
from ropewalk.errors import Invalid, RopewalkError

if TYPE_CHECKING:
    import socket

    from ropewalk.house import House
    from ropewalk.models.manifest import Manifest
    from ropewalk.models.versions import ModelVersion
    from ropewalk.scripts.program import Program
    from ropewalk.scripts.run import ScriptResult
    from ropewalk.scripts.seen import File

NAMES_SHOWN = 4
STOP_SECONDS_MAX = 20.0


def handle(options: argparse.Namespace, out: Output) -> int:
    """Run the script and say what was recorded; the script's exit status is ours."""
    from ropewalk.house import open_house, run_script
    from ropewalk.leases import PARENT, end_with
    from ropewalk.models import versions
    from ropewalk.models.manifest import read_manifest
    from ropewalk.refs import is_name
    from ropewalk.scripts.program import program_of
    from ropewalk.scripts.run import Wanted

    if os.environ.get(PARENT, "").isdigit():
        end_with(int(os.environ[PARENT]))
    if options.words:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk run",
            why=f"{options.words[0]!r} stands before the script; a script's own arguments follow it",
            fix=shlex.join(["ropewalk", "run", *options.program, *options.words]),
        )
    name, _, variable = options.model.partition("=")
    if name and not is_name(name):
        raise Invalid(
            "model-name-invalid", "This cannot be a model's name.", where="--model", why=f"found {name[:80]!r}"
        )
    program = program_of(options.program)
    root = _root(options.project, program)
    out.project = root
    with open_house(root) as house:
        wanted = Wanted(
            model=name or house.settings.model_name,
            variable=variable,
            loud=not out.json,
            autolog=not options.no_autolog,
        )
        auth = house.settings.auth.enabled
        done = run_script(house, program, wanted, tracking=None if auth else lambda door: _tracking(house, door))
        with house.site.db.read() as rows:
            made = versions.of_manifest(rows, done.model, wanted.model)[-1:] if done.model else []
        manifest = read_manifest(house.site.blobs, done.model) if made else None
        own = wanted.model == house.settings.model_name
    _show(done, made, manifest, out)
    return _end(done, [] if own else made, root, out, served=bool(made))


def _root(found: Path, program: Program) -> Path:
    """Return the project: the one that we are in; else the one of the script, so that records lie beside it."""
    from ropewalk.cli.project import is_project

    file = program.file
    if file is None or found != Path.cwd() or is_project(found) or file.is_relative_to(found):
        return found
    return project_folder_of(file.parent)


@contextmanager
def _tracking(house: House, door: socket.socket) -> Generator[None]:
    """Serve MLflow's clients on a socket of this machine; no endpoint is served, and no loop turns."""
    from ropewalk.api.app import Server
    from ropewalk.endpoints.server import make

    app = Server(house, environment="-")
    server = make(app, admission=app.admission)
    thread = threading.Thread(target=lambda: server.run(sockets=[door]), name="ropewalk-tracking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS_MAX)


def _show(done: ScriptResult, made: list[ModelVersion], manifest: Manifest | None, out: Output) -> None:
    from ropewalk.scripts.secrets import Secrets

    run, seen = done.run, done.seen
    took = ((run.ended_us or run.started_us) - run.started_us) / 1e6
    out.line()
    out.line(f"{run.name} {run.state} after {took:.1f} s, exit status {done.status}", style="bold")
    for title, files in (("read", seen.read), ("wrote", seen.written)):
        if files:
            out.line(f"{title:<10} {_listed(files)}")
    if seen.arguments:
        masked = Secrets((), os.environ).parameters(seen.arguments)
        given = ", ".join(f"{key}={value}" for key, value in list(masked.items())[:NAMES_SHOWN])
        out.line(f"arguments  {given}{' ...' if len(seen.arguments) > NAMES_SHOWN else ''}")
    if done.tracked:
        more = f" and {len(done.tracked) - NAMES_SHOWN} more" if len(done.tracked) > NAMES_SHOWN else ""
        out.line(f"MLflow     {', '.join(done.tracked[:NAMES_SHOWN])}{more}: logged here by its own client")
    if not seen.watched:
        out.line("watched    no Python process of it was seen; its output and exit status are kept")
    for model in made:
        assert manifest is not None, "a version has a manifest"
        _show_model(done, model, manifest, out)
    if done.why:
        out.line(f"model      {seen.model.get('kind') or 'none'} is kept with the run, not served: {done.why}")
    elif not made and not done.status:
        out.line("model      none: the script fitted and saved no model that is known here")
    out.result(
        {
            "run": run.id,
            "name": run.name,
            "state": run.state,
            "status": done.status,
            "read": [file.plain() for file in seen.read],
            "written": [file.plain() for file in seen.written],
            "models": [model.ref for model in made],
            "tracked": list(done.tracked),
            "rule": seen.model.get("rule", ""),
            "why": done.why,
        }
    )


def _show_model(done: ScriptResult, model: ModelVersion, manifest: Manifest, out: Output) -> None:
    """Say which model was chosen, by which rule, what it takes, and by what it answers."""
    seen = done.seen
    out.line(f"model      {model.ref}: {seen.model['kind']}, {seen.model['rule']}")
    columns = [field.name for field in manifest.signature.inputs]
    shown = ", ".join(columns[:NAMES_SHOWN]) + (" ..." if len(columns) > NAMES_SHOWN else "")
    held = f"; measured on {done.held:,} rows that were held out" if done.held else ""
    out.line(f"           takes {len(columns)} columns ({shown}), predicts {manifest.target}{held}")
    native = manifest.native_part.rpartition(".")[2]
    form = "ONNX" if "model.onnx" in manifest.parts else f"{native}; no ONNX beside it: {manifest.parity.reason}"
    out.line(f"           answers by {form}")
    if len(seen.model.get("transformers", ())):
        out.line(
            f"           it was given what {', '.join(seen.model['transformers'])} had made; "
            "in one Pipeline it would take the rows themselves"
        )


def _listed(files: tuple[File, ...]) -> str:
    names = ", ".join(f"{file.path} ({_size(file.bytes)})" for file in files[:NAMES_SHOWN])
    return names + (f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else "")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - the next unit
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _end(done: ScriptResult, named: list[ModelVersion], root: Path, out: Output, *, served: bool) -> int:
    """End with the next command, or with what went wrong in the script.

    Args:
        done: the run.
        named: the version that has to be named, because it is not of the project's own model.
        root: the project.
        out: where to say it.
        served: whether there is a version.
    """
    where = [] if project_folder_of(Path.cwd()) == root else ["--project", str(root)]

    def typed(*words: str) -> str:
        return shlex.join(["ropewalk", *where, *words])

    if done.status:
        record = RopewalkError(
            "script-failed",
            f"The script was cancelled: it {done.how}." if done.run.state == "cancelled" else f"The script {done.how}.",
            where=done.run.name,
            why=done.run.error,
            fix=typed("runs", done.run.name),
        ).record()  # fmt: skip
        out.fail(record)
        return done.status
    if served:
        serve, ship = [model.name for model in named], [model.ref for model in named]
        out.next(typed("serve", *serve), typed("runs", done.run.name), typed("ship", *ship))
    else:
        out.next(typed("runs", done.run.name))
    return 0
