"""The alerts of a project's server, as Prometheus judges them."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.settings import Settings

PAGE, LOOK = "page", "ticket"
ERRORS_SHARE, DISK_SHARE = 0.01, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert.

    Attributes:
        name: of the alert.
        expr: what holds while there is something to say.
        lasts: for how long it has to hold, such as `5m`.
        severity: `page` for what users feel, `ticket` for what can wait till morning.
        summary: what is the matter, with the series' labels.
        description: where to look.
    """

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts about one thing."""

    name: str
    rules: tuple[Rule, ...]


def groups_of(settings: Settings) -> tuple[Group, ...]:
    """Return the alerts; the limit of latency is stage 7's own budget."""
    return (
        Group(name="ropewalk-endpoints", rules=(*_answers(), *_speed(settings.qa.p99_ms / 1000))),
        Group(name="ropewalk-models", rules=_models()),
        Group(name="ropewalk-server", rules=_server()),
    )


def _answers() -> tuple[Rule, ...]:
    return (
        Rule(
            name="RopewalkErrors",
            expr=(
                'sum by (endpoint) (rate(ropewalk_http_answers_total{status=~"5.."}[5m]))'
                f" / sum by (endpoint) (rate(ropewalk_http_answers_total[5m])) > {ERRORS_SHARE}"
            ),
            lasts="2m",
            severity=PAGE,
            summary="{{ $labels.endpoint }}: {{ $value | humanizePercentage }} of the answers are errors of the server",
            description="ropewalk status; the log says why, by the request's number.",
        ),
        Rule(
            name="RopewalkModelErrors",
            expr=(
                'sum by (endpoint, release) (rate(ropewalk_predictions_total{status!="ok",role!="shadow"}[5m]))'
                ' / sum by (endpoint, release) (rate(ropewalk_predictions_total{role!="shadow"}[5m]))'
                f" > {ERRORS_SHARE}"
            ),
            lasts="2m",
            severity=PAGE,
            summary="{{ $labels.release }}: {{ $value | humanizePercentage }} of the rows have no valid answer",
            description="ropewalk rollback, if it is new; the console shows the rows.",
        ),
    )


def _speed(p99_seconds: float) -> tuple[Rule, ...]:
    return (
        Rule(
            name="RopewalkSlow",
            expr=(
                "histogram_quantile(0.99, sum by (endpoint, le) (rate(ropewalk_prediction_seconds_bucket[5m])))"
                f" > {p99_seconds:g}"
            ),
            lasts="5m",
            severity=PAGE,
            summary="{{ $labels.endpoint }}: one answer of a hundred takes longer than {{ $value | humanizeDuration }}",
            description="The budget is stage 7's, [qa] p99_ms; look at ropewalk_queue_rows and at examples.",
        ),
        Rule(
            name="RopewalkNoWorker",
            expr="ropewalk_workers == 0",
            lasts="1m",
            severity=PAGE,
            summary="{{ $labels.release }} has no process that answers at {{ $labels.endpoint }}",
            description="ropewalk status says why it does not start.",
        ),
        Rule(
            name="RopewalkTooBusy",
            expr='sum by (endpoint) (rate(ropewalk_http_answers_total{status="503"}[5m])) > 0',
            lasts="5m",
            severity=LOOK,
            summary="{{ $labels.endpoint }} sends callers away",
            description="Its queue is full or its journal is behind: more workers ([serve] workers), or a faster disk.",
        ),
    )


def _models() -> tuple[Rule, ...]:
    return (
        Rule(
            name="RopewalkDrift",
            expr='ropewalk_alert_open{kind=~"drift|output"} > 0',
            lasts="0m",
            severity=LOOK,
            summary="{{ $labels.endpoint }}: the monitor {{ $labels.monitor }} sees what the training did not",
            description="ropewalk alerts shows the window and the evidence.",
        ),
        Rule(
            name="RopewalkQuality",
            expr='ropewalk_alert_open{kind!~"drift|output"} > 0',
            lasts="0m",
            severity=PAGE,
            summary="{{ $labels.endpoint }}: the monitor {{ $labels.monitor }} ({{ $labels.kind }}) is open",
            description="ropewalk alerts shows the window and the evidence.",
        ),
        Rule(
            name="RopewalkCanaryFell",
            expr='increase(ropewalk_rollouts{state="fallen"}[1h]) > 0',
            lasts="0m",
            severity=LOOK,
            summary="{{ $labels.endpoint }}: a canary was rolled back",
            description="The endpoint's page shows the evidence by which it was judged.",
        ),
        Rule(
            name="RopewalkWorkFailed",
            expr='increase(ropewalk_jobs{state="failed"}[1h]) > 0',
            lasts="0m",
            severity=LOOK,
            summary="Work failed: {{ $labels.kind }}",
            description="ropewalk runs, ropewalk schedule or ropewalk batch says which and why.",
        ),
    )


def _server() -> tuple[Rule, ...]:
    return (
        Rule(
            name="RopewalkDown",
            expr='up{job="ropewalk"} == 0',
            lasts="1m",
            severity=PAGE,
            summary="{{ $labels.instance }} does not answer /metrics",
            description="systemctl status, or the container's log.",
        ),
        Rule(
            name="RopewalkDiskFull",
            expr=f"ropewalk_disk_free_bytes / ropewalk_disk_bytes < {DISK_SHARE}",
            lasts="10m",
            severity=LOOK,
            summary="{{ $value | humanizePercentage }} of the disk is left where the records lie",
            description="ropewalk gc frees what nobody names; [capture] keep_days forgets old predictions.",
        ),
        Rule(
            name="RopewalkCaptureRefused",
            expr="increase(ropewalk_capture_refused_rows[5m]) > 0",
            lasts="0m",
            severity=PAGE,
            summary="{{ $value | humanize }} predictions were not answered, for their rows could not be written",
            description="The disk is full, slow or broken, or the store is away.",
        ),
        Rule(
            name="RopewalkCaptureFailing",
            expr="ropewalk_capture_failing == 1",
            lasts="2m",
            severity=LOOK,
            summary="Captured rows cannot be sealed; nothing is lost yet, they wait on the disk",
            description="The log says why; predictions are refused once 64 journals wait.",
        ),
    )
