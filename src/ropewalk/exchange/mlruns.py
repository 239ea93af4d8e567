"""Writes an `mlruns` folder that MLflow's file store reads; `mlflow migrate-filestore` makes a database of it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast
from uuid import NAMESPACE_URL, uuid5

from ropewalk.errors import Conflict, Invalid
from ropewalk.exchange.folder import META, MODEL_STATUSES, MODELS, STATUSES, TRASH
from ropewalk.exchange.records import (
    EvaluationData,
    Experiment,
    File,
    Hook,
    LoggedModel,
    Model,
    Point,
    Run,
    Traced,
    Unkept,
    Version,
)
from ropewalk.exchange.tracewords import info_of, span_words
from ropewalk.traces.trace import ARTIFACTS

LOCAL = 4
CHUNK = 1 << 20


class FolderTarget:
    """A new `mlruns` folder.

    Args:
        root: where; it must not be there yet, or be empty.

    Raises:
        Conflict: something is there.
    """

    def __init__(self, root: Path) -> None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise Conflict(
                "exchange-target-taken",
                "Something is at this place already.",
                where=str(root),
                why="an export writes a folder of its own",
                fix="name a folder that is not there yet",
            )
        self.root = root.resolve()
        (self.root / TRASH).mkdir(parents=True)
        (self.root / MODELS).mkdir()
        self._homes: dict[str, Path] = {}

    def experiment(self, one: Experiment) -> None:
        """Write an experiment."""
        home = self.root / (TRASH if one.deleted else "") / one.id
        self._homes[one.id] = home
        _meta(
            home,
            {
                "artifact_location": str(home),
                "creation_time": one.created_ms,
                "experiment_id": one.id,
                "last_update_time": one.updated_ms,
                "lifecycle_stage": "deleted" if one.deleted else "active",
                "name": one.name,
            },
        )
        _texts(home / "tags", one.tags)

    def run(self, one: Run, points: Iterable[Point], files: Iterable[File]) -> None:
        """Write a run."""
        home = self._homes[one.experiment] / one.id
        code = {word: number for number, word in STATUSES.items()}[one.status]
        _meta(
            home,
            {
                "artifact_uri": str(home / "artifacts"),
                "end_time": one.end_ms,
                "entry_point_name": "",
                "experiment_id": one.experiment,
                "lifecycle_stage": "deleted" if one.deleted else "active",
                "run_id": one.id,
                "run_name": one.name,
                "run_uuid": one.id,
                "source_name": "",
                "source_type": LOCAL,
                "source_version": "",
                "start_time": one.start_ms,
                "status": code,
                "tags": [],
                "user_id": one.user,
                **({"deleted_time": one.end_ms or one.start_ms} if one.deleted else {}),
            },
        )
        _texts(home / "params", one.params)
        _texts(home / "tags", one.tags)
        _lines(home / "metrics", points)
        _files(home / "artifacts", files)
        self._links(home, one)

    def logged_model(self, one: LoggedModel, files: Iterable[File]) -> None:
        """Write a logged model."""
        home = self._homes[one.experiment] / MODELS / one.id
        code = {word: number for number, word in MODEL_STATUSES.items()}.get(one.status, 2)
        _meta(
            home,
            {
                "artifact_location": str(home / "artifacts"),
                "creation_timestamp": one.created_ms,
                "experiment_id": one.experiment,
                "last_updated_timestamp": one.created_ms,
                "model_id": one.id,
                "model_type": one.model_type or None,
                "name": one.name,
                "source_run_id": one.source_run or None,
                "status": code,
                "status_message": None,
            },
        )
        _texts(home / "params", one.params)
        _texts(home / "tags", one.tags)
        (home / "metrics").mkdir(exist_ok=True)
        _files(home / "artifacts", files)

    def model(self, one: Model) -> None:
        """Write a registered model with its versions."""
        home = _inside(self.root / MODELS, one.name)
        _meta(
            home,
            {
                "creation_timestamp": one.created_ms,
                "description": one.description or None,
                "last_updated_timestamp": one.updated_ms,
                "name": one.name,
            },
        )
        _texts(home / "tags", one.tags)
        _texts(home / "aliases", {alias: str(version) for alias, version in one.aliases.items()})
        for version in one.versions:
            self._version(home / f"version-{version.version}", one.name, version)

    def trace(self, one: Traced) -> bool:
        """Write a trace; its spans lie among its artifacts, as the file store's own client keeps them."""
        told = one.told
        home = _inside(self._homes[told.experiment] / "traces", told.id)
        info = info_of(one, told.experiment, {})
        judged = cast("list[Mapping[str, object]]", info.pop("assessments"))
        metadata, tags = info.pop("trace_metadata"), info.pop("tags")
        if info.pop("execution_duration", None) is not None:
            info["execution_duration_ms"] = told.duration_ms
        _meta(home, info, "trace_info.yaml")
        _texts(home / "request_metadata", cast("Mapping[str, str]", metadata))
        _texts(home / "tags", {**cast("Mapping[str, str]", tags), ARTIFACTS: str(home / "artifacts")})
        for each in judged:
            _meta(home / "assessments", each, f"{each['assessment_id']}.yaml")
        (home / "artifacts").mkdir(exist_ok=True)
        spans = json.dumps({"spans": [span_words(each) for each in one.spans]})
        (home / "artifacts" / "traces.json").write_text(spans, encoding="utf-8")
        return True

    def data(self, one: EvaluationData) -> bool:  # noqa: ARG002 - whatever it is
        """Write none.

        Raises:
            Unkept: always.
        """
        raise Unkept("MLflow's file store keeps no datasets for evaluation: export to a server")

    def hook(self, one: Hook) -> bool:  # noqa: ARG002 - whatever it is
        """Write none.

        Raises:
            Unkept: always.
        """
        raise Unkept("MLflow's file store keeps no webhooks: export to a server")

    def finish(self) -> None:
        """Do nothing: what is deleted was written as such."""

    def _version(self, home: Path, name: str, one: Version) -> None:
        prefix = "models:/m-"
        model = one.source.removeprefix("models:/") if one.source.startswith(prefix) else None
        _meta(
            home,
            {
                "creation_timestamp": one.created_ms,
                "current_stage": one.stage or "None",
                "description": one.description or None,
                "last_updated_timestamp": one.updated_ms,
                "model_id": model,
                "name": name,
                "run_id": one.run_id or None,
                "run_link": one.run_link or None,
                "source": one.source,
                "status": "READY",
                "status_message": None,
                "storage_location": self._storage(one, model),
                "user_id": None,
                "version": one.version,
            },
        )
        _texts(home / "tags", one.tags)

    def _storage(self, one: Version, model: str | None) -> str:
        """Return the folder that holds what a version was registered from, where it is one of these."""
        if model:
            found = [home / MODELS / model / "artifacts" for home in self._homes.values()]
        elif one.source.startswith("runs:/"):
            run, _, path = one.source.removeprefix("runs:/").partition("/")
            found = [home / run / "artifacts" / path for home in self._homes.values()]
        else:
            return one.source
        return next((str(folder) for folder in found if folder.exists()), one.source)

    def _links(self, home: Path, one: Run) -> None:
        for put in one.datasets:
            number = uuid5(NAMESPACE_URL, f"{put.name}\0{put.digest}").hex
            place = home.parent / "datasets" / number
            if not (place / META).exists():
                fields = ("name", "digest", "source_type", "source", "schema", "profile")
                _meta(place, {name: getattr(put, name) for name in fields})
            ends = {"destination_id": one.id, "destination_type": "RUN", "source_id": number, "source_type": "DATASET"}
            link = uuid5(NAMESPACE_URL, f"{one.id}\0{number}").hex
            _meta(home / "inputs" / link, {**ends, "tags": dict(put.tags)})
        for model in one.read:
            ends = {"destination_id": model, "destination_type": "MODEL_INPUT"}
            _meta(home / "inputs" / model, {**ends, "source_id": one.id, "source_type": "RUN_INPUT", "tags": {}})
        for model, step in one.made:
            ends = {"destination_id": model, "destination_type": "MODEL_OUTPUT", "step": step}
            _meta(home / "outputs" / model, {**ends, "source_id": one.id, "source_type": "RUN_OUTPUT", "tags": {}})


