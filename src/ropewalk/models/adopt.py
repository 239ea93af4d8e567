"""Makes a version that can be shipped of a model file, or of a model of MLflow's client: by a run of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk import leases
from ropewalk.artifacts import artifact, paths
from ropewalk.errors import Invalid, NotFound, Refused
from ropewalk.models import environments, files, logged, source, versions
from ropewalk.models.drop import Drop
from ropewalk.models.manifest import read_manifest
from ropewalk.models.measured import TAG
from ropewalk.models.register import register_logged
from ropewalk.models.stock import MLMODEL, refused
from ropewalk.models.trust import project_modules
from ropewalk.models.versions import ModelVersion
from ropewalk.refs import digest_of_file, is_name
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.settings import FILE as SETTINGS_FILE
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.source.environment import environment_blob
from ropewalk.source.snapshot import materialize, snapshot_code
from ropewalk.store.database import Reader, Transaction

SECONDS_MAX = 600.0
SCHEMES = ("models:/", "runs:/")
FROM = "ropewalk.adopted_from"
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A model whose files lie among the artifacts.

    Attributes:
        uri: by which it was named.
        name: under which its version is registered.
        folders: paths where its files may lie, the first that holds a model counts.
        version: the version that it is, None where it was never registered.
        path: the file or folder of this machine that it is; None for one among the artifacts.
    """

    uri: str
    name: str
    folders: tuple[str, ...]
    version: ModelVersion | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Rows with labels to judge a model by, which the client did not log.

    Attributes:
        file: Parquet or CSV; None for none.
        target: the column of labels.
    """

    file: Path | None = None
    target: str = ""


def to_ship(
    site: Site,
    settings: Settings,
    model: str,
    *,
    labelled: Labelled | None,
) -> ModelVersion:
    """Return the version that is meant, one made of it where MLflow's client logged it.

    Args:
        site: the project.
        settings: `ropewalk.toml`.
        model: `NAME/VERSION`, an alias or version of the project's model, empty for its newest; a file or
            folder that `files.is_one` knows; or as `find` takes it.
        labelled: rows to judge it by; None for none.

    Raises:
        Invalid: it is no model, or has rows of its own.
        NotFound: there is no such model version.
        Refused: it cannot be shipped; the error says why.
    """
    with site.db.read() as reader:
        if files.is_one(model):
            stored = Stored(uri=f"file:{Path(model).name}", name=settings.model_name, folders=(), path=Path(model))
        elif model.startswith(SCHEMES):
            stored = find(reader, model, settings.model_name)
        else:
            name, _, wanted = model.rpartition("/") if "/" in model else (settings.model_name, "", model)
            stored = of_version(reader, versions.resolve(reader, name, wanted or versions.LATEST))
    labelled = labelled or Labelled()
    require_rows(stored.version, labelled)
    if stored.version is not None and stored.version.manifest:
        return stored.version
    return adopt(site, stored, labelled=labelled, allowed=settings.scan.globals)


def find(reader: Reader, uri: str, name: str) -> Stored:
    """Return what an address of MLflow's names.

    Args:
        reader: where the rows are.
        uri: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/m-ID` or `runs:/RUN/PATH`.
        name: of the project's model, for what has no name of its own.

    Raises:
        Invalid: it is no such address.
        NotFound: there is nothing of that name.
    """
    scheme, _, path = uri.partition(":/")
    path = path.strip("/")
    if scheme == "models" and _MODEL_ID.fullmatch(path):
        model = logged.get(reader, path)
        own = model.name if is_name(model.name) else name
        return Stored(uri=uri, name=own, folders=(paths.of_uri(model.location),))
    if scheme == "models":
        return of_version(reader, source.version_of(reader, uri, path))
    run_id, _, rest = path.partition("/")
    if scheme != "runs" or not rest:
        raise Invalid(
            "model-source-invalid",
            "This names no model.",
            where=uri[:200],
            why="a model is models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID or runs:/RUN_ID/PATH",
            fix="ropewalk ship models:/NAME@ALIAS",
        )
    return Stored(uri=uri, name=name, folders=_of_run(reader, run_id, rest))


def of_version(reader: Reader, found: ModelVersion) -> Stored:
    """Return a version as what is stored."""
    if found.manifest:
        return Stored(uri=f"models:/{found.ref}", name=found.name, folders=(), version=found)
    run_id, _, rest = found.storage.removeprefix("runs:/").partition("/")
    folders = _of_run(reader, run_id, rest) if found.storage.startswith("runs:/") else (paths.of_uri(found.storage),)
    return Stored(uri=f"models:/{found.ref}", name=found.name, folders=folders, version=found)


def _of_run(reader: Reader, run_id: str, path: str) -> tuple[str, ...]:
    """Return where a run's model may lie: MLflow 3 keeps it as a logged model, whose name is the path."""
    run = runs.get(reader, run_id)
    named = [one.location for one in logged.of_run(reader, run_id) if one.name == path]
    return (*(paths.of_uri(one) for one in reversed(named)), paths.inside(paths.of_uri(run.location), path))


def adopt(
    site: Site,
    stored: Stored,
    *,
    labelled: Labelled,
    allowed: Iterable[str],
) -> ModelVersion:
    """Return the version to ship; the same model, rows and code again give the same one.

    Args:
        site: the project.
        stored: what MLflow's client logged.
        labelled: rows to judge it by.
        allowed: what pickles may import beyond the defaults.

    Raises:
        Refused: it cannot be shipped; the error says why.
    """
    if not is_name(stored.name):
        raise refused(f"{stored.name[:80]!r} cannot be a model's name here", "register it under another name")
    code, environment = snapshot_code(site), environment_blob(site)
    with tempfile.TemporaryDirectory(prefix="adopt", dir=site.hidden) as held:
        try:
            project = materialize(site.blobs, code.digest, Path(held) / "code")
            kept = _made(site, stored, labelled, project, tuple(allowed))
        except Refused as error:
            _tell(site, stored, error)
            raise
    manifest = str(kept["manifest"])
    with site.db.read() as reader:
        for one in versions.of_manifest(reader, manifest, stored.name):
            if runs.get(reader, one.run_id).code == code.digest:
                return one

    facts = {"model": stored.uri, "rows": kept["rows"], "labelled": kept["labelled"]}

    def record(tx: Transaction) -> ModelVersion:
        begun = runs.start(
            tx, site, kind="script", pipeline=f"ropewalk ship {stored.uri}", args=facts, code=code.digest,
            commit=code.commit, environment=environment, lease=leases.take(site.clock.now_us(), 1),
        )  # fmt: skip
        return _recorded(tx, site, begun, stored, kept)

    return site.db.write(record)


def _recorded(tx: Transaction, site: Site, begun: Run, stored: Stored, kept: Mapping[str, Any]) -> ModelVersion:
    """Write the model into its run, end that, and say of the version what it was made of."""
    now_us = site.clock.now_us()
    entry = LogEntry(kind="model", key=stored.name, value={"manifest": kept["manifest"]}, at_us=now_us)
    said = LogEntry(kind="tag", key=TAG + stored.name, value=str(kept["engine"]), at_us=now_us)
    keep.apply(tx, begun.id, [entry, said], at_us=now_us)
    done = runs.move(tx, site, begun.id, runs.FINISHED, fence=begun.fence)
    register_logged(site, tx, done)
    made = next(one for one in versions.of_manifest(tx, str(kept["manifest"]), stored.name) if one.run_id == done.id)
    versions.set_tag(tx, site, made.name, made.version, key=FROM, value=stored.uri)
    return made


def _laid_out(site: Site, stored: Stored, folder: Path) -> None:
    """Copy the model's files into a folder."""
    with site.db.read() as reader:
        held = ((place, artifact.find(reader, f"{place}/{MLMODEL}")) for place in stored.folders)
        place = next((place for place, found in held if found is not None), "")
        if not place:
            raise refused(f"no {MLMODEL} lies at {', '.join(stored.folders)[:200]}", "log it with log_model")
        files = list(artifact.walk(reader, place))
    for one in files:
        target = folder / one.path.removeprefix(f"{place}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site.blobs.fetch(one.digest), target)


def _made(site: Site, stored: Stored, labelled: Labelled, project: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Lay the model out, have the confined process make its manifest, and take what it made into the project's blobs.

    Raises:
        Refused: the model cannot be shipped.
    """
    held = project.parent
    model, out = held / "model", held / "out"
    model.mkdir()
    out.mkdir()
    allowed = (*allowed, *project_modules(project))
    if (site.root / SETTINGS_FILE).is_file():
        shutil.copyfile(site.root / SETTINGS_FILE, held / SETTINGS_FILE)
    part = ""
    if stored.path is not None:
        part = files.lay_out(stored.path, model, allowed)
    else:
        _laid_out(site, stored, model)
    note = {
        "folder": str(model),
        "part": part,
        "blobs": str(out),
        "code": str(project),
        "name": stored.name,
        "rows": str(labelled.file or ""),
        "target": labelled.target,
        "allowed": list(allowed),
        "libraries": "",
    }
    found = _kept(held, stored, note)
    if "requirements" in found:
        note["libraries"] = str(environments.install(found["requirements"].encode(), site.hidden / environments.FOLDER))
        found = _kept(held, stored, note)
    made = Drop(out)
    for digest in (found["manifest"], *read_manifest(made, found["manifest"]).parts.values()):
        made.take(digest, site.blobs)
    return found


def _kept(held: Path, stored: Stored, note: dict[str, Any]) -> dict[str, Any]:
    """Have the confined process do its work; return its answer.

    Raises:
        Refused: the model cannot be shipped.
    """
    done = None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ropewalk.models.adoption"],
            cwd=held,
            input=json.dumps(note).encode(),
            capture_output=True,
            check=False,
            timeout=SECONDS_MAX,
            env=_environment(held),
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise refused(f"making a version of it took longer than {SECONDS_MAX:g} s") from None
    except ValueError:
        assert done is not None, "it has said something, and that is no JSON"
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise refused(f"the process that loads it ended with status {done.returncode}: {''.join(last)[:200]}") from None
    if "error" in found:
        code, what, where, why, fix = found["error"]
        raise Refused(code, what, where=where or stored.uri, why=why, fix=fix)
    if "why" in found:
        raise refused(str(found["why"]), where=stored.uri)
    return found


def _environment(held: Path) -> dict[str, str]:
    """Return the variables of the process that loads a model: no secrets, and room for its files in its own folder.

    Hashes of texts are the same each time: converters to ONNX write sets, and the same model is to give the same bytes.
    """
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_CONFIG")
    own = {"TMPDIR": str(held / "out"), "HOME": str(held / "out"), "JOBLIB_MULTIPROCESSING": "0"}
    own |= {"PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
    return {name: os.environ[name] for name in kept if name in os.environ} | own


def _tell(site: Site, stored: Stored, error: Refused) -> None:
    """Write into the ledger that a model was refused, and why: whoever offered it wants to be known."""
    body = {"from": stored.uri, "code": error.code, "where": error.where[:200], "why": error.why[:500]}
    if stored.path is not None and stored.path.is_file():
        body["digest"] = digest_of_file(stored.path)
    site.db.write(lambda tx: site.record(tx, "model.refused", f"model:{stored.name}", body))


def require_rows(version: ModelVersion | None, labelled: Labelled) -> None:
    """Pass only where rows, if they are given, are for a model that has none, with the column of their labels.

    Raises:
        Invalid: the pipeline that made the version kept its own.
    """
    if (labelled.file is None) != (not labelled.target):
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="--rows, --target",
            why="rows are judged by a column of theirs",
            fix="ropewalk ship MODEL --rows FILE --target COLUMN",
        )
    if labelled.file is not None and version is not None and version.manifest:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="--rows",
            why=f"{version.ref} has rows of its own, which the run that made it kept",
            fix=f"ropewalk ship {version.ref}",
        )
    if labelled.file is not None and not labelled.file.is_file():
        raise NotFound("rows-not-found", "There is no such file of rows.", where=str(labelled.file))
