"""Ropewalk takes a model from a git commit to a monitored endpoint on one line and keeps it as signed evidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ropewalk.models.log import log_model
    from ropewalk.pipelines.commands import command_step
    from ropewalk.pipelines.declare import pipeline, step
    from ropewalk.pipelines.notebooks import notebook_step
    from ropewalk.runs.log import log_artifact, log_metric, log_metrics, log_param, log_params, set_tag

__version__ = "0.1.0"
__all__ = [
    "command_step",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "notebook_step",
    "pipeline",
    "set_tag",
    "step",
]

_HOMES = {
    "pipeline": "ropewalk.pipelines.declare",
    "step": "ropewalk.pipelines.declare",
    "command_step": "ropewalk.pipelines.commands",
    "notebook_step": "ropewalk.pipelines.notebooks",
    "log_model": "ropewalk.models.log",
} | dict.fromkeys(
    ("log_artifact", "log_metric", "log_metrics", "log_param", "log_params", "set_tag"), "ropewalk.runs.log"
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the room gives
    """Import a public name when it is first used, so that `import ropewalk` costs nothing."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ropewalk' has no attribute {name!r}")
    return getattr(import_module(home), name)
