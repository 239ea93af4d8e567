"""Hands everything that a source keeps to a target, and counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from ropewalk.errors import RopewalkError
from ropewalk.exchange.records import (
    Elsewhere,
    EvaluationData,
    Experiment,
    File,
    Hook,
    LoggedModel,
    Model,
    Point,
    Run,
    Source,
    Traced,
    Unkept,
    Whole,
)
from ropewalk.exchange.tally import Tally


class Target(Protocol):
    """Whoever takes what MLflow keeps."""

    def experiment(self, one: Experiment) -> None:
        """Take an experiment; its runs and logged models follow."""
        ...

    def run(self, one: Run, points: Iterable[Point], files: Iterable[File]) -> None:
        """Take a run whole."""
        ...

    def logged_model(self, one: LoggedModel, files: Iterable[File]) -> None:
        """Take a logged model whole."""
        ...

    def model(self, one: Model) -> None:
        """Take a registered model; runs and logged models came before."""
        ...

    def trace(self, one: Traced) -> bool:
        """Take a trace with what is thought of it; say whether it was new."""
        ...

    def data(self, one: EvaluationData) -> bool:
        """Take a dataset for evaluation; say whether it was new.

        Raises:
            Unkept: the target has no place for such.
        """
        ...

    def hook(self, one: Hook) -> bool:
        """Take a webhook, disabled; say whether it was new.

        Raises:
            Unkept: the target has no place for such.
        """
        ...

    def finish(self) -> None:
        """Do what waits until everything is there."""
        ...


def depart(source: Whole, target: Target, *, on_step: Callable[[str], None]) -> Tally:
    """Hand everything over; what the target refuses is named in the tally, and the rest goes.

    Args:
        source: who keeps it.
        target: who takes it.
        on_step: told of each thing that is done.
    """
    tally = Tally()
    attempt = partial(_attempt, tally, on_step)
    homes: list[Experiment] = []
    for experiment in source.experiments():
        attempt(f"experiment {experiment.name}", "experiments", lambda one=experiment: target.experiment(one))
        if f"experiment {experiment.name}" in tally.refused:
            continue
        homes.append(experiment)
        for run in source.runs(experiment):
            attempt(f"run {run.id}", "runs", lambda one=run: _run(source, target, one, tally))
        for model in source.logged_models(experiment):
            attempt(
                f"logged model {model.id}",
                "logged models",
                lambda one=model: target.logged_model(one, _counted_files(source.files(one), tally)),
            )
        for trace in source.traces(experiment):
            attempt(f"trace {trace.told.id}", "traces", lambda one=trace: _trace(target, one, tally))
    for known in source.models():
        attempt(f"model {known.name}", "models", lambda one=known: _model(target, one, tally))
    for data in source.evaluation_data(homes):
        attempt(f"evaluation dataset {data.name}", "evaluation datasets", lambda one=data: _data(target, one, tally))
    for hook in source.hooks():
        attempt(f"webhook {hook.name}", "webhooks", lambda one=hook: _hook(target, one, tally))
    attempt("the end", "", target.finish)
    del tally.moved[""]
    return tally


def _attempt(
    tally: Tally, on_step: Callable[[str], None], what: str, kind: str, work: Callable[[], bool | None]
) -> None:
    on_step(what)
    try:
        new = work()
    except Unkept as why:
        tally.notes[what] = str(why)
    except (RopewalkError, Elsewhere, OSError) as error:
        tally.refuse(what, error)
    else:
        (tally.known if new is False else tally.moved)[kind] += 1


def _run(source: Source, target: Target, one: Run, tally: Tally) -> None:
    target.run(one, _counted(source.points(one), tally), _counted_files(source.files(one), tally))
    tally.moved["params"] += len(one.params)
    tally.moved["tags"] += len(one.tags)
    tally.moved["datasets"] += len(one.datasets)


def _model(target: Target, one: Model, tally: Tally) -> None:
    target.model(one)
    tally.moved["versions"] += len(one.versions)
    tally.moved["aliases"] += len(one.aliases)


def _trace(target: Target, one: Traced, tally: Tally) -> bool:
    new = target.trace(one)
    if new:
        tally.moved["spans"] += len(one.spans)
        tally.moved["assessments"] += len(one.told.assessments)
    return new


def _data(target: Target, one: EvaluationData, tally: Tally) -> bool:
    new = target.data(one)
    if new:
        tally.moved["evaluation records"] += len(one.records)
    return new


def _hook(target: Target, one: Hook, tally: Tally) -> bool:
    new = target.hook(one)
    if new:
        told = "it went disabled" + (" and without its secret: give it one" * bool(one.signed))
        tally.notes[f"webhook {one.name}"] = f"{told}; make it ACTIVE there, and no longer here"
    return new


def _counted(points: Iterable[Point], tally: Tally) -> Iterator[Point]:
    for point in points:
        yield point
        tally.moved["points"] += 1


def _counted_files(files: Iterable[File], tally: Tally) -> Iterator[File]:
    for file in files:
        yield file
        tally.moved["files"] += 1
