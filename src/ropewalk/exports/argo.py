"""Argo Workflows: a WorkflowTemplate with one template per step, and a CronWorkflow where the clock starts it."""

from __future__ import annotations

from typing import Any

from ropewalk.exports.crontab import crontab
from ropewalk.exports.kubernetes import environment, resources
from ropewalk.exports.names import KUBERNETES, unique
from ropewalk.exports.pipeline import Exported
from ropewalk.exports.render import LATE_SECONDS, SPARE, WAIT_SECONDS_MAX, Wanted, render, schedule_said
from ropewalk.loops.apart import typed
from ropewalk.pipelines.graph import Node
from ropewalk.schedules.spec import CANCEL, NONE, QUEUE, SKIP, Spec

RUN = "argo:{{workflow.namespace}}/{{workflow.uid}}"
ENTRYPOINT, END = "pipeline", "ropewalk-end"
# A start that was missed because the controller was away is made up for so long.
MISSED_SECONDS = 86_400
_CLOSING = Node(
    id="",
    step="",
    where="",
    inputs={},
    code="",
    retries=0,
    timeout_seconds=None,
    backoff_seconds=10,
    cache=True,
    cpu=0.1,
)


def argo(exported: Exported, wanted: Wanted) -> str:
    """Return the file: one document, or two where there is a schedule.

    Raises:
        Invalid: Argo's cron cannot say the schedule.
    """
    names = unique([node.id for node in exported.nodes], KUBERNETES)
    entrypoint, end = unique([ENTRYPOINT, END], KUBERNETES, taken=names.values()).values()
    tasks = [_task(exported, node, names[node.id], [names[one] for one in node.needs()]) for node in exported.nodes]
    spec = exported.schedule
    return render(
        "argo/workflow.yaml",
        exported,
        wanted,
        {
            "name": KUBERNETES.made(exported.function),
            "entrypoint": entrypoint,
            "end": end,
            "parameters": [(name, typed(value)) for name, value in sorted(exported.parameters.items())],
            "mutex": spec is not None and spec.overlap == QUEUE,
            "tasks": tasks,
            "closing": _task(exported, _CLOSING, end, []),
            "cap": f"{WAIT_SECONDS_MAX}s",
            "schedule": _schedule(spec) if spec is not None else None,
            "said": schedule_said(exported),
        },
    )


def _task(exported: Exported, node: Node, name: str, after: list[str]) -> dict[str, Any]:
    own = node is not _CLOSING
    timed = node.timeout_seconds is not None and not node.over
    # With `=`, so that a value that begins with two dashes is no option; Argo puts the values in.
    given = [f"{one}={{{{workflow.parameters.{one}}}}}" for one in sorted(exported.parameters)]
    words = ["step", *([node.id] if own else ["--end"]), exported.pipeline, *given, "--run", RUN]
    return {
        "name": name,
        "after": after,
        "timeout": int((node.timeout_seconds or 0) + LATE_SECONDS) if timed else None,
        "limit": node.retries + SPARE,
        "wait": f"{max(1, round(node.backoff_seconds))}s",
        "words": [*words, "--structure", exported.structure],
        "environment": environment(node),
        "resources": resources(node),
    }


def _schedule(spec: Spec) -> dict[str, Any]:
    return {
        "cron": crontab(spec, "Argo"),
        "timezone": spec.timezone,
        "policy": {SKIP: "Forbid", CANCEL: "Replace"}.get(spec.overlap, "Allow"),
        "deadline": 0 if spec.catch_up == NONE else MISSED_SECONDS,
    }
