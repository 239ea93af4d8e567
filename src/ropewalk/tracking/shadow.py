"""What the client is told while the server is away: the answers that the server would have given, as far as we know."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs, unquote

from ropewalk.tracking.replay import ARTIFACTS, MARK, Json, marked, shelf

HEARTBEAT = "ropewalk.heartbeat_seconds"
NAME = "mlflow.runName"
POINTS_MAX = 100_000
PLAIN_WRITES = frozenset(
    (
        "runs/log-metric",
        "runs/log-parameter",
        "runs/log-batch",
        "runs/set-tag",
        "runs/delete-tag",
        "runs/log-inputs",
        "runs/outputs",
        "runs/log-model",
        "runs/delete",
        "runs/restore",
        "experiments/set-experiment-tag",
        "experiments/delete-experiment-tag",
        "registered-models/set-tag",
        "registered-models/alias",
        "model-versions/set-tag",
        "model-versions/transition-stage",
        "traces/link-to-run",
        "traces/link-prompts",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer that the server did not give.

    Attributes:
        status: of HTTP.
        body: object of JSON, or bytes.
        made: id that the client was given for what the call makes; empty when it makes nothing.
        sent: the body that is to be sent later, when it is not what the client sent.
        keep: whether the call is kept for the server; a question is not.
    """

    body: Json | bytes
    status: int = 200
    made: str = ""
    sent: Json | None = None
    keep: bool = True


