"""Figures over many traces, as MLflow's clients ask for them."""

from __future__ import annotations

from ropewalk.api.mlflow.message import Message
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.traces import required
from ropewalk.store.database import Reader
from ropewalk.traces import metrics


class Aggregation(Message, frozen=True, kw_only=True):
    """How values are summed up."""

    aggregation_type: str = ""
    percentile_value: float | None = None


class Query(Message, frozen=True, kw_only=True):
    """`POST traces/metrics`."""

    experiment_ids: list[str] = []
    view_type: str = ""
    metric_name: str = ""
    aggregations: list[Aggregation] = []
    dimensions: list[str] = []
    filters: list[str] = []
    time_interval_seconds: int | None = None
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    max_results: int = 1000
    page_token: str = ""


class DataPoint(Message, frozen=True, kw_only=True):
    """Figures of one group."""

    metric_name: str
    dimensions: dict[str, str] = {}
    values: dict[str, float] = {}


class Figures(Message, frozen=True, kw_only=True):
    """Figures by group."""

    data_points: list[DataPoint] = []


def query(reader: Reader, call: Call) -> Figures:
    """Return figures by group."""
    asked: Query = call.body
    for name in ("experiment_ids", "view_type", "metric_name", "aggregations"):
        if not getattr(asked, name):
            raise required(name)
    found = metrics.query(
        reader,
        metrics.Asked(
            view=asked.view_type,
            metric=asked.metric_name,
            ways=tuple(
                metrics.Way(kind=one.aggregation_type, percent=one.percentile_value) for one in asked.aggregations
            ),
            experiments=tuple(asked.experiment_ids),
            dimensions=tuple(asked.dimensions),
            filters=tuple(asked.filters),
            bucket_s=asked.time_interval_seconds,
            start_ms=asked.start_time_ms,
            end_ms=asked.end_time_ms,
            count=asked.max_results,
        ),
    )
    return Figures(
        data_points=[
            DataPoint(metric_name=asked.metric_name, dimensions=one.dimensions, values=one.values) for one in found
        ]
    )


ROUTES = (
    Route(
        method="POST",
        path="/mlflow/traces/metrics",
        work=query,
        how=How.READ,
        body=Query,
        result=Figures,
        action="read",
        versions=("3.0",),
        summary="Figures over many traces",
    ),
)
