"""Hands everything that a source keeps to a target, and counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ropewalk.errors import RopewalkError
from ropewalk.exchange.records import Elsewhere, Experiment, File, LoggedModel, Model, Point, Run, Source
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

    def finish(self) -> None:
        """Do what waits until everything is there."""
        ...


def depart(source: Source, target: Target, *, on_step: Callable[[str], None]) -> Tally:
    """Hand everything over; what the target refuses is named in the tally, and the rest goes.

    Args:
        source: who keeps it.
        target: who takes it.
        on_step: told of each thing that is done.
    """
    tally = Tally()

    def attempt(what: str, kind: str, work: Callable[[], None]) -> None:
        on_step(what)
        try:
            work()
        except (RopewalkError, Elsewhere, OSError) as error:
            tally.refuse(what, error)
        else:
            tally.moved[kind] += 1

    for experiment in source.experiments():
        attempt(f"experiment {experiment.name}", "experiments", lambda one=experiment: target.experiment(one))
        if f"experiment {experiment.name}" in tally.refused:
            continue
        for run in source.runs(experiment):
            attempt(f"run {run.id}", "runs", lambda one=run: _run(source, target, one, tally))
        for model in source.logged_models(experiment):
            attempt(
                f"logged model {model.id}",
                "logged models",
                lambda one=model: target.logged_model(one, _counted_files(source.files(one), tally)),
            )
    for known in source.models():
        attempt(f"model {known.name}", "models", lambda one=known: _model(target, one, tally))
    attempt("the end", "", target.finish)
    del tally.moved[""]
    return tally


def _run(source: Source, target: Target, one: Run, tally: Tally) -> None:
    target.run(one, _counted(source.points(one), tally), _counted_files(source.files(one), tally))
    tally.moved["params"] += len(one.params)
    tally.moved["tags"] += len(one.tags)
    tally.moved["datasets"] += len(one.datasets)


def _model(target: Target, one: Model, tally: Tally) -> None:
    target.model(one)
    tally.moved["versions"] += len(one.versions)
    tally.moved["aliases"] += len(one.aliases)


def _counted(points: Iterable[Point], tally: Tally) -> Iterator[Point]:
    for point in points:
        yield point
        tally.moved["points"] += 1


def _counted_files(files: Iterable[File], tally: Tally) -> Iterator[File]:
    for file in files:
        yield file
        tally.moved["files"] += 1
