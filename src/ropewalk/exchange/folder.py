"""A folder `mlruns` as MLflow's file store writes it, read without MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

from ropewalk.errors import Corrupt, Missing
from ropewalk.exchange.places import Places, files_below
from ropewalk.exchange.records import (
    Dataset,
    Elsewhere,
    EvaluationData,
    Experiment,
    File,
    Hook,
    LoggedModel,
    Model,
    Point,
    Run,
    Traced,
    Version,
    texts,
)
from ropewalk.exchange.traced import spans_of_contents, traced

META = "meta.yaml"
TRASH = ".trash"
MODELS = "models"
STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
MODEL_STATUSES = {1: "PENDING", 2: "READY", 3: "FAILED"}
Meta = dict[str, object]


class FolderSource:
    """An `mlruns` folder.

    Args:
        root: the folder; it may have been moved since it was written.
        artifacts: a folder of artifacts elsewhere, or None.
    """

    def __init__(self, root: Path, artifacts: Path | None = None) -> None:
        self._root = root.resolve()
        self._places = Places(self._root, artifacts)
        self._homes: dict[str, Path] = {}

    def experiments(self) -> Iterator[Experiment]:
        """Yield those in the folder, then those in its trash."""
        for parent in (self._root, self._root / TRASH):
            for home in _folders(parent):
                if home.name in (TRASH, MODELS) or not (home / META).is_file():
                    continue
                meta = _meta(home)
                number = str(meta.get("experiment_id", home.name))
                self._homes[number] = home
                yield Experiment(
                    id=number,
                    name=str(meta.get("name", "")),
                    deleted=meta.get("lifecycle_stage") == "deleted" or parent.name == TRASH,
                    created_ms=_number(meta.get("creation_time")),
                    updated_ms=_number(meta.get("last_update_time")),
                    tags=_pairs(home / "tags"),
                )

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """Yield its runs, deleted ones too."""
        for home in _folders(self._homes[experiment.id]):
            if home.name in (MODELS, "datasets", "tags", "traces") or not (home / META).is_file():
                continue
            meta = _meta(home)
            tags = _pairs(home / "tags")
            number = str(meta.get("run_id") or meta.get("run_uuid") or home.name)
            end = meta.get("end_time")
            yield Run(
                id=number,
                experiment=experiment.id,
                name=str(meta.get("run_name") or tags.get("mlflow.runName", "")),
                status=STATUSES.get(_number(meta.get("status")), "RUNNING"),
                start_ms=_number(meta.get("start_time")),
                end_ms=None if end is None else _number(end),
                user=str(meta.get("user_id") or ""),
                deleted=meta.get("lifecycle_stage") == "deleted",
                location=str(meta.get("artifact_uri") or ""),
                keys=tuple(name for name, _ in _named_files(home / "metrics")),
                params=_pairs(home / "params"),
                tags=tags,
                datasets=tuple(self._datasets(home)),
                read=tuple(str(_meta(one).get("destination_id", one.name)) for one in self._links(home, "MODEL_INPUT")),
                made=tuple(
                    (str(meta.get("destination_id")), _number(meta.get("step")))
                    for meta in (_meta(one) for one in _folders(home / "outputs") if (one / META).is_file())
                ),
            )

    def points(self, run: Run) -> Iterator[Point]:
        """Yield the points in the order in which they were logged."""
        home = self._homes[run.experiment] / run.id / "metrics"
        for key, path in _named_files(home):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                words = line.split(" ")
                try:
                    yield key, float(words[1]), int(words[0]), int(words[2]) if len(words) > 2 else 0  # noqa: PLR2004
                except (IndexError, ValueError) as error:
                    raise _damaged(path, f"line {number} is not a time, a value and a step") from error

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """Yield its logged models."""
        for home in _folders(self._homes[experiment.id] / MODELS):
            if not (home / META).is_file():
                continue
            meta = _meta(home)
            if meta.get("lifecycle_stage") == "deleted":
                continue
            yield LoggedModel(
                id=str(meta.get("model_id", home.name)),
                experiment=experiment.id,
                name=str(meta.get("name") or ""),
                location=str(meta.get("artifact_location") or ""),
                model_type=str(meta.get("model_type") or ""),
                source_run=str(meta.get("source_run_id") or ""),
                status=MODEL_STATUSES.get(_number(meta.get("status")), "READY"),
                created_ms=_number(meta.get("creation_timestamp")),
                params=_pairs(home / "params"),
                tags=_pairs(home / "tags"),
            )

    def traces(self, experiment: Experiment) -> Iterator[Traced]:
        """Yield its traces; their spans lie among their artifacts."""
        for home in _folders(self._homes[experiment.id] / "traces"):
            if not (home / "trace_info.yaml").is_file():
                continue
            held = home / "artifacts" / "traces.json"
            text = held.read_text(encoding="utf-8") if held.is_file() else "{}"
            spans = cast("list[Meta]", cast("Meta", json.loads(text)).get("spans") or [])
            judged = home / "assessments"
            yield traced(
                _yaml(home / "trace_info.yaml"),
                spans=spans_of_contents(spans, home.name),
                tags=_pairs(home / "tags"),
                metadata=_pairs(home / "request_metadata"),
                assessments=[_yaml(path) for path in sorted(judged.glob("*.yaml"))] if judged.is_dir() else [],
            )

    def evaluation_data(self, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
        """Yield nothing: MLflow's file store keeps none."""
        del experiments
        return iter(())

    def hooks(self) -> Iterator[Hook]:
        """Yield nothing: MLflow's file store keeps none."""
        return iter(())

    def files(self, owner: Run | LoggedModel) -> Iterable[File]:
        """Return the files beside the records; else those at the location, if it is below a folder that was named."""
        above = self._homes[owner.experiment] / (MODELS if isinstance(owner, LoggedModel) else "")
        beside = above / owner.id / "artifacts"
        if beside.is_dir() and not beside.is_symlink():
            return files_below(beside)
        if not owner.location:
            raise Elsewhere(f"{owner.id} names no place of its files")
        return files_below(self._places.folder(owner.location))

    def models(self) -> Iterator[Model]:
        """Yield the registered models."""
        for home in _folders(self._root / MODELS):
            if not (home / META).is_file():
                continue
            meta = _meta(home)
            versions = [self._version(one) for one in _folders(home) if one.name.startswith("version-")]
            aliases = {name: int(word) for name, word in texts(meta.get("aliases"))}
            aliases.update({name: int(word) for name, word in _pairs(home / "aliases").items()})
            yield Model(
                name=str(meta.get("name", home.name)),
                description=str(meta.get("description") or ""),
                created_ms=_number(meta.get("creation_timestamp")),
                updated_ms=_number(meta.get("last_updated_timestamp")),
                tags=_pairs(home / "tags"),
                aliases=aliases,
                versions=tuple(sorted((one for one in versions if one), key=lambda one: one.version)),
            )

    def _version(self, home: Path) -> Version | None:
        meta = _meta(home)
        if meta.get("current_stage") == "Deleted_Internal":
            return None
        return Version(
            version=_number(meta.get("version")),
            source=str(meta.get("source") or ""),
            run_id=str(meta.get("run_id") or ""),
            run_link=str(meta.get("run_link") or ""),
            stage=str(meta.get("current_stage") or "None"),
            description=str(meta.get("description") or ""),
            created_ms=_number(meta.get("creation_timestamp")),
            updated_ms=_number(meta.get("last_updated_timestamp")),
            tags=_pairs(home / "tags"),
        )

    def _links(self, home: Path, kind: str) -> list[Path]:
        found = [one for one in _folders(home / "inputs") if (one / META).is_file()]
        return [one for one in found if (_meta(one).get("destination_type") == kind)]

    def _datasets(self, home: Path) -> Iterator[Dataset]:
        for link in _folders(home / "inputs"):
            meta = _meta(link)
            place = home.parent / "datasets" / str(meta.get("source_id", ""))
            if meta.get("source_type") != "DATASET" or not (place / META).is_file():
                continue
            said = _meta(place)
            schema, profile = said.get("schema"), said.get("profile")
            yield Dataset(
                name=str(said.get("name", "")),
                digest=str(said.get("digest", "")),
                source_type=str(said.get("source_type", "")),
                source=str(said.get("source", "")),
                schema=None if schema is None else str(schema),
                profile=None if profile is None else str(profile),
                tags=dict(texts(meta.get("tags"))),
            )


