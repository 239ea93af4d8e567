"""Rendering: one folder of templates per target; the same graph gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from ropewalk import __version__
from ropewalk.exports.pipeline import Exported
from ropewalk.schedules.spec import QUEUE

# Attempts beside those that a step asks for: a pod that is killed, a store that is away, is no failure of the step.
SPARE = 2
# How much longer a target waits than the step's own limit, by which we end it and say so in its run.
LATE_SECONDS = 60
# What a wait before another attempt grows to at most.
WAIT_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How it is written out.

    Attributes:
        command: what makes the file anew.
        project: the project's folder as the file finds it: relative to its own folder.
        image: container image that holds Ropewalk and the project; empty for none.
        secret: name of the Kubernetes Secret with the variables of store and steps.
    """

    command: str
    project: str
    image: str
    secret: str


def render(template: str, exported: Exported, wanted: Wanted, facts: Mapping[str, Any]) -> str:
    """Return a file's text.

    Args:
        template: `TARGET/FILE`, in the folder of templates.
        exported: the pipeline.
        wanted: how.
        facts: what the target adds.
    """
    return fill(template, {"exported": exported, "wanted": wanted, "header": header(exported, wanted), **facts})


def fill(template: str, facts: Mapping[str, Any]) -> str:
    """Return a file's text.

    Args:
        template: `TARGET/FILE`, in the folder of templates.
        facts: what it says.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ropewalk.exports", "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML: every value is written as a literal of Python or JSON
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["py"] = literal
    environment.filters["quoted"] = quoted
    environment.filters["jmeter"] = jmeter
    text = environment.get_template(f"{template}.jinja").render(**facts)
    return text.rstrip("\n") + "\n"


def header(exported: Exported, wanted: Wanted) -> tuple[str, ...]:
    """Return the lines of a file's beginning: what made it, and how to make it anew."""
    beside = [f"Not written here, since it is no clock: {spec.name} ({spec.when})" for spec in exported.beside]
    lines = [
        f"Made by Ropewalk {__version__} from {exported.pipeline}. Do not edit; make it anew:",
        f"  {wanted.command}",
        "Add --check to the command to be told whether it is what the pipeline is now.",
        *beside,
    ]
    return tuple(printable(line) for line in lines)


def schedule_said(exported: Exported) -> str:
    """Return what a schedule means, in a sentence for a comment; empty for none."""
    spec = exported.schedule
    if spec is None:
        return ""
    missed = {"last": "of missed starts the last is made up for", "all": "missed starts are all made up for"}
    alone = {"skip": "skips a start while the one before runs", "cancel-running": "a new start ends the one before"}
    said = [spec.when, missed.get(spec.catch_up, "missed starts are not made up for")]
    said.append(alone.get(spec.overlap, "starts wait for the one before" if spec.overlap == QUEUE else spec.overlap))
    return printable("; ".join(said))


def literal(value: object) -> str:
    """Return a value as Python writes it, ASCII alone."""
    return ascii(value)


def quoted(value: object) -> str:
    """Return a value as JSON writes it, which is YAML too; ASCII alone."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def jmeter(text: str) -> str:
    """Return a text in which JMeter sees no variables."""
    return text.replace("\\", "\\\\").replace("${", "\\${")


def printable(text: str) -> str:
    """Return a text for a comment, on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
