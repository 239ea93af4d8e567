"""Kubeflow Pipelines 2: one task per step, by one component that runs `ropewalk step`."""

from __future__ import annotations

from typing import Any

from ropewalk.errors import Invalid
from ropewalk.exports.crontab import crontab
from ropewalk.exports.kubernetes import cpu, memory
from ropewalk.exports.names import KUBEFLOW, PYTHON, unique
from ropewalk.exports.pipeline import Exported
from ropewalk.exports.render import WAIT_SECONDS_MAX, Wanted, literal, render, schedule_said
from ropewalk.loops.apart import typed
from ropewalk.pipelines.graph import Node
from ropewalk.schedules.spec import ALL, CRON, Spec

END = "ropewalk-end"
# Lists and maps go as JSON text: Kubeflow makes 7.0 of each 7 within them.
_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", list: "str", dict: "str"}
_TAKEN = frozenset(
    {
        "IMAGE",
        "PIPELINE",
        "SECRET",
        "STRUCTURE",
        "compiler",
        "dsl",
        "kubernetes",
        "nullcontext",
        "os",
        "ropewalk_step",
        "ropewalk_steps",
        "start_by_schedule",
        "sys",
    }
)


def kubeflow(exported: Exported, wanted: Wanted, *, secret: bool) -> str:
    """Return the file, which compiles itself.

    Args:
        exported: the pipeline.
        wanted: how.
        secret: whether the Secret is used where no step asks for it.

    Raises:
        Invalid: an argument is of no type that Kubeflow has, or its cron cannot say the schedule.
    """
    names = unique([node.id for node in exported.nodes], KUBEFLOW)
    (end,) = unique([END], KUBEFLOW, taken=names.values()).values()
    (function,) = unique([exported.function], PYTHON, taken=_TAKEN).values()
    spec = exported.schedule
    return render(
        "kubeflow/pipeline.py",
        exported,
        wanted,
        {
            "filename": f"{PYTHON.made(exported.function)}.py",
            "name": KUBEFLOW.made(exported.function),
            "function": function,
            "parameters": [
                (name, _kind(exported, name), typed(value) if type(value) in (list, dict) else value)
                for name, value in sorted(exported.parameters.items())
            ],
            "uses_secret": secret or bool(exported.secrets),
            "tasks": [
                {"id": node.id, "name": names[node.id], "after": list(node.needs()), "words": _words(node)}
                for node in exported.nodes
            ],
            "end": end,
            "cap": f"{WAIT_SECONDS_MAX}s",
            "schedule": _schedule(spec) if spec is not None else None,
            "said": schedule_said(exported),
        },
    )


def _kind(exported: Exported, name: str) -> str:
    value: object = exported.parameters[name]
    kind = _KINDS.get(type(value))
    if kind is None:
        raise Invalid(
            "export-argument",
            f"The argument {name!r} has no type that Kubeflow knows.",
            where=exported.pipeline,
            why=f"its value is {value!r}; parameters are text, numbers, booleans, lists or maps",
            fix=f"name a value: ropewalk export kubeflow {exported.pipeline} {name}=...",
        )
    return kind


def _words(node: Node) -> list[tuple[str, str]]:
    # Kubeflow does not look at exit codes: it tries again as often as the step says, and never beside that.
    told = (
        [("retries", str(node.retries)), ("wait", f'"{max(1, round(node.backoff_seconds))}s"')] if node.retries else []
    )
    if node.cpu != 1:
        told.append(("cpu", literal(cpu(node))))
    if node.memory_bytes:
        told.append(("memory", literal(memory(node))))
    if node.gpu:
        told.append(("gpu", str(node.gpu)))
    if node.secrets:
        told.append(("secrets", literal(list(node.secrets))))
    return told


def _schedule(spec: Spec) -> dict[str, Any]:
    told: dict[str, Any] = {"no_catchup": spec.catch_up != ALL}
    zone = "Kubeflow reads the fields in its server's zone, UTC where nobody has said another one"
    told["note"] = (
        f"{zone}: this schedule is meant in {spec.timezone}." if spec.kind == CRON else "It counts from its start."
    )
    if spec.kind == CRON:
        return told | {"word": "cron_expression", "value": f"0 {crontab(spec, 'Kubeflow')}"}
    return told | {"word": "interval_second", "value": spec.every_us // 1_000_000}