class Shadow:
    """Runs, experiments and models as this process has seen them.

    Args:
        new_id: makes 32 hex digits.
        now_us: the time.
    """

    def __init__(self, new_id: Callable[[], str], now_us: Callable[[], int]) -> None:
        self._new_id, self._now_us = new_id, now_us
        self._runs: dict[str, Json] = {}
        self._models: dict[str, Json] = {}
        self._experiments: dict[str, Json] = {}
        self._points: dict[tuple[str, str], list[Json]] = {}
        self._room = POINTS_MAX

    def mark(self, kind: str, body: Json) -> Json:
        """Return the body of a call that makes something with the tag by which it is found again."""
        if kind not in ("runs/create", "logged-models", "model-versions/create"):
            return body
        tags = cast("list[Json]", body.get("tags") or [])
        if any(one.get("key") == MARK for one in tags):
            return body
        return {**body, "tags": [*tags, {"key": MARK, "value": self._new_id()}]}

    def learn(self, kind: str, body: Json, answer: Json) -> None:
        """Remember what the client told the server, and what it answered of a run, a model or an experiment."""
        if kind in PLAIN_WRITES:
            self._log(kind, body)
        elif kind in ("runs/create", "runs/get") and "run" in answer:
            self._put_run(cast("Json", answer["run"]))
        elif kind.startswith("logged-models") and "model" in answer:
            model = cast("Json", answer["model"])
            self._models[str(cast("Json", model["info"])["model_id"])] = model
        elif kind.startswith("experiments/get") and "experiment" in answer:
            found = cast("Json", answer["experiment"])
            self._experiments[str(found["experiment_id"])] = found

    def answer(self, method: str, target: str, body: Json) -> Told | None:
        """Return what the client is told; None where only the server can say.

        Args:
            method: of HTTP.
            target: path and query below the server's address.
            body: of JSON; empty when there is none.
        """
        path, _, query = target.partition("?")
        if "/mlflow-artifacts/" in path:
            return self._artifact(method, path)
        if path.endswith("/v1/traces"):
            return Told(body=b"")
        kind = path.partition("/mlflow/")[2]
        if method == "GET":
            return self._question(kind, {key: values[0] for key, values in parse_qs(query).items()})
        return self._change(method, kind, body)

    def _change(self, method: str, kind: str, body: Json) -> Told | None:
        makers: dict[str, Callable[[Json], Told]] = {
            "runs/create": self._run,
            "runs/update": self._update,
            "logged-models": self._model,
            "experiments/create": self._experiment,
            "registered-models/create": self._registered,
            "model-versions/create": self._version,
            "traces": lambda said: Told(body={"trace": said.get("trace", {})}),
        }
        if kind in makers:
            return makers[kind](body)
        if kind in PLAIN_WRITES:
            self._log(kind, body)
            return Told(body={})
        return self._of_model(method, kind, body)

    def _question(self, kind: str, asked: Mapping[str, str]) -> Told | None:
        found: Json | None = None
        if kind == "runs/get":
            run = self._runs.get(asked.get("run_id") or asked.get("run_uuid", ""))
            found = {"run": run} if run else None
        elif kind == "metrics/get-history":
            run_id = asked.get("run_id") or asked.get("run_uuid", "")
            found = {"metrics": self._points.get((run_id, asked.get("metric_key", "")), [])}
        elif kind == "experiments/get-by-name":
            named = [one for one in self._experiments.values() if one.get("name") == asked.get("experiment_name")]
            if not named:
                return _unknown("No experiment of that name was seen before the server went away.")
            found = {"experiment": named[0]}
        elif kind == "experiments/get":
            number = asked.get("experiment_id", "0")
            known = self._experiments.get(number) or _experiment(number, "Default" if number == "0" else number)
            found = {"experiment": known}
        elif kind.startswith("logged-models/") and kind.count("/") == 1:
            model = self._models.get(kind.partition("/")[2])
            found = {"model": model} if model else None
        elif kind == "server-info":
            return _unknown("The server is away.")
        return Told(body=found, keep=False) if found is not None else None

    def _artifact(self, method: str, path: str) -> Told | None:
        if method == "PUT":
            return Told(body={})
        if "/mpu/" in path:
            # Whole files can be sent twice without harm; parts cannot.
            return Told(status=501, body={"error_code": "NOT_IMPLEMENTED", "message": "not while spooling"}, keep=False)
        if method == "GET" and path.endswith("/artifacts"):
            return Told(body={"files": []}, keep=False)
        return None

    def _run(self, body: Json) -> Told:
        made = marked(body) or self._new_id()
        name = str(body.get("run_name") or f"spooled-{made[:8]}")
        now = self._now_us() // 1000
        info: Json = {
            "run_id": made,
            "run_uuid": made,
            "run_name": name,
            "experiment_id": str(body.get("experiment_id", "0")),
            "user_id": str(body.get("user_id", "")),
            "status": "RUNNING",
            "start_time": int(str(body.get("start_time") or now)),
            "artifact_uri": ARTIFACTS + shelf(made),
            "lifecycle_stage": "active",
        }
        tags = [one for one in cast("list[Json]", body.get("tags") or []) if one.get("key") != NAME]
        sent: Json = {**body, "run_name": name, "start_time": info["start_time"], "tags": tags}
        shown = [*tags, {"key": NAME, "value": name}]
        run: Json = {"info": info, "data": {"metrics": [], "params": [], "tags": shown}, "inputs": {}, "outputs": {}}
        self._put_run(run)
        return Told(body={"run": run}, made=made, sent=sent)

    def _put_run(self, run: Json) -> None:
        self._runs[str(cast("Json", run["info"])["run_id"])] = run

    def _update(self, body: Json) -> Told:
        known = self._runs.get(str(body.get("run_id", "")))
        info = cast("Json", known["info"]) if known else {"run_id": body.get("run_id", ""), "status": "RUNNING"}
        for key, of in (("status", "status"), ("end_time", "end_time"), ("run_name", "run_name")):
            if body.get(key) is not None:
                info[of] = body[key]
        return Told(body={"run_info": info})

    def _log(self, kind: str, body: Json) -> None:
        known = self._runs.get(str(body.get("run_id") or body.get("run_uuid", "")))
        if known is None:
            return
        data = cast("Json", known.setdefault("data", {}))
        one: Json = {key: body[key] for key in ("key", "value", "timestamp", "step") if key in body}
        into = {"runs/log-metric": "metrics", "runs/log-parameter": "params", "runs/set-tag": "tags"}.get(kind)
        for name in ("metrics", "params", "tags"):
            news = cast("list[Json]", body.get(name) or []) if kind == "runs/log-batch" else []
            news = [one] if name == into else news
            if news:
                _overwrite(data, name, news)
            if name == "metrics":
                self._remember(str(body.get("run_id") or body.get("run_uuid", "")), news)

    def _remember(self, run: str, points: list[Json]) -> None:
        """Keep the newest points for who asks for a history; what is older than the room for them, the server knows."""
        for point in points:
            held = self._points.setdefault((run, str(point.get("key"))), [])
            held.append(point)
            self._room -= 1
            if self._room < 0 and len(held) > 1:
                held.pop(0)
                self._room += 1

    def _model(self, body: Json) -> Told:
        made = f"m-{marked(body) or self._new_id()}"
        now = self._now_us() // 1000
        info: Json = {
            "model_id": made,
            "experiment_id": str(body.get("experiment_id", "0")),
            "name": str(body.get("name") or f"spooled-{made[2:10]}"),
            "creation_timestamp_ms": now,
            "last_updated_timestamp_ms": now,
            "artifact_uri": ARTIFACTS + shelf(made),
            "status": "LOGGED_MODEL_PENDING",
            "model_type": body.get("model_type", ""),
            "source_run_id": body.get("source_run_id", ""),
            "tags": body.get("tags") or [],
        }
        model: Json = {"info": info, "data": {"params": body.get("params") or [], "metrics": []}}
        self._models[made] = model
        return Told(body={"model": model}, made=made, sent={**body, "name": info["name"]})

    def _of_model(self, method: str, kind: str, body: Json) -> Told | None:
        """Answer what changes a logged model: its end, its parameters, its tags."""
        room, _, rest = kind.partition("/")
        if room != "logged-models" or method not in ("PATCH", "POST", "DELETE"):
            return None
        identifier, _, part = unquote(rest).partition("/")
        model = self._models.get(identifier)
        if part.startswith(("tags", "params")):
            return Told(body={"model": model} if model else {})
        if method == "PATCH" and not part and model is not None:
            cast("Json", model["info"])["status"] = body.get("status", "LOGGED_MODEL_READY")
            return Told(body={"model": model})
        return None

    def _experiment(self, body: Json) -> Told:
        # The server gives numbers; this one is none, so that nobody takes it for one of the server's.
        made = f"spooled-{self._new_id()}"
        found = _experiment(made, str(body.get("name", "")))
        found["tags"] = body.get("tags") or []
        self._experiments[made] = found
        return Told(body={"experiment_id": made}, made=made)

    def _registered(self, body: Json) -> Told:
        now = self._now_us() // 1000
        model: Json = {**body, "creation_timestamp": now, "last_updated_timestamp": now}
        return Told(body={"registered_model": model})

    def _version(self, body: Json) -> Told:
        # Versions are numbers for the client; this one is so great that it stands for nothing else.
        made = str(10**15 + int(self._new_id()[:12], 16))
        now = self._now_us() // 1000
        version: Json = {
            **body,
            "version": made,
            "status": "READY",
            "current_stage": "None",
            "creation_timestamp": now,
            "last_updated_timestamp": now,
        }
        return Told(body={"model_version": version}, made=made)


def _overwrite(data: Json, name: str, news: list[Json]) -> None:
    held = {str(one["key"]): one for one in cast("list[Json]", data.get(name) or [])}
    held.update({str(one["key"]): one for one in news})
    data[name] = list(held.values())


def _experiment(number: str, name: str) -> Json:
    return {
        "experiment_id": number,
        "name": name,
        "artifact_location": f"{ARTIFACTS}{number}",
        "lifecycle_stage": "active",
        "tags": [],
    }


def _unknown(words: str) -> Told:
    return Told(status=404, body={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": words}, keep=False)


def decoded(body: bytes) -> Json:
    """Return a body of JSON; empty when it is no object."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}