def _folders(parent: Path) -> list[Path]:
    """Return the folders in a folder by name; links are not followed."""
    if not parent.is_dir():
        return []
    return sorted(one for one in parent.iterdir() if one.is_dir() and not one.is_symlink())


def _named_files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files below a folder, named by their path: keys may hold slashes."""
    if not folder.is_dir():
        return []
    found = [one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()]
    return sorted((one.relative_to(folder).as_posix(), one) for one in found)


def _pairs(folder: Path) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in _named_files(folder)}


def _number(value: object) -> int:
    return int(str(value)) if value not in (None, "") else 0


def _meta(home: Path) -> Meta:
    return _yaml(home / META)


def _yaml(path: Path) -> Meta:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Missing(
            "extra-not-installed",
            "Reading an mlruns folder needs PyYAML.",
            where=path.name,
            why="MLflow's file store writes YAML",
            fix="pip install 'ropewalk[mlflow]'",
        ) from error
    try:
        found = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise _damaged(path, "it is no YAML") from error
    if not isinstance(found, dict):
        raise _damaged(path, "it holds no fields")
    return cast("Meta", found)


def _damaged(path: Path, why: str) -> Corrupt:
    return Corrupt(
        "exchange-damaged",
        "A record of the source cannot be read.",
        where="/".join(path.parts[-4:]),
        why=why,
        fix="mend or remove it, then import again: what is there already is not imported twice",
    )
