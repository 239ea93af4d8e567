"""A SQLite file as MLflow's server writes it, read without MLflow."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ropewalk.errors import Corrupt, Invalid
from ropewalk.exchange import databasetraces
from ropewalk.exchange.folder import MODEL_STATUSES
from ropewalk.exchange.places import Places, files_below
from ropewalk.exchange.records import (
    Dataset,
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
)
from ropewalk.store.database import Row
from ropewalk.store.sqlitefile import SqliteFile

PAGE_ROWS = 50_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class DatabaseSource:
    """MLflow's database in one SQLite file.

    Args:
        path: the file.
        artifacts: the folder that the server kept artifacts in, or None.

    Raises:
        Invalid: it is no database of MLflow.
    """

    def __init__(self, path: Path, artifacts: Path | None = None) -> None:
        self._file = SqliteFile(path)
        self._places = Places(path.parent, artifacts)
        self._tables = {
            str(row["name"]) for row in self._file.rows("select name from sqlite_master where type = 'table'")
        }
        if not {"experiments", "runs", "metrics"} <= self._tables:
            raise Invalid(
                "exchange-source-unknown",
                "This SQLite file is not MLflow's.",
                where=path.name,
                why="it has no tables of experiments, runs and metrics",
                fix="name the file that `mlflow server --backend-store-uri sqlite:///FILE` was given",
            )

    def experiments(self) -> Iterator[Experiment]:
        """Yield all."""
        tags = self._grouped("experiment_tags", "experiment_id", "key", "value")
        for row in self._rows("experiments", "order by experiment_id"):
            yield Experiment(
                id=str(row["experiment_id"]),
                name=str(row["name"]),
                deleted=row["lifecycle_stage"] == "deleted",
                created_ms=_number(row.get("creation_time")),
                updated_ms=_number(row.get("last_update_time")),
                tags=tags.get(str(row["experiment_id"]), {}),
            )

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """Yield its runs, deleted ones too."""
        within = f"where run_uuid in (select run_uuid from runs where experiment_id = {int(experiment.id)})"  # noqa: S608
        params = self._grouped("params", "run_uuid", "key", "value", within)
        tags = self._grouped("tags", "run_uuid", "key", "value", within)
        keys = self._grouped("latest_metrics", "run_uuid", "key", "step", within)
        datasets, models = self._datasets(experiment), self._linked()
        for row in self._rows("runs", f"where experiment_id = {int(experiment.id)} order by start_time, run_uuid"):
            number = str(row["run_uuid"])
            end = row["end_time"]
            said = tags.get(number, {})
            yield Run(
                id=number,
                experiment=experiment.id,
                name=str(row.get("name") or said.get("mlflow.runName", "")),
                status=str(row["status"] or "RUNNING"),
                start_ms=_number(row["start_time"]),
                end_ms=None if end is None else _number(end),
                user=str(row["user_id"] or ""),
                deleted=row["lifecycle_stage"] == "deleted",
                location=str(row["artifact_uri"] or ""),
                keys=tuple(sorted(keys.get(number, {}))),
                params=params.get(number, {}),
                tags=said,
                datasets=tuple(datasets.get(number, ())),
                read=tuple(one for one, _ in models.get((number, "MODEL_INPUT"), ())),
                made=tuple(models.get((number, "MODEL_OUTPUT"), ())),
            )

    def points(self, run: Run) -> Iterator[Point]:
        """Yield the points by name, time and step."""
        if not _ID.fullmatch(run.id):
            raise Corrupt(
                "exchange-damaged",
                "A record of the source cannot be read.",
                where=f"run {run.id[:40]!r}",
                why="an id is letters, digits, '_' and '-'",
                fix="mend or remove it, then import again: what is there already is not imported twice",
            )
        start = 0
        while True:
            page = self._rows(
                "metrics",
                f"where run_uuid = '{run.id}' order by key, timestamp, step, value limit {PAGE_ROWS} offset {start}",
            )
            for row in page:
                value = math.nan if row["is_nan"] else float(str(row["value"]))
                yield str(row["key"]), value, _number(row["timestamp"]), _number(row["step"])
            if len(page) < PAGE_ROWS:
                return
            start += PAGE_ROWS

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """Yield those that are not deleted; databases from before MLflow 3 have none."""
        within = f"where experiment_id = {int(experiment.id)}"
        params = self._grouped("logged_model_params", "model_id", "param_key", "param_value", within)
        tags = self._grouped("logged_model_tags", "model_id", "tag_key", "tag_value", within)
        for row in self._rows("logged_models", f"{within} order by creation_timestamp_ms, model_id"):
            number = str(row["model_id"])
            if row["lifecycle_stage"] == "deleted":
                continue
            yield LoggedModel(
                id=number,
                experiment=experiment.id,
                name=str(row["name"]),
                location=str(row["artifact_location"]),
                model_type=str(row["model_type"] or ""),
                source_run=str(row["source_run_id"] or ""),
                status=MODEL_STATUSES.get(_number(row["status"]), "READY"),
                created_ms=_number(row["creation_timestamp_ms"]),
                params=params.get(number, {}),
                tags=tags.get(number, {}),
            )

    def files(self, owner: Run | LoggedModel) -> Iterable[File]:
        """Return the files at the location, if it is below a folder that was named."""
        return files_below(self._places.folder(owner.location))

    def models(self) -> Iterator[Model]:
        """Yield the registered models."""
        tags = self._grouped("registered_model_tags", "name", "key", "value")
        aliases = self._grouped("registered_model_aliases", "name", "alias", "version")
        versions: dict[str, list[Version]] = defaultdict(list)
        said: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for row in self._rows("model_version_tags"):
            said[str(row["name"]), _number(row["version"])][str(row["key"])] = str(row["value"] or "")
        for row in self._rows("model_versions", "order by name, version"):
            if row["current_stage"] == "Deleted_Internal":
                continue
            number = _number(row["version"])
            versions[str(row["name"])].append(
                Version(
                    version=number,
                    source=str(row["source"] or ""),
                    run_id=str(row["run_id"] or ""),
                    run_link=str(row.get("run_link") or ""),
                    stage=str(row["current_stage"] or "None"),
                    description=str(row["description"] or ""),
                    created_ms=_number(row["creation_time"]),
                    updated_ms=_number(row["last_updated_time"]),
                    tags=said[str(row["name"]), number],
                )
            )
        for row in self._rows("registered_models", "order by name"):
            name = str(row["name"])
            yield Model(
                name=name,
                description=str(row["description"] or ""),
                created_ms=_number(row["creation_time"]),
                updated_ms=_number(row["last_updated_time"]),
                tags=tags.get(name, {}),
                aliases={alias: int(version) for alias, version in aliases.get(name, {}).items()},
                versions=tuple(versions[name]),
            )

    def traces(self, experiment: Experiment) -> Iterator[Traced]:
        """Yield its traces with what is thought of them; databases from before MLflow 2.14 have none."""
        return databasetraces.traces(self._rows, self._places, experiment)

    def evaluation_data(self, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
        """Yield the datasets for evaluation."""
        return databasetraces.evaluation_sets(self._rows, {one.id for one in experiments})

    def hooks(self) -> Iterator[Hook]:
        """Yield the webhooks that are not deleted."""
        return databasetraces.hooks(self._rows)

    def _rows(self, table: str, rest: str = "") -> list[Row]:
        """Return the rows of a table; of one that this release of MLflow did not have, none."""
        if table not in self._tables:
            return []
        return self._file.rows(f"select * from {table} {rest}")  # noqa: S608 - names of ours, numbers and checked ids

    def _grouped(self, table: str, owner: str, key: str, value: str, rest: str = "") -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self._rows(table, rest):
            found[str(row[owner])][str(row[key])] = "" if row[value] is None else str(row[value])
        return found

    def _linked(self) -> dict[tuple[str, str], list[tuple[str, int]]]:
        """Return the logged models that runs read and made, by run and way."""
        found: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        for row in self._rows("inputs", "where destination_type in ('MODEL_INPUT', 'MODEL_OUTPUT')"):
            link = (str(row["source_id"]), str(row["destination_type"]))
            found[link].append((str(row["destination_id"]), _number(row.get("step"))))
        return found

    def _datasets(self, experiment: Experiment) -> dict[str, list[Dataset]]:
        """Return the data sets that runs read, by run."""
        within = f"where experiment_id = {int(experiment.id)}"
        known = {str(row["dataset_uuid"]): row for row in self._rows("datasets", within)}
        tags = self._grouped("input_tags", "input_uuid", "name", "value")
        found: dict[str, list[Dataset]] = defaultdict(list)
        for row in self._rows("inputs", "where source_type = 'DATASET' and destination_type = 'RUN'"):
            one = known.get(str(row["source_id"]))
            if one is not None:
                found[str(row["destination_id"])].append(_dataset(one, tags.get(str(row["input_uuid"]), {})))
        return found


def _dataset(row: Row, tags: dict[str, str]) -> Dataset:
    schema, profile = row["dataset_schema"], row["dataset_profile"]
    return Dataset(
        name=str(row["name"]),
        digest=str(row["digest"]),
        source_type=str(row["dataset_source_type"]),
        source=str(row["dataset_source"]),
        schema=None if schema is None else str(schema),
        profile=None if profile is None else str(profile),
        tags=tags,
    )


def _number(value: object) -> int:
    return int(str(value)) if value is not None else 0
