"""Writes traces, data for evaluation and webhooks to a server of MLflow's protocol, by its own calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote, urlencode

from ropewalk.exchange.records import EvaluationData, Hook, Traced
from ropewalk.exchange.server import JSON, Json, ServerSource, said_no
from ropewalk.exchange.tracewords import info_of

API = "/api/3.0/mlflow"
OTLP = "/v1/traces"
OLD_ID = "ropewalk.exported_id"
FINALIZED = "mlflow.trace.infoFinalized"
SPANS_AT_ONCE = 200
RECORDS_AT_ONCE = 1000
EVENT_WORDS = 2


class Observed:
    """What a server is given of these.

    Args:
        server: which.
        experiments: ids of experiments there, by what they are here.
        runs: the same of runs.
    """

    def __init__(self, server: ServerSource, experiments: Mapping[str, str], runs: Mapping[str, str]) -> None:
        self._server, self._experiments, self._runs = server, experiments, runs
        self._known: dict[str, str] | None = None

    def trace(self, one: Traced) -> bool:
        """Make a trace under the id that it has, its spans first; say whether it was new there."""
        told, new = one.told, not self._has(one.told.id)
        if new:
            home = self._experiments[told.experiment]
            for start in range(0, len(one.spans), SPANS_AT_ONCE):
                self._spans(home, one.spans[start : start + SPANS_AT_ONCE])
            # Last of all: a trace whose whole was told counts as exported.
            self._call("POST", f"{API}/traces", {"trace": {"trace_info": info_of(one, home, self._runs)}})
        for run in filter(None, map(self._runs.get, one.runs)):
            self._server.call("POST", "/traces/link-to-run", {"trace_ids": [told.id], "run_id": run})
        return new

    def _has(self, trace: str) -> bool:
        query = urlencode({"trace_id": trace, "allow_partial": "true"})
        said = self._server.send("GET", f"{API}/traces/get?{query}")
        if not said.fine:
            return False
        info = cast("Json", cast("Json", said.read().get("trace") or {}).get("trace_info") or {})
        return FINALIZED in cast("Json", info.get("trace_metadata") or {})

    def _spans(self, home: str, spans: tuple[Mapping[str, object], ...]) -> None:
        body: Json = {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}
        headers = {**JSON, "x-mlflow-experiment-id": home}
        said = self._server.send("POST", OTLP, json.dumps(body).encode(), headers=headers)
        if not said.fine:
            raise said_no(self._server.url, OTLP, said)

    def data(self, one: EvaluationData) -> bool:
        """Make a dataset for evaluation, or go on with the one of an earlier export; say whether it is new there."""
        places = [self._experiments[place] for place in one.experiments]
        number = self._there().get(one.id, "")
        new = not number
        if new:
            tags = json.dumps({**one.tags, OLD_ID: one.id})
            made = self._call(
                "POST", f"{API}/datasets/create", {"name": one.name, "experiment_ids": places, "tags": tags}
            )
            number = str(cast("Json", made["dataset"])["dataset_id"])
        for start in range(0, len(one.records), RECORDS_AT_ONCE):
            part = one.records[start : start + RECORDS_AT_ONCE]
            bare = [{key: value for key, value in each.items() if key != "dataset_record_id"} for each in part]
            self._call("POST", f"{API}/datasets/{quote(number)}/records", {"records": json.dumps(bare)})
        return new

    def _there(self) -> Mapping[str, str]:
        """Return the ids of the datasets that came from earlier exports, by what they were."""
        if self._known is None:
            self._known, token = {}, ""
            while True:
                places = sorted(set(self._experiments.values()))
                asked: Json = {"experiment_ids": places, "max_results": RECORDS_AT_ONCE}
                page = self._call(
                    "POST", f"{API}/datasets/search", {**asked, **({"page_token": token} if token else {})}
                )
                for one in cast("list[Json]", page.get("datasets") or []):
                    tags = cast("Json", json.loads(str(one.get("tags") or "{}")))
                    self._known[str(tags.get(OLD_ID, ""))] = str(one["dataset_id"])
                token = str(page.get("next_page_token") or "")
                if not token:
                    break
        return self._known

    def hook(self, one: Hook) -> bool:
        """Make a webhook, disabled and without a secret; say whether it is new there."""
        for each in self._server.pages("GET", "/webhooks", {"max_results": "100"}, "webhooks"):
            if (each.get("name"), each.get("url")) == (one.name, one.url):
                return False
        events = [kind.upper().split(".", EVENT_WORDS - 1) for kind in one.events]
        asked: Json = {
            "name": one.name,
            "url": one.url,
            "description": one.description,
            "events": [{"entity": entity, "action": action} for entity, action in events],
            "status": "DISABLED",
        }
        self._server.call("POST", "/webhooks", asked)
        return True

    def _call(self, method: str, target: str, body: Json) -> Json:
        said = self._server.send(method, target, json.dumps(body).encode())
        if not said.fine:
            raise said_no(self._server.url, target, said)
        return said.read()
