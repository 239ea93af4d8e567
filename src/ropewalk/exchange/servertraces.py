"""Traces, data for evaluation and webhooks of a server of MLflow's protocol, by its own calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import cast
from urllib.parse import quote, urlencode

from ropewalk.errors import Unavailable
from ropewalk.exchange.records import EvaluationData, Experiment, Hook, Traced
from ropewalk.exchange.traced import Json, evaluation_data, spans_of_answer, traced

API = "/api/3.0/mlflow"
PAGE_TRACES = 100
PAGE_RECORDS = 1000
Ask = Callable[[str, str, "dict[str, object] | None"], Json]


def traces(ask: Ask, experiment: Experiment) -> Iterator[Traced]:
    """Yield the traces of an experiment; a server from before MLflow 3 tells none.

    Args:
        ask: method, path and body; returns what the server answers.
        experiment: whose.
    """
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment.id}}
    wanted: dict[str, object] = {"locations": [place], "max_results": PAGE_TRACES, "order_by": ["timestamp ASC"]}
    for info in _pages(ask, "POST", f"{API}/traces/search", wanted, "traces"):
        number = str(info.get("trace_id") or "")
        query = urlencode({"trace_id": number, "allow_partial": "true"})
        whole = cast("Json", ask("GET", f"{API}/traces/get?{query}", None).get("trace") or {})
        # Judgements come with the trace alone, from servers that list traces without them.
        yield traced(
            {**info, **cast("dict[str, object]", whole.get("trace_info") or {})},
            spans=spans_of_answer(cast("list[Json]", whole.get("spans") or []), number),
        )


def evaluation_sets(ask: Ask, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
    """Yield the datasets for evaluation of experiments, each once."""
    known = {one.id for one in experiments if not one.deleted}
    seen: set[str] = set()
    for number in sorted(known, key=int):
        wanted: dict[str, object] = {"experiment_ids": [number], "max_results": PAGE_RECORDS}
        for one in _pages(ask, "POST", f"{API}/datasets/search", wanted, "datasets"):
            name = str(one["dataset_id"])
            if name in seen:
                continue
            seen.add(name)
            told = ask("GET", f"{API}/datasets/{quote(name)}/experiment-ids", None).get("experiment_ids")
            own = [str(place) for place in cast("list[object]", told or []) if str(place) in known]
            yield evaluation_data(one, _records(ask, name), own)


def _records(ask: Ask, name: str) -> Iterator[Json]:
    token = ""
    while True:
        query = {"max_results": str(PAGE_RECORDS), **({"page_token": token} if token else {})}
        found = ask("GET", f"{API}/datasets/{quote(name)}/records?{urlencode(query)}", None)
        yield from cast("list[Json]", json.loads(str(found.get("records") or "[]")))
        token = str(found.get("next_page_token") or "")
        if not token:
            return


def hooks(ask: Ask) -> Iterator[Hook]:
    """Yield the webhooks; whether they have a secret is not told."""
    for one in _pages(ask, "GET", "/api/2.0/mlflow/webhooks", {"max_results": "100"}, "webhooks"):
        events = cast("list[Json]", one.get("events") or [])
        yield Hook(
            id=str(one["webhook_id"]),
            name=str(one["name"]),
            url=str(one["url"]),
            description=str(one.get("description") or ""),
            events=tuple(f"{each['entity']}.{each['action']}".lower() for each in events),
        )


def _pages(ask: Ask, method: str, path: str, wanted: dict[str, object], key: str) -> Iterator[Json]:
    token = ""
    while True:
        asked = {**wanted, **({"page_token": token} if token else {})}
        query = f"?{urlencode(cast('dict[str, str]', asked))}" if method == "GET" else ""
        try:
            found = ask(method, path + query, None if method == "GET" else asked)
        except Unavailable:
            if token:
                raise
            # A server that does not have this has none of it.
            return
        yield from cast("list[Json]", found.get(key) or [])
        token = str(found.get("next_page_token") or "")
        if not token:
            return