def _meta(home: Path, fields: Mapping[str, object], name: str = META) -> None:
    """Write fields as YAML; each value is JSON, which YAML understands."""
    home.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in sorted(fields.items())]
    (home / name).write_text("".join(lines), encoding="utf-8")


def _texts(home: Path, pairs: Mapping[str, str]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for key, value in pairs.items():
        _written(home, key, value)


def _lines(home: Path, points: Iterable[Point]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    open_key, lines = "", list[str]()
    for key, value, at_ms, step in points:
        if key != open_key and lines:
            _written(home, open_key, "".join(lines))
            lines = []
        open_key = key
        lines.append(f"{at_ms} {_number(value)} {step}\n")
    if lines:
        _written(home, open_key, "".join(lines))


def _number(value: float) -> str:
    return "nan" if math.isnan(value) else repr(value)


def _written(home: Path, key: str, text: str) -> None:
    path = _inside(home, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Line ends stay as they are: these are values, not files of text.
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise Invalid(
            "exchange-key-twice",
            "A name is both a value and a folder of values, which a folder cannot hold.",
            where=key,
            why="MLflow's file store makes a folder of what stands before a slash",
            fix="export to a server: ropewalk export mlflow http://...",
        ) from error


def _files(home: Path, files: Iterable[File]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = _inside(home, file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with file.open() as source, path.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK)


def _inside(home: Path, name: str) -> Path:
    """Return the place of a name in a folder.

    Raises:
        Invalid: the name leads out of it.
    """
    path = home / name
    if not name or ".." in Path(name).parts or not path.resolve().is_relative_to(home.resolve()):
        raise Invalid(
            "exchange-name-leads-out", "A name leads out of its folder.", where=name[:80], why="it holds '..' or a link"
        )
    return path
