"""Routes of what runs log while they run, metrics, parameters and batches, and of the histories of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, cast

from ropewalk.api.mlflow.fields import counted, missing, required
from ropewalk.api.mlflow.message import Message, Nothing, Number, number, spoken
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.runs import ById, id_of
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.errors import Invalid
from ropewalk.models import logged
from ropewalk.runs import batch, series
from ropewalk.store.database import Reader, Transaction

RUNS_MAX = 100


class Measured(Message, frozen=True, kw_only=True):
    """A point of a metric; of a logged model too, where one is named."""

    key: str = ""
    value: Number | None = None
    timestamp: int | None = None
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogMetric(Measured, frozen=True, kw_only=True):
    """A point of a metric."""

    run_id: str = ""
    run_uuid: str = ""


class LogParam(ById, frozen=True, kw_only=True):
    """A parameter."""

    key: str = ""
    value: str = ""


class PairSaid(Message, frozen=True, kw_only=True):
    """A tag or parameter."""

    key: str = ""
    value: str = ""


class LogBatch(ById, frozen=True, kw_only=True):
    """Metrics, parameters and tags."""

    metrics: list[Measured] = []
    params: list[PairSaid] = []
    tags: list[PairSaid] = []


class LogModel(ById, frozen=True, kw_only=True):
    """A model that was logged with a run, as clients before MLflow 3 tell it."""

    model_json: str = ""


class History(ById, frozen=True, kw_only=True):
    """A metric."""

    metric_key: str = ""
    page_token: str = ""
    max_results: int | None = None


class Bulk(Message, frozen=True, kw_only=True):
    """A metric of several runs."""

    run_id: list[str] = []
    metric_key: str = ""
    max_results: int = series.PAGE_MAX


class Interval(Message, frozen=True, kw_only=True):
    """A metric of several runs, between two steps."""

    run_ids: list[str] = []
    metric_key: str = ""
    start_step: int | None = None
    end_step: int | None = None
    max_results: int = series.BUCKETS_MAX


class Point(Message, frozen=True, kw_only=True):
    """A point of a metric."""

    key: str
    value: Number
    timestamp: int
    step: int


class Points(Message, frozen=True, kw_only=True):
    """Points of a metric, and the token for those that follow."""

    metrics: list[Point] = []
    next_page_token: str = ""


class PointOfRun(Point, frozen=True, kw_only=True):
    """A point of a metric of a run."""

    run_id: str


class PointsOfRuns(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Points of a metric of several runs."""

    metrics: list[PointOfRun] = []


def _point(said: Measured, where: str = "") -> batch.points.Point:
    """Return what was measured."""
    if not said.key:
        raise missing(f"{where}key")
    if said.value is None:
        raise missing(f"{where}value")
    if said.timestamp is None:
        raise missing(f"{where}timestamp")
    return said.key, number(said.value, f"{where}value"), said.timestamp, said.step


def _points(said: Sequence[Measured]) -> list[batch.points.Point]:
    """Return what was measured, a thousand at a time."""
    points = [(one.key, one.value, one.timestamp, one.step) for one in said]
    if points:
        keys, values, times, _ = zip(*points, strict=True)
        if set(map(type, values)) != {float} or None in times or "" in keys:
            return [_point(one, f"metrics[{place}].") for place, one in enumerate(said)]
    return cast("list[batch.points.Point]", points)


def _note_models(tx: Transaction, run_id: str, said: Iterable[Measured], points: Sequence[batch.points.Point]) -> None:
    """Note what was measured of logged models."""
    found: dict[str, list[logged.Point]] = {}
    for one, (key, value, at_ms, step) in zip(said, points, strict=True):
        if one.model_id:
            found.setdefault(one.model_id, []).append(
                logged.Point(
                    key=key,
                    value=value,
                    at_ms=at_ms,
                    step=step,
                    run_id=run_id,
                    dataset_name=one.dataset_name,
                    dataset_digest=one.dataset_digest,
                )
            )
    if found:
        logged.note_metrics(tx, found)


def log_metric(tx: Transaction, call: Call) -> Nothing:
    """Log a point of a metric."""
    body: LogMetric = call.body
    run_id, point = required(body.run_id or body.run_uuid, "run_id"), _point(body)
    batch.log_metrics(tx, call.site, run_id, [point])
    if body.model_id:
        _note_models(tx, run_id, [body], [point])
    return _NOTHING


