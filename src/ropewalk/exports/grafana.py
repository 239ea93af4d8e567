"""A board for Grafana over what `/metrics` says, as the JSON that Grafana imports and provisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
SCHEMA = 39
SOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 3
ONE = 'endpoint=~"$endpoint"'
SECONDS, SHARE, BYTES, PER_SECOND, COUNT = "s", "percentunit", "bytes", "reqps", "short"
_BUCKETS = f"sum by (release, le) (rate(ropewalk_prediction_seconds_bucket{{{ONE}}}[$__rate_interval]))"
_ANSWERS = f"ropewalk_http_answers_total{{{ONE}"

# Row, then its panels: title, unit, and expression with legend.
PANELS: tuple[tuple[str, tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]], ...] = (
    (
        "Endpoints",
        (
            (
                "Predictions",
                PER_SECOND,
                (
                    (
                        f"sum by (release, role) (rate(ropewalk_predictions_total{{{ONE}}}[$__rate_interval]))",
                        "{{release}} {{role}}",
                    ),
                ),
            ),
            (
                "Errors of the server",
                SHARE,
                (
                    (
                        (
                            f'1 - sum by (endpoint) (rate({_ANSWERS},status!~"5.."}}[$__rate_interval]))'
                            f" / sum by (endpoint) (rate({_ANSWERS}}}[$__rate_interval]))"
                        ),
                        "{{endpoint}}",
                    ),
                ),
            ),
            (
                "Latency",
                SECONDS,
                tuple(
                    (f"histogram_quantile({share}, {_BUCKETS})", f"{{{{release}}}} p{int(share * 100)}")
                    for share in (0.5, 0.95, 0.99)
                ),
            ),
            ("Share of the traffic", SHARE, ((f"ropewalk_traffic_share{{{ONE}}}", "{{release}}"),)),
            (
                "Rows that wait",
                COUNT,
                (
                    (f"ropewalk_queue_rows{{{ONE}}}", "{{release}}"),
                    (f"rate(ropewalk_dropped_requests{{{ONE}}}[$__rate_interval])", "{{release}} too late"),
                ),
            ),
            (
                "Processes",
                COUNT,
                (
                    (f"ropewalk_workers{{{ONE}}}", "{{release}}"),
                    (f"ropewalk_worker_restarts{{{ONE}}}", "{{release}} started again"),
                ),
            ),
        ),
    ),
    (
        "Models",
        (
            ("Open alerts", COUNT, ((f"ropewalk_alert_open{{{ONE}}}", "{{endpoint}} {{monitor}}"),)),
            ("Canaries", COUNT, ((f"ropewalk_rollouts{{{ONE}}}", "{{endpoint}} {{state}}"),)),
            (
                "Captured predictions",
                COUNT,
                (
                    ("rate(ropewalk_capture_rows[$__rate_interval])", "written a second"),
                    ("rate(ropewalk_capture_refused_rows[$__rate_interval])", "refused a second"),
                    ("sum(ropewalk_capture_waiting_journals)", "journals that wait"),
                ),
            ),
        ),
    ),
    (
        "Work and server",
        (
            ("Runs, batches, starts, deliveries", COUNT, (("ropewalk_jobs", "{{kind}} {{state}}"),)),
            ("Streams behind", COUNT, (("ropewalk_stream_lag", "{{stream}}"),)),
            (
                "Requests by route",
                PER_SECOND,
                (
                    (
                        "topk(10, sum by (route) (rate(ropewalk_http_requests_total[$__rate_interval])))",
                        "{{route}}",
                    ),
                ),
            ),
            (
                "Slowest routes, p99",
                SECONDS,
                (
                    (
                        (
                            "topk(10, histogram_quantile(0.99, sum by (route, le) "
                            "(rate(ropewalk_http_request_seconds_bucket[$__rate_interval]))))"
                        ),
                        "{{route}}",
                    ),
                ),
            ),
            (
                "Disk",
                BYTES,
                (
                    ("ropewalk_disk_free_bytes", "free"),
                    ("sum(ropewalk_captured_bytes)", "captured predictions"),
                ),
            ),
            (
                "Process",
                BYTES,
                (('process_resident_memory_bytes{job="ropewalk"}', "{{instance}} memory"),),
            ),
        ),
    ),
)


def board(project: str) -> str:
    """Return the board of a project."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in PANELS:
        panels.append(_placed(len(panels), title, "row", (0, top), (WIDTH * COLUMNS, 1)))
        top += 1
        for at, (name, unit, queries) in enumerate(row):
            place = (WIDTH * (at % COLUMNS), top + HEIGHT * (at // COLUMNS))
            panels.append(_chart(len(panels), name, unit, queries, place))
        top += HEIGHT * -(-len(row) // COLUMNS)
    told = {
        "uid": "ropewalk",
        "title": f"Ropewalk: {project}",
        "tags": ["ropewalk"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _endpoint()]},
        "panels": panels,
    }
    return json.dumps(told, indent=2) + "\n"


def _placed(number: int, title: str, kind: str, at: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    place = {"x": at[0], "y": at[1], "w": size[0], "h": size[1]}
    return {"id": number + 1, "title": title, "type": kind, "gridPos": place}


def _chart(
    number: int, title: str, unit: str, queries: tuple[tuple[str, str], ...], at: tuple[int, int]
) -> dict[str, Any]:
    """Return a chart; those of latency show an example of each bucket, which leads to the request."""
    return {
        **_placed(number, title, "timeseries", at, (WIDTH, HEIGHT)),
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": expr,
                "legendFormat": legend,
                "exemplar": "_bucket" in expr,
                "datasource": SOURCE,
            }
            for place, (expr, legend) in enumerate(queries)
        ],
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _endpoint() -> dict[str, Any]:
    """Return the choice of endpoints; one that names all of them at the beginning."""
    return {
        "name": "endpoint",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(ropewalk_traffic_share, endpoint)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
