"""Writes a test's pipeline out."""

from __future__ import annotations

from ropewalk.exports.targets import Order, export
from ropewalk.exports.write import Written
from ropewalk.settings import read_settings


def ordered(project, target: str, *, pipeline: str = "pipeline.py:train", check: bool = False, **words) -> Written:
    """Write `pipeline` out for a target."""
    order = Order(target=target, pipeline=pipeline, args=words.pop("args", {}), **words)
    return export(project.site, read_settings(project.site.root), order, check=check)[0]
