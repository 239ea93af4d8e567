"""Airflow 3: one task per step, the schedule as a timetable, the parameters as the DAG's."""

from __future__ import annotations

import math
from typing import Any

from ropewalk.clock import iso
from ropewalk.exports.names import AIRFLOW, unique
from ropewalk.exports.pipeline import Exported
from ropewalk.exports.render import LATE_SECONDS, SPARE, WAIT_SECONDS_MAX, Wanted, literal, render, schedule_said
from ropewalk.pipelines.graph import Node
from ropewalk.schedules.spec import ALL, CRON, NONE, Spec

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
END = "ropewalk-end"


def airflow(exported: Exported, wanted: Wanted) -> str:
    """Return the DAG's file."""
    names = unique([node.id for node in exported.nodes], AIRFLOW, taken=[])
    (end,) = unique([END], AIRFLOW, taken=names.values()).values()
    spec = exported.schedule
    schedule, timetable = _schedule(spec)
    words = {"BaseOperator", "DAG", "Param", *(["Variable"] if exported.secrets else [])}
    return render(
        "airflow/dag.py",
        exported,
        wanted,
        {
            "dag_id": AIRFLOW.made(exported.function),
            "schedule": schedule,
            "said": schedule_said(exported),
            "imported": sorted(words),
            "timetable": timetable,
            "dates": spec is not None,
            "timing": _timing(spec),
            "parameters": [(name, value, _kind(value)) for name, value in sorted(exported.parameters.items())],
            "tasks": [
                {"id": node.id, "name": names[node.id], "after": list(node.needs()), "words": _words(node, wanted)}
                for node in exported.nodes
            ],
            "end": end,
            "spare": SPARE,
        },
    )


def _kind(value: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Return which kinds of JSON a parameter takes: that of its value, whole numbers where it has a fraction, null."""
    if value is None:
        return ["null", "string", "number", "boolean", "array", "object"]
    found = [_KINDS[type(value)]]
    return found + (["string"] if isinstance(value, list) else []) + ["null"] * isinstance(value, str)


def _schedule(spec: Spec | None) -> tuple[str, str]:
    """Return the schedule in Python, and the timetable that it needs of Airflow's."""
    if spec is None:
        return "None", ""
    if spec.kind == CRON:
        timetable = "CronTriggerTimetable" if spec.catch_up == NONE else "CronDataIntervalTimetable"
        return f"{timetable}({literal(spec.cron)}, timezone={literal(spec.timezone)})", timetable
    timetable = "DeltaTriggerTimetable" if spec.catch_up == NONE else "DeltaDataIntervalTimetable"
    return f"{timetable}(timedelta(seconds={spec.every_us // 1_000_000}))", timetable


def _timing(spec: Spec | None) -> list[tuple[str, str]]:
    if spec is None:
        return [("catchup", "False")]
    zone = f"ZoneInfo({literal(spec.timezone)})"
    first = spec.start_us or 0
    told = [("start_date", _moment(first, zone))]
    if spec.end_us is not None:
        told.append(("end_date", _moment(spec.end_us, zone)))
    return [*told, ("catchup", str(spec.catch_up == ALL)), ("max_active_runs", "1")]


def _moment(at_us: int, zone: str) -> str:
    """Return a moment in Python, in the schedule's zone; a schedule without a beginning begins in 2000."""
    text = iso(at_us)[:19] if at_us else ""
    if not text:
        return f"datetime(2000, 1, 1, tzinfo={zone})"
    return f'datetime.fromisoformat("{text}+00:00").astimezone({zone})'


def _words(node: Node, wanted: Wanted) -> list[tuple[str, str]]:
    """Return what is said of a task, where it is not what Airflow does anyway."""
    wait = f"timedelta(seconds={max(1.0, node.backoff_seconds):g})"
    told = [("retries", str(node.retries + SPARE)), ("retry_delay", wait)]
    told += [("retry_exponential_backoff", "True"), ("max_retry_delay", f"timedelta(seconds={WAIT_SECONDS_MAX})")]
    if node.timeout_seconds is not None and not node.over:
        told.append(("execution_timeout", f"timedelta(seconds={node.timeout_seconds + LATE_SECONDS:g})"))
    if node.priority:
        told.append(("priority_weight", str(node.priority)))
        told.append(("weight_rule", '"absolute"'))
    if node.cpu > 1 and not wanted.image:
        told.append(("pool_slots", str(math.ceil(node.cpu))))
    if node.secrets:
        told.append(("secrets", literal(list(node.secrets))))
    if wanted.image:
        told.append(("executor_config", _pod(node, wanted)))
    return told


def _pod(node: Node, wanted: Wanted) -> str:
    """Return what the Kubernetes executor makes of a task's pod, in Python."""
    from ropewalk.exports.kubernetes import environment, resources

    asked = resources(node)
    container = f'k8s.V1Container(name="base", image={literal(wanted.image)}, '
    container += (
        f"resources=k8s.V1ResourceRequirements(requests={literal(asked.requests)}, limits={literal(asked.limits)}), "
    )
    variables = ", ".join(
        f"k8s.V1EnvVar(name={literal(name)}, value_from=k8s.V1EnvVarSource(secret_key_ref="
        f"k8s.V1SecretKeySelector(name={literal(wanted.secret)}, key={literal(name)}, optional={optional})))"
        for name, optional in environment(node)
    )
    container += f"env=[{variables}])"
    return f'{{"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[{container}]))}}'
