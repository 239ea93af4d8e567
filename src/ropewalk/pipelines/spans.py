"""A run as a trace, whose id is its own: the run is the first span, and each step that it walked one below."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from ropewalk.pipelines import failures
from ropewalk.pipelines.outcomes import StepRecord
from ropewalk.refs import PREFIX, digest_of
from ropewalk.runs import run as runs
from ropewalk.settings import Telemetry
from ropewalk.site import Site
from ropewalk.store.database import Reader
from ropewalk.telemetry.context import Parent
from ropewalk.telemetry.open import caller, spans_of
from ropewalk.telemetry.spans import INSIDE, Span, Value

_SPAN_LETTERS = 16
_BAD = frozenset(("failed", "interrupted"))


@contextmanager
def told_of_run(site: Site, telemetry: Telemetry) -> Generator[Callable[[str], None]]:
    """Give what takes the id of a run that begins, and tell of its steps as spans at the end, however it ends.

    Args:
        site: the project.
        telemetry: what the project says of whom spans are told; the environment's variables may say it too.

    Raises:
        Invalid: what it says is no address.
        Missing: OpenTelemetry's library is not installed.
    """
    begun: list[str] = []
    with spans_of(telemetry) as spans:
        try:
            yield begun.append
        finally:
            parent = caller()
            if spans is not None and begun and spans.wants(parent.trace if parent else begun[-1], parent):
                with site.db.read() as rows:
                    spans.tell(tuple(spans_of_run(rows, begun[-1], parent)))


def spans_of_run(rows: Reader, run_id: str, parent: Parent | None) -> Iterator[Span]:
    """Yield the spans of a run that is over, its own first.

    Args:
        rows: of the project.
        run_id: the run.
        parent: whoever called, such as CI; None where nobody did.
    """
    run = runs.get(rows, run_id)
    trace = parent.trace if parent else run_id
    whole = _span_id(run_id)
    last = run.ended_us or run.started_us
    steps = rows.all(StepRecord, "pipelines.steps_of_run", run_id=run_id)
    ended = [step.ended_us or step.started_us for step in steps]
    yield Span(
        name=f"run {run.pipeline}",
        kind=INSIDE,
        trace=trace,
        id=whole,
        parent=parent.span if parent else "",
        begun_us=run.started_us,
        ended_us=max([last, *ended]),
        attributes={
            "ropewalk.run": run.id,
            "ropewalk.run.name": run.name,
            "ropewalk.run.state": run.state,
            "ropewalk.commit": run.commit_sha,
        },
        failure=run.error[:200] or run.state if run.state in _BAD else "",
    )
    for step in steps:
        attributes: dict[str, Value] = {
            "ropewalk.run": run.id,
            "ropewalk.step": step.step,
            "ropewalk.step.state": step.state,
            "ropewalk.step.attempt": step.attempt,
        }
        yield Span(
            name=f"step {step.node}",
            kind=INSIDE,
            trace=trace,
            id=_span_id(f"{run_id} {step.node}"),
            parent=whole,
            begun_us=step.started_us,
            ended_us=step.ended_us or last,
            attributes=attributes,
            failure=_failure(step),
        )


def _failure(step: StepRecord) -> str:
    if step.state not in _BAD:
        return ""
    return (failures.headline(json.loads(step.error)) if step.error else step.state)[:200]


def _span_id(name: str) -> str:
    return digest_of(name.encode()).removeprefix(PREFIX)[:_SPAN_LETTERS]
