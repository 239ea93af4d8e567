"""Writes to a server of MLflow's protocol by its own calls: one of ours keeps ids; others give new ones, and a tag."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

from ropewalk.errors import Invalid
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
    Version,
    pieces,
)
from ropewalk.exchange.server import FILES, PAGE_ROWS, PROXIED, Json, ServerSource, said_no
from ropewalk.exchange.towardstraces import Observed
from ropewalk.refs import name_clause

OLD_ID = "ropewalk.exported_id"
POINTS_AT_ONCE = 1000
TEXTS_AT_ONCE = 100
CHUNK = 1 << 20
# By this tag one of our servers gives a run or logged model the id that it had; others keep it as they keep any tag.
WANTED_ID = "ropewalk.spool_id"
# Tags that a server sets by itself, or that would give it orders.
OWN_TAGS = frozenset(("ropewalk.heartbeat_seconds", "ropewalk.spool_id"))


class ServerTarget:
    """A server, which may hold something already; what came from an earlier export is not written twice.

    Args:
        url: its address.

    Raises:
        Unavailable: it does not answer.
    """

    def __init__(self, url: str) -> None:
        self._server = ServerSource(url)
        self._experiments: dict[str, str] = {}
        self._deleted: list[str] = []
        self._runs: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._observed = Observed(self._server, self._experiments, self._runs)
        self._made: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)

    def experiment(self, one: Experiment) -> None:
        """Make an experiment, or take the one of that name."""
        known = self._server.send("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(one.name)}")
        if known.fine:
            found = cast("Json", known.read()["experiment"])
        else:
            found = self._post("experiments/create", {"name": one.name, "tags": _listed(one.tags)})
        self._experiments[one.id] = str(found["experiment_id"])
        if one.deleted and found.get("lifecycle_stage") != "deleted":
            self._deleted.append(one.id)

    def run(self, one: Run, points: Iterable[Point], files: Iterable[File]) -> None:
        """Make a run with everything that it logged."""
        if self._known_run(one):
            return
        home = self._experiments[one.experiment]
        tags = {key: value for key, value in one.tags.items() if key not in OWN_TAGS}
        asked: Json = {
            "experiment_id": home,
            "run_name": one.name,
            "start_time": one.start_ms,
            "user_id": one.user,
            "tags": _listed({WANTED_ID: one.id}),
        }
        info = cast("Json", cast("Json", self._post("runs/create", asked)["run"])["info"])
        number = str(info["run_id"])
        for part in _parts(_listed(tags), TEXTS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": number, "tags": part})
        for part in _parts(_listed(one.params), TEXTS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": number, "params": part})
        for chunk in pieces(points, POINTS_AT_ONCE):
            metrics = [
                {"key": key, "value": _plain(value), "timestamp": at_ms, "step": step}
                for key, value, at_ms, step in chunk
            ]
            self._post("runs/log-batch", {"run_id": number, "metrics": metrics})
        self._inputs(number, one)
        self._files(str(info["artifact_uri"]), files)
        end: Json = {"end_time": one.end_ms} if one.end_ms is not None else {}
        self._post("runs/update", {"run_id": number, "status": one.status, **end})
        # Last of all: the run counts as exported when it is whole.
        self._post("runs/set-tag", {"run_id": number, "key": OLD_ID, "value": one.id})
        self._post("runs/delete-tag", {"run_id": number, "key": WANTED_ID})
        if one.deleted:
            self._post("runs/delete", {"run_id": number})
        self._runs[one.id] = number
        self._places[one.location] = str(info["artifact_uri"])
        for model, step in one.made:
            self._made[model].append((number, step))

    def _known_run(self, one: Run) -> bool:
        wanted: Json = {
            "experiment_ids": [self._experiments[one.experiment]],
            "filter": f"tags.`{OLD_ID}` = '{one.id}'",
            "run_view_type": "ALL",
            "max_results": 1,
        }
        found = cast("list[Json]", self._post("runs/search", wanted).get("runs") or [])
        if found:
            info = cast("Json", found[0]["info"])
            self._runs[one.id] = str(info["run_id"])
            self._places[one.location] = str(info["artifact_uri"])
        return bool(found)

    def _inputs(self, number: str, one: Run) -> None:
        puts: list[Json] = []
        for put in one.datasets:
            fields = ("name", "digest", "source_type", "source", "schema", "profile")
            said = {name: getattr(put, name) for name in fields if getattr(put, name) is not None}
            puts.append({"dataset": said, "tags": _listed(put.tags)})
        if puts:
            self._post("runs/log-inputs", {"run_id": number, "datasets": puts})

    def logged_model(self, one: LoggedModel, files: Iterable[File]) -> None:
        """Make a logged model with its files, and name it as the output of its run."""
        home = self._experiments[one.experiment]
        wanted: Json = {"experiment_ids": [home], "filter": f"tags.`{OLD_ID}` = '{one.id}'", "max_results": 1}
        known = cast("list[Json]", self._post("logged-models/search", wanted).get("models") or [])
        if known:
            self._know(one, cast("Json", known[0]["info"]))
            return
        asked: Json = {
            "experiment_id": home,
            "name": one.name,
            "model_type": one.model_type,
            "source_run_id": self._runs.get(one.source_run, ""),
            "params": _listed(one.params),
            "tags": _listed({**one.tags, WANTED_ID: one.id}),
        }
        info = cast("Json", cast("Json", self._post("logged-models", asked)["model"])["info"])
        number = str(info["model_id"])
        self._files(str(info["artifact_uri"]), files)
        status = f"LOGGED_MODEL_{one.status}" if one.status in ("READY", "FAILED") else "LOGGED_MODEL_PENDING"
        if one.status != "PENDING":
            self._server.call("PATCH", f"/logged-models/{number}", {"model_id": number, "status": status})
        self._server.call(
            "PATCH", f"/logged-models/{number}/tags", {"model_id": number, "tags": _listed({OLD_ID: one.id})}
        )
        self._server.call("DELETE", f"/logged-models/{number}/tags/{WANTED_ID}")
        self._know(one, info)
        for run, step in self._made[one.id]:
            said = self._server.send(
                "POST",
                "/api/2.0/mlflow/runs/outputs",
                json.dumps({"run_id": run, "models": [{"model_id": number, "step": step}]}).encode(),
            )
            # A deleted run takes nothing more; its models are there, and name it.
            if not said.fine and said.code != "INVALID_PARAMETER_VALUE":
                raise said_no(self._server.url, "runs/outputs", said)

    def _know(self, one: LoggedModel, info: Json) -> None:
        self._models[one.id] = str(info["model_id"])
        self._places[one.location] = str(info["artifact_uri"])

    def model(self, one: Model) -> None:
        """Make a registered model with the versions that it lacks."""
        asked: Json = {"name": one.name, "description": one.description, "tags": _listed(one.tags)}
        body = json.dumps(asked).encode()
        said = self._server.send("POST", "/api/2.0/mlflow/registered-models/create", body)
        if not said.fine and said.code != "RESOURCE_ALREADY_EXISTS":
            raise said_no(self._server.url, "registered-models/create", said)
        wanted: Json = {"filter": name_clause(one.name), "max_results": PAGE_ROWS}
        there = self._server.pages("GET", "/model-versions/search", wanted, "model_versions")
        numbers = [int(str(each["version"])) for each in there if each["name"] == one.name]
        newest = max(numbers, default=0)
        for version in one.versions:
            if version.version > newest:
                self._version(one.name, version)
        for alias, number in one.aliases.items():
            self._post("registered-models/alias", {"name": one.name, "alias": alias, "version": str(number)})

    def trace(self, one: Traced) -> bool:
        """Make a trace with its spans and judgements, whose ids it keeps; say whether it was new there."""
        return self._observed.trace(one)

    def data(self, one: EvaluationData) -> bool:
        """Make a dataset for evaluation; say whether it was new there."""
        return self._observed.data(one)

    def hook(self, one: Hook) -> bool:
        """Make a webhook, disabled and without its secret; say whether it was new there."""
        return self._observed.hook(one)

    def finish(self) -> None:
        """Delete the experiments that are deleted, now that their runs are there."""
        for number in self._deleted:
            self._post("experiments/delete", {"experiment_id": self._experiments[number]})

    def _version(self, name: str, one: Version) -> None:
        asked: Json = {
            "name": name,
            "source": self._source(one.source),
            "run_id": self._runs.get(one.run_id, ""),
            "run_link": one.run_link,
            "description": one.description,
            "tags": _listed(one.tags),
        }
        if one.source.startswith("models:/m-"):
            asked["model_id"] = self._source(one.source).removeprefix("models:/")
        while True:
            made = cast("Json", self._post("model-versions/create", asked)["model_version"])
            number = int(str(made["version"]))
            if number >= one.version:
                break
            # A number that nobody has any more: made once to be passed.
            self._server.call("DELETE", "/model-versions/delete", {"name": name, "version": str(number)})
        if one.stage not in ("", "None"):
            moved: Json = {"name": name, "version": str(number), "stage": one.stage, "archive_existing_versions": False}
            self._post("model-versions/transition-stage", moved)

    def _source(self, uri: str) -> str:
        """Return a source as the server calls it: a place below a run's or a model's, or an address that names one."""
        for old, new in self._places.items():
            if old and (uri == old or uri.startswith(f"{old.rstrip('/')}/")):
                return new + uri.removeprefix(old)
        names = {**self._runs, **self._models}
        return "/".join(names.get(part, part) for part in uri.split("/"))

    def _files(self, location: str, files: Iterable[File]) -> None:
        scheme, _, rest = location.partition(":")
        for file in files:
            if scheme != PROXIED:
                raise Invalid(
                    "exchange-files-not-taken",
                    "The server takes no files.",
                    where=location,
                    why="it does not hand them out itself, and we write to no other address",
                    fix="start it with --serve-artifacts",
                )
            with tempfile.TemporaryDirectory() as folder:
                held = Path(folder) / "file"
                with file.open() as source, held.open("wb") as out:
                    shutil.copyfileobj(source, out, CHUNK)
                path = f"{FILES}/{quote(rest.strip('/'))}/{quote(file.path)}"
                said = self._server.send("PUT", path, held)
            if not said.fine:
                raise said_no(self._server.url, file.path, said)

    def _post(self, kind: str, body: Json) -> Json:
        return self._server.call("POST", f"/{kind}", body)


def _plain(value: float) -> float | str:
    """Return a number as JSON can say it."""
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _listed(pairs: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


def _parts(items: Sequence[Json], size: int) -> Iterable[Sequence[Json]]:
    return (items[start : start + size] for start in range(0, len(items), size))
