"""A server of MLflow's protocol, read by its own calls, with nothing opened but what lies below its address."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, cast
from urllib.parse import quote, urlencode

from ropewalk.errors import Refused, Unavailable
from ropewalk.exchange import servertraces
from ropewalk.exchange.places import PROXIED
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
)
from ropewalk.refs import name_clause
from ropewalk.tracking import wire

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
PAGE_ROWS = 1000
PAGE_POINTS = 25_000
PAGE_MODELS = 100
DEPTH_MAX = 100
JSON = {"Content-Type": "application/json"}
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
Json = dict[str, object]


class ServerSource:
    """A server; `MLFLOW_TRACKING_TOKEN` or user name and password say who asks.

    Args:
        url: its address.

    Raises:
        Unavailable: it does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.call("GET", "/experiments/get?experiment_id=0")

    def call(self, method: str, target: str, body: Json | None = None) -> Json:
        """Return what the server answers to a call below `/api/2.0/mlflow`.

        Raises:
            Unavailable: it does not answer, or says that it cannot.
            Refused: it does not know who asks, or he may not.
        """
        return self._asked(method, API + target, body)

    def _asked(self, method: str, target: str, body: Json | None) -> Json:
        said = self.send(method, target, json.dumps(body).encode() if body is not None else b"")
        if said.fine:
            return said.read()
        raise said_no(self.url, target.removeprefix(API), said)

    def send(
        self,
        method: str,
        target: str,
        body: bytes | Path = b"",
        into: IO[bytes] | None = None,
        headers: Mapping[str, str] = JSON,
    ) -> wire.Answer:
        """Return what the server answers, whatever it is.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            return wire.send(self.url, method, target, headers=headers, body=body, into=into)
        except wire.Away as error:
            raise Unavailable(
                "exchange-server-away",
                "The server does not answer.",
                where=wire.bare(self.url),
                why=str(error),
                fix="start it, or name another one; what has come already is not imported twice",
            ) from error

    def pages(self, method: str, target: str, asked: Json, key: str) -> Iterator[Json]:
        """Yield what a search below `/api/2.0/mlflow` finds, page by page."""
        token = ""
        while True:
            page = {**asked, **({"page_token": token} if token else {})}
            words = f"?{urlencode(cast('dict[str, str]', page))}" if method == "GET" else ""
            found = self.call(method, target + words, None if method == "GET" else page)
            yield from cast("list[Json]", found.get(key) or [])
            token = str(found.get("next_page_token") or "")
            if not token:
                return

    def experiments(self) -> Iterator[Experiment]:
        """Yield all."""
        asked: Json = {"max_results": PAGE_ROWS, "view_type": "ALL", "order_by": ["experiment_id ASC"]}
        for one in self.pages("POST", "/experiments/search", asked, "experiments"):
            yield Experiment(
                id=str(one["experiment_id"]),
                name=str(one["name"]),
                deleted=one.get("lifecycle_stage") == "deleted",
                created_ms=_number(one.get("creation_time")),
                updated_ms=_number(one.get("last_update_time")),
                tags=_pairs(one.get("tags")),
            )

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """Yield its runs, deleted ones too."""
        asked: Json = {
            "experiment_ids": [experiment.id],
            "max_results": PAGE_ROWS,
            "run_view_type": "ALL",
            "order_by": ["attributes.start_time ASC"],
        }
        for one in self.pages("POST", "/runs/search", asked, "runs"):
            info, data = cast("Json", one["info"]), cast("Json", one.get("data") or {})
            inputs, outputs = cast("Json", one.get("inputs") or {}), cast("Json", one.get("outputs") or {})
            end = info.get("end_time")
            yield Run(
                id=str(info["run_id"]),
                experiment=experiment.id,
                name=str(info.get("run_name") or ""),
                status=str(info.get("status") or "RUNNING"),
                start_ms=_number(info.get("start_time")),
                end_ms=_number(end) if end else None,
                user=str(info.get("user_id") or ""),
                deleted=info.get("lifecycle_stage") == "deleted",
                location=str(info.get("artifact_uri") or ""),
                keys=tuple(str(point["key"]) for point in cast("list[Json]", data.get("metrics") or [])),
                params=_pairs(data.get("params")),
                tags=_pairs(data.get("tags")),
                datasets=tuple(_dataset(put) for put in cast("list[Json]", inputs.get("dataset_inputs") or [])),
                read=tuple(str(put["model_id"]) for put in cast("list[Json]", inputs.get("model_inputs") or [])),
                made=tuple(
                    (str(put["model_id"]), _number(put.get("step")))
                    for put in cast("list[Json]", outputs.get("model_outputs") or [])
                ),
            )

    def points(self, run: Run) -> Iterator[Point]:
        """Yield the points by name."""
        for key in run.keys:
            asked: Json = {"run_id": run.id, "run_uuid": run.id, "metric_key": key, "max_results": PAGE_POINTS}
            for one in self.pages("GET", "/metrics/get-history", asked, "metrics"):
                yield key, float(str(one.get("value", 0.0))), _number(one.get("timestamp")), _number(one.get("step"))

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """Yield those that are not deleted; a server from before MLflow 3 has none."""
        try:
            asked: Json = {"experiment_ids": [experiment.id], "max_results": 50}
            found = list(self.pages("POST", "/logged-models/search", asked, "models"))
        except Unavailable:
            return
        for one in found:
            info, data = cast("Json", one["info"]), cast("Json", one.get("data") or {})
            yield LoggedModel(
                id=str(info["model_id"]),
                experiment=experiment.id,
                name=str(info.get("name") or ""),
                location=str(info.get("artifact_uri") or ""),
                model_type=str(info.get("model_type") or ""),
                source_run=str(info.get("source_run_id") or ""),
                status=str(info.get("status") or "READY").rpartition("_")[2],
                created_ms=_number(info.get("creation_timestamp_ms")),
                params=_pairs(data.get("params")),
                tags=_pairs(info.get("tags")),
            )

    def traces(self, experiment: Experiment) -> Iterator[Traced]:
        """Yield its traces with what is thought of them."""
        return servertraces.traces(self._asked, experiment)

    def evaluation_data(self, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
        """Yield the datasets for evaluation of experiments."""
        return servertraces.evaluation_sets(self._asked, experiments)

    def hooks(self) -> Iterator[Hook]:
        """Yield the webhooks, without their secrets."""
        return servertraces.hooks(self._asked)

    def files(self, owner: Run | LoggedModel) -> Iterable[File]:
        """Return the files that the server itself hands out.

        Raises:
            Elsewhere: the location is not one of the server's own.
        """
        scheme, _, rest = owner.location.partition(":")
        if scheme != PROXIED or rest.startswith("//"):
            raise Elsewhere(f"{owner.location} is not handed out by the server: copy it by hand")
        return self._below(rest.strip("/"), "")

    def _below(self, root: str, path: str) -> Iterator[File]:
        if path.count("/") >= DEPTH_MAX:
            raise Elsewhere(f"{root} holds folders deeper than {DEPTH_MAX}")
        said = self.send("GET", f"{FILES}?{urlencode({'path': f'{root}/{path}' if path else root})}")
        if not said.fine:
            raise said_no(self.url, root, said)
        for one in cast("list[Json]", said.read().get("files") or []):
            name = str(one["path"]).rpartition("/")[2]
            here = f"{path}/{name}" if path else name
            if one.get("is_dir"):
                yield from self._below(root, here)
            else:
                yield File(path=here, open=partial(self._opened, f"{root}/{here}"))

    @contextmanager
    def _opened(self, path: str) -> Generator[BinaryIO]:
        with tempfile.TemporaryFile() as held:
            said = self.send("GET", f"{FILES}/{quote(path)}", into=held)
            if not said.fine:
                raise said_no(self.url, path, said)
            held.seek(0)
            yield cast("BinaryIO", held)

    def models(self) -> Iterator[Model]:
        """Yield the registered models with their versions, and the prompts, which are found only when asked for."""
        yield from self._models("")
        yield from self._models(PROMPTS)

    def _models(self, mark: str) -> Iterator[Model]:
        asked: Json = {"max_results": PAGE_MODELS, **({"filter": mark} if mark else {})}
        for one in list(self.pages("GET", "/registered-models/search", asked, "registered_models")):
            name = str(one["name"])
            words = name_clause(name) + (f" AND {mark}" if mark else "")
            wanted: Json = {"filter": words, "max_results": PAGE_ROWS}
            pages = self.pages("GET", "/model-versions/search", wanted, "model_versions")
            found = [each for each in pages if str(each["name"]) == name]
            yield Model(
                name=name,
                description=str(one.get("description") or ""),
                created_ms=_number(one.get("creation_timestamp")),
                updated_ms=_number(one.get("last_updated_timestamp")),
                tags=_pairs(one.get("tags")),
                aliases={
                    str(alias["alias"]): _number(alias["version"])
                    for alias in cast("list[Json]", one.get("aliases") or [])
                },
                versions=tuple(sorted((_version(each) for each in found), key=lambda each: each.version)),
            )


def _version(one: Json) -> Version:
    return Version(
        version=_number(one["version"]),
        source=str(one.get("source") or ""),
        run_id=str(one.get("run_id") or ""),
        run_link=str(one.get("run_link") or ""),
        stage=str(one.get("current_stage") or "None"),
        description=str(one.get("description") or ""),
        created_ms=_number(one.get("creation_timestamp")),
        updated_ms=_number(one.get("last_updated_timestamp")),
        tags=_pairs(one.get("tags")),
    )


def _dataset(put: Json) -> Dataset:
    one = cast("Json", put["dataset"])
    schema, profile = one.get("schema"), one.get("profile")
    return Dataset(
        name=str(one.get("name", "")),
        digest=str(one.get("digest", "")),
        source_type=str(one.get("source_type", "")),
        source=str(one.get("source", "")),
        schema=None if schema is None else str(schema),
        profile=None if profile is None else str(profile),
        tags=_pairs(put.get("tags")),
    )


def _pairs(found: object) -> dict[str, str]:
    return {str(one["key"]): str(one.get("value") or "") for one in cast("list[Json]", found or [])}


def _number(value: object) -> int:
    return int(str(value)) if value not in (None, "") else 0


def said_no(url: str, target: str, said: wire.Answer) -> Unavailable | Refused:
    """Return the error for an answer that is a refusal."""
    words = str(said.read().get("message") or f"HTTP {said.status}")[:300]
    kind = Refused if said.status in (401, 403) else Unavailable
    return kind(
        "exchange-server-refused",
        "The server does not give what it was asked for.",
        where=f"{wire.bare(url)} {target[:80]}",
        why=words,
        fix="set MLFLOW_TRACKING_TOKEN, or user name and password, if it wants to know who asks",
    )
