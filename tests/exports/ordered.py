"""Writes a test's pipeline out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ropewalk.exports.pipeline import Exported
from ropewalk.exports.targets import Order, export, told
from ropewalk.exports.write import Written
from ropewalk.schedules.spec import spec_of
from ropewalk.settings import Schedule, read_settings

TRAIN = "pipeline.py:train"


def ordered(project, target: str, *, pipeline: str = TRAIN, check: bool = False, **words) -> Written:
    """Write a pipeline out for a target, or check it."""
    order = Order(target=target, pipeline=pipeline, args=words.pop("args", {}), **words)
    return export(project.site, read_settings(project.site.root), order, check=check)[0]


def text_of(exported: Exported, target: str, **words: str) -> str:
    """Return what would be written of a pipeline that was read before."""
    words.setdefault("image", "example/letters:1" if target in ("argo", "kubeflow") else "")
    return told(Path("letters"), Order(target=target, pipeline=exported.pipeline, args={}, **words), exported)[1]


def timed(exported: Exported, **words: str) -> Exported:
    """Return a pipeline that another schedule starts."""
    return replace(exported, schedule=spec_of(Schedule(name="train", **words), origin="code", pipeline=TRAIN))