def log_param(tx: Transaction, call: Call) -> Nothing:
    """Log a parameter, which keeps its value."""
    body: LogParam = call.body
    batch.log_params(tx, call.site, id_of(body), [(required(body.key, "key"), body.value)])
    return _NOTHING


def log_batch(tx: Transaction, call: Call) -> Nothing:
    """Log metrics, parameters and tags at once."""
    body: LogBatch = call.body
    run_id = id_of(body)
    points = _points(body.metrics)
    batch.log_batch(
        tx,
        call.site,
        run_id,
        metrics=points,
        params=[(required(one.key, f"params[{place}].key"), one.value) for place, one in enumerate(body.params)],
        tags=[(required(one.key, f"tags[{place}].key"), one.value) for place, one in enumerate(body.tags)],
    )
    _note_models(tx, run_id, body.metrics, points)
    return _NOTHING


def log_model(tx: Transaction, call: Call) -> Nothing:
    """Note on a run a model that was logged with it."""
    batch.log_model(tx, call.site, id_of(call.body), required(call.body.model_json, "model_json"))
    return _NOTHING


def history(reader: Reader, call: Call) -> dict[str, Any]:
    """Return the history of a metric, whole or in pages."""
    body: History = call.body
    key = required(body.metric_key, "metric_key")
    count = None if body.max_results is None else counted(body.max_results, series.WHOLE_MAX)
    found, token = series.history(reader, id_of(body), key, count=count, token=body.page_token)
    # Plain values instead of structs: a history may have a hundred thousand points.
    points = [
        {"key": key, "value": value if isfinite(value) else spoken(value), "timestamp": at_ms, "step": step}
        for value, at_ms, step in found
    ]
    return {"metrics": points, "next_page_token": token} if token else {"metrics": points}


def history_bulk(reader: Reader, call: Call) -> dict[str, Any]:
    """Return the histories of a metric in several runs."""
    body: Bulk = call.body
    run_ids, key = _runs(body.run_id, "run_id"), required(body.metric_key, "metric_key")
    count = min(counted(body.max_results, 1 << 31), series.PAGE_MAX)
    return {"metrics": [_of_run(run_id, key, moment) for run_id, moment in series.bulk(reader, run_ids, key, count)]}


def history_interval(reader: Reader, call: Call) -> dict[str, Any]:
    """Return evenly chosen points of a metric in several runs."""
    body: Interval = call.body
    run_ids, key = _runs(body.run_ids, "run_ids"), required(body.metric_key, "metric_key")
    count = counted(body.max_results, series.BUCKETS_MAX)
    low, high = body.start_step, body.end_step
    if (low is None) != (high is None) or (low is not None and high is not None and low > high):
        raise Invalid(
            "interval-invalid",
            "This is no interval of steps.",
            where="start_step, end_step",
            why=f"found {low} to {high}",
            fix="give both or neither, the lower first",
        )
    between = {} if low is None or high is None else {"low": low, "high": high}
    return {
        "metrics": [
            _of_run(run_id, key, moment)
            for run_id in run_ids
            for moment in series.sample(reader, run_id, key, count, **between)
        ]
    }


def _of_run(run_id: str, key: str, moment: series.Moment) -> dict[str, Any]:
    value, at_ms, step = moment
    return {"key": key, "value": spoken(value), "timestamp": at_ms, "step": step, "run_id": run_id}


def _runs(ids: Sequence[str], name: str) -> list[str]:
    """Return the runs that are asked for."""
    if not ids:
        raise missing(name)
    if len(ids) > RUNS_MAX:
        raise Invalid(
            "count-invalid",
            f"The request names too many runs: at most {RUNS_MAX}.",
            where=name,
            why=f"found {len(ids)}",
            fix="ask several times",
        )
    return list(dict.fromkeys(ids))


_NOTHING = Nothing()
ROUTES = (
    writes("POST", "/mlflow/runs/log-metric", log_metric, LogMetric, Nothing),
    writes("POST", "/mlflow/runs/log-parameter", log_param, LogParam, Nothing),
    writes("POST", "/mlflow/runs/log-batch", log_batch, LogBatch, Nothing),
    writes("POST", "/mlflow/runs/log-model", log_model, LogModel, Nothing),
    reads("GET", "/mlflow/metrics/get-history", history, History, Points),
    reads("GET", "/mlflow/metrics/get-history-bulk", history_bulk, Bulk, PointsOfRuns),
    reads("GET", "/mlflow/metrics/get-history-bulk-interval", history_interval, Interval, PointsOfRuns),
)
