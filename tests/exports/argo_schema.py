"""What Argo Workflows takes of what we write: a reduced schema after its field reference, with nothing else allowed."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
LABEL = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
WHOLE = {"type": "integer"}
# Kubernetes' quantities.
AMOUNT = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$"}
DURATION = {"type": "string", "pattern": r"^\d+(s|m|h|d)?$"}


def closed(required: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no others."""
    return {"type": "object", "properties": properties, "required": required or [], "additionalProperties": False}


def many(item: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least}


AMOUNTS = {"type": "object", "additionalProperties": AMOUNT, "minProperties": 1}
VARIABLE = closed(
    ["name", "valueFrom"],
    name={"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    valueFrom=closed(
        ["secretKeyRef"],
        secretKeyRef=closed(["name", "key"], name=LABEL, key=TEXT, optional={"type": "boolean"}),
    ),
)
CONTAINER = closed(
    ["image"],
    image=TEXT,
    command=many(TEXT),
    args=many(TEXT),
    env=many(VARIABLE),
    resources=closed(requests=AMOUNTS, limits=AMOUNTS),
)
RETRY = closed(
    limit={"type": "string", "pattern": r"^\d+$"},
    retryPolicy={"enum": ["Always", "OnFailure", "OnError", "OnTransientError"]},
    expression=TEXT,
    backoff=closed(duration=DURATION, factor={"type": "string", "pattern": r"^\d+$"}, cap=DURATION),
)
TASK = closed(["name", "template"], name=LABEL, template=LABEL, dependencies=many(LABEL))
TEMPLATE = {
    **closed(
        ["name"],
        name=LABEL,
        activeDeadlineSeconds=WHOLE,
        retryStrategy=RETRY,
        container=CONTAINER,
        dag=closed(["tasks"], tasks=many(TASK), failFast={"type": "boolean"}),
    ),
    "oneOf": [{"required": ["container"]}, {"required": ["dag"]}],
}
PARAMETER = closed(["name"], name={"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"}, value=TEXT)
METADATA = closed(["name"], name=LABEL, annotations={"type": "object", "additionalProperties": TEXT})
WORKFLOW_TEMPLATE = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "argoproj.io/v1alpha1"},
    kind={"const": "WorkflowTemplate"},
    metadata=METADATA,
    spec=closed(
        ["entrypoint", "templates"],
        entrypoint=LABEL,
        onExit=LABEL,
        arguments=closed(["parameters"], parameters=many(PARAMETER)),
        synchronization=closed(["mutexes"], mutexes=many(closed(["name"], name=LABEL))),
        templates=many(TEMPLATE),
    ),
)
CRON_WORKFLOW = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "argoproj.io/v1alpha1"},
    kind={"const": "CronWorkflow"},
    metadata=METADATA,
    spec=closed(
        ["schedules", "workflowSpec"],
        schedules=many({"type": "string", "pattern": r"^\S+( \S+){4}$"}),
        timezone=TEXT,
        concurrencyPolicy={"enum": ["Allow", "Forbid", "Replace"]},
        startingDeadlineSeconds=WHOLE,
        workflowSpec=closed(["workflowTemplateRef"], workflowTemplateRef=closed(["name"], name=LABEL)),
    ),
)
KINDS = {"WorkflowTemplate": WORKFLOW_TEMPLATE, "CronWorkflow": CRON_WORKFLOW}
