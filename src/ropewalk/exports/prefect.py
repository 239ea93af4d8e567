"""Prefect 3: one task per step in one flow, served by its schedule."""

from __future__ import annotations

from typing import Any

from ropewalk.exports.names import PREFECT, PYTHON, unique
from ropewalk.exports.pipeline import Exported
from ropewalk.exports.render import LATE_SECONDS, SPARE, WAIT_SECONDS_MAX, Wanted, literal, render, schedule_said
from ropewalk.pipelines.graph import Node
from ropewalk.schedules.spec import CRON, Spec

END = "ropewalk-end"
# Names of the file itself that a pipeline's function must not take.
_TAKEN = frozenset(
    {
        "AFTER",
        "AGAIN",
        "COMMAND",
        "NO_CACHE",
        "PIPELINE",
        "PROJECT",
        "Path",
        "SECRETS",
        "STEPS",
        "STRUCTURE",
        "TryAgain",
    }
    | {
        "flow",
        "flow_run",
        "get_run_logger",
        "json",
        "may_try_again",
        "os",
        "ropewalk_step",
        "ropewalk_steps",
        "shlex",
        "subprocess",
        "sys",
    }
    | {"task", "Secret", "suppress", "timedelta", "wait", "Cron", "Interval", "dict", "list"}
)


def prefect(exported: Exported, wanted: Wanted) -> str:
    """Return the flow's file."""
    names = unique([node.id for node in exported.nodes], PREFECT)
    (end,) = unique([END], PREFECT, taken=names.values()).values()
    (function,) = unique([exported.function], PYTHON, taken=_TAKEN).values()
    spec = exported.schedule
    return render(
        "prefect/flow.py",
        exported,
        wanted,
        {
            "filename": f"{PYTHON.made(exported.function)}.py",
            "name": PREFECT.made(exported.function),
            "function": function,
            "parameters": sorted(exported.parameters.items()),
            "secrets": {node.id: list(node.secrets) for node in exported.nodes if node.secrets},
            "tasks": [
                {"id": node.id, "name": names[node.id], "after": list(node.needs()), "words": _words(node)}
                for node in exported.nodes
            ],
            "end": end,
            "spare": SPARE,
            "schedule": _schedule(spec) if spec is not None else None,
            "said": f"{schedule_said(exported)} (Prefect itself makes up for none)",
        },
    )


def _words(node: Node) -> list[tuple[str, str]]:
    """Return what is said of a task, where it is not what Prefect does anyway."""
    count = node.retries + SPARE
    waits = [min(max(1.0, node.backoff_seconds) * 2**attempt, WAIT_SECONDS_MAX) for attempt in range(count)]
    told = [("retries", str(count)), ("retry_delay_seconds", literal(waits))]
    if node.timeout_seconds is not None and not node.over:
        told.append(("timeout_seconds", f"{node.timeout_seconds + LATE_SECONDS:g}"))
    return told


def _schedule(spec: Spec) -> dict[str, Any]:
    # One at a time where a start waits for the one before or is skipped; Prefect lets it wait.
    limit = ", limit=1, global_limit=1"
    if spec.kind == CRON:
        text = f"Cron({literal(spec.cron)}, timezone={literal(spec.timezone)})"
        return {"word": "Cron", "every": False, "text": text, "limit": limit}
    text = f"Interval(timedelta(seconds={spec.every_us // 1_000_000}))"
    return {"word": "Interval", "every": True, "text": text, "limit": limit}
