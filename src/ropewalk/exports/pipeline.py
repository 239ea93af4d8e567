"""A pipeline as it is exported: its recorded graph, its parameters and its schedule, read without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import Invalid
from ropewalk.loops.apart import typed
from ropewalk.pipelines.describe import described
from ropewalk.pipelines.graph import Graph, Node
from ropewalk.refs import PREFIX
from ropewalk.schedules.declared import declared
from ropewalk.schedules.spec import Spec
from ropewalk.settings import Settings
from ropewalk.site import Site

STRUCTURE_LETTERS = 16
NO_SCHEDULE = "none"
# What a start of ours would tell the pipeline of its interval, by the names of parameters.
INTERVAL = ("interval_start", "interval_end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is written out.

    Attributes:
        pipeline: `FILE.py:FUNCTION`.
        function: its name alone.
        nodes: the steps in the order of recording, an order they can run in.
        parameters: the pipeline's arguments by name, as JSON has them.
        structure: by which a step refuses to run where the graph is another one by now.
        schedule: what the clock starts, or None.
        beside: what else starts it, which stays with `ropewalk up`.
    """

    pipeline: str
    function: str
    nodes: tuple[Node, ...]
    parameters: Mapping[str, Any]
    structure: str
    schedule: Spec | None
    beside: tuple[Spec, ...]

    @property
    def leaves(self) -> tuple[str, ...]:
        """The ids of the steps that no other step waits for."""
        waited = {name for node in self.nodes for name in node.needs()}
        return tuple(node.id for node in self.nodes if node.id not in waited)

    @property
    def interval(self) -> tuple[str, ...]:
        """The parameters that a start of a schedule would fill with its interval."""
        return tuple(name for name in INTERVAL if name in self.parameters and self.schedule is not None)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets, each once."""
        return tuple(sorted({name for node in self.nodes for name in node.secrets}))


def read(site: Site, settings: Settings, target: str, args: Mapping[str, Any], schedule: str = "") -> Exported:
    """Record a pipeline's graph and return what is to be written out of it; no step runs, and no run is made.

    Args:
        site: the project.
        settings: of the project.
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; those of the schedule stand below them.
        schedule: name of the schedule that is meant where several start the pipeline by the clock; `none` for none.

    Raises:
        NotFound: there is no such pipeline.
        Invalid: an argument does not fit, or cannot be told as text; the pipeline has no step; several schedules start
            it and none is named.
    """
    specs = [spec for spec in declared(site.root, settings) if spec.pipeline == target]
    chosen = _chosen(specs, schedule, target)
    given = {**(chosen.args if chosen is not None else {}), **args}
    graph = _recorded(site, target, given)
    if not graph.nodes:
        raise Invalid(
            "export-empty",
            "The pipeline has no steps.",
            where=graph.pipeline,
            why="each of its steps would become a node",
            fix="mark functions with @step and call them in the pipeline",
        )
    return Exported(
        pipeline=graph.pipeline,
        function=graph.pipeline.rpartition(":")[2],
        nodes=graph.nodes,
        parameters=json.loads(graph.args),
        structure=graph.structure().removeprefix(PREFIX)[:STRUCTURE_LETTERS],
        schedule=chosen,
        beside=tuple(spec for spec in specs if spec is not chosen),
    )


def _recorded(site: Site, target: str, given: Mapping[str, Any]) -> Graph:
    """Return the graph, having seen that its arguments, told as text, give the same one."""
    with described(site, target, given, workers_max=1) as opened:
        graph = opened.graph
    told = {name: typed(value) for name, value in json.loads(graph.args).items()}
    if told:
        with described(site, target, told, workers_max=1) as again:
            same = again.graph.args == graph.args and again.graph.shape() == graph.shape()
        if not same:
            raise Invalid(
                "export-argument",
                "An argument of the pipeline cannot be handed over by an orchestrator.",
                where=graph.pipeline,
                why=f"told as text, {graph.args} is read as {again.graph.args}",
                fix="annotate the parameters, with text, numbers, lists, tuples, dicts or an Enum",
            )
    return graph


def _chosen(specs: list[Spec], wanted: str, target: str) -> Spec | None:
    timed = {spec.name: spec for spec in specs if spec.timed}
    if wanted == NO_SCHEDULE or (not wanted and not timed):
        return None
    if wanted in timed:
        return timed[wanted]
    if wanted or len(timed) > 1:
        raise Invalid(
            "export-schedule",
            f"Which schedule is meant? {target} has {', '.join(timed) or 'none that the clock starts'}.",
            where=target,
            why="an exported pipeline has one schedule, or none",
            fix=f"--schedule {next(iter(timed), NO_SCHEDULE)}, or --schedule {NO_SCHEDULE}",
        )
    return next(iter(timed.values()))
