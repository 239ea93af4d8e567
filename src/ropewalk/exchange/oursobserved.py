"""Traces with what is thought of them, data for evaluation and webhooks of this project, as a source tells them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ropewalk.exchange.records import EvaluationData, Experiment, Hook, Traced
from ropewalk.exchange.traced import kept, spans_of_answer
from ropewalk.site import Site
from ropewalk.store.database import Reader
from ropewalk.traces import compile as composing
from ropewalk.traces import evaluation, records, search
from ropewalk.traces.records import Record
from ropewalk.traces.span import answered
from ropewalk.traces.start import Told
from ropewalk.traces.trace import Info
from ropewalk.webhooks import webhook

PAGE_TRACES = 50
PAGE_ROWS = 1000


def traces(site: Site, experiment: Experiment) -> Iterator[Traced]:
    """Yield the traces of an experiment, oldest first."""
    token = ""
    while True:
        with site.db.read() as reader:
            page = search.search(reader, [experiment.id], orders=["timestamp ASC"], count=PAGE_TRACES, token=token)
            found = _whole(reader, page.traces)
        yield from found
        token = page.token
        if not token:
            return


def _whole(reader: Reader, infos: Sequence[Info]) -> list[Traced]:
    numbers = [one.trace.number for one in infos]
    spans: dict[int, list[dict[str, object]]] = {number: [] for number in numbers}
    for row in composing.contents_of(reader, numbers):
        spans[int(str(row["trace"]))].append(answered(str(row["content"])))
    return [
        Traced(
            told=_told(one),
            spans=tuple(spans_of_answer(spans[one.trace.number], one.trace.id)),
            runs=tuple(str(row["target"]) for row in reader.rows("traces.runs_of", trace=one.trace.number)),
        )
        for one in infos
    ]


def _told(one: Info) -> Told:
    trace = one.trace
    return Told(
        id=trace.id,
        experiment=str(trace.experiment),
        start_ms=trace.start_ms,
        duration_ms=trace.duration_ms,
        state=trace.state,
        client_request=trace.client_request,
        request_preview=trace.request_preview,
        response_preview=trace.response_preview,
        tags=kept(one.tags),
        metadata=kept(one.metadata),
        assessments=one.assessments,
    )


def evaluation_data(site: Site, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
    """Yield the datasets for evaluation that belong to experiments, each once."""
    known = {one.id for one in experiments}
    seen: set[str] = set()
    for place in experiments:
        token = ""
        while True:
            with site.db.read() as reader:
                page = evaluation.search(reader, [place.id], token=token)
                fresh = [one for one in page.evaluations if one.id not in seen]
                said = [_data(reader, one) for one in fresh]
            seen.update(one.id for one in said)
            for one in said:
                own = tuple(number for number in one.experiments if number in known)
                yield replace(one, experiments=own, records=tuple(_records(site, one.id)))
            token = page.token
            if not token:
                break


def _data(reader: Reader, one: evaluation.Evaluation) -> EvaluationData:
    return EvaluationData(
        id=one.id,
        name=one.name,
        created_ms=one.created_ms,
        updated_ms=one.updated_ms,
        created_by=one.created_by,
        tags=evaluation.tags_of(reader, one.id),
        experiments=tuple(evaluation.experiments_of(reader, one.id)),
    )


def _records(site: Site, data: str) -> Iterator[dict[str, object]]:
    token = ""
    while True:
        with site.db.read() as reader:
            page, token = records.page(reader, data, PAGE_ROWS, token)
        yield from map(_record, page)
        if not token:
            return


def _record(one: Record) -> dict[str, object]:
    said = {
        "dataset_record_id": one.id,
        "inputs": one.inputs,
        "outputs": one.outputs,
        "expectations": one.expectations,
        "tags": one.tags,
        "source": one.source,
    }
    return {key: value for key, value in said.items() if value is not None}


def hooks(site: Site) -> Iterator[Hook]:
    """Yield the webhooks, without their secrets."""
    token = ""
    while True:
        with site.db.read() as reader:
            page, token = webhook.listed(reader, token=token)
            found = [(one, tuple(each.kind for each in webhook.events(reader, one.id))) for one in page]
        for one, events in found:
            yield Hook(
                id=one.id,
                name=one.name,
                url=one.url,
                description=one.description,
                events=events,
                signed=one.secret is not None,
            )
        if not token:
            return
