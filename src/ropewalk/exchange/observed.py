"""Takes a source's traces, data for evaluation and webhooks into this project, each in one transaction, ids kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from ropewalk.errors import Conflict, Invalid, RopewalkError
from ropewalk.exchange.records import EvaluationData, Experiment, Hook, Traced, Whole
from ropewalk.exchange.tally import Tally
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.traces import evaluation, ingest, links, records, start
from ropewalk.traces.ingest import Batch
from ropewalk.webhooks import webhook
from ropewalk.webhooks.events import event_of
from ropewalk.webhooks.webhook import DISABLED, Wish

SPANS_AT_ONCE = 1000
RECORDS_AT_ONCE = 1000
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Observed:
    """What an import takes besides runs and models.

    Args:
        site: the project.
        source: who keeps it.
        tally: grows.
        dry: only count.
        on_step: told of each thing that is done.
    """

    def __init__(self, site: Site, source: Whole, tally: Tally, *, dry: bool, on_step: Callable[[str], None]) -> None:
        self._site, self._source, self._tally, self._dry, self._on_step = site, source, tally, dry, on_step

    def take(self, homes: Mapping[str, tuple[Experiment, int]]) -> None:
        """Take everything; what cannot be taken is named in the tally.

        Args:
            homes: the source's experiments by id, each with its number here.
        """
        for one, number in homes.values():
            for trace in self._source.traces(one):
                self._on_step(f"trace {trace.told.id}")
                self._attempt(f"trace {trace.told.id}", partial(self._trace, trace, number))
        for data in self._source.evaluation_data([one for one, _ in homes.values()]):
            self._on_step(f"evaluation dataset {data.name}")
            places = [str(homes[one][1]) for one in data.experiments]
            self._attempt(f"evaluation dataset {data.name}", partial(self._data, data, places))
        for hook in self._source.hooks():
            self._attempt(f"webhook {hook.name}", partial(self._hook, hook))

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (RopewalkError, OSError) as error:
            self._tally.refuse(what, error)

    def _known(self, query: str, **values: str) -> bool:
        with self._site.db.read() as reader:
            return reader.row(query, **values) is not None

    def _trace(self, one: Traced, number: int) -> None:
        if self._known("traces.get", id=one.told.id):
            self._tally.known["traces"] += 1
            return
        # Read before the transaction: a span that is none is told, and the others come.
        told = {"resourceSpans": [{"scopeSpans": [{"spans": list(one.spans)}]}]}
        batch = ingest.read(told) if one.spans else Batch(rows=(), rejected=0, reasons=())

        def work(tx: Transaction) -> Batch:
            start.start(tx, self._site, replace(one.told, experiment=str(number)))
            kept = ingest.keep(tx, str(number), batch) if batch.rows else batch
            here = [run for run in one.runs if tx.row("runs.get", id=run) is not None]
            for run in here:
                links.link_run(tx, [one.told.id], run)
            return kept

        kept = batch if self._dry else self._site.db.write(work)
        if kept.rejected:
            self._tally.refused[f"spans of trace {one.told.id}"] = "; ".join(kept.reasons)[:300]
        self._tally.moved["traces"] += 1
        self._tally.moved["spans"] += len(one.spans) - kept.rejected
        self._tally.moved["assessments"] += len(one.told.assessments)

    def _data(self, one: EvaluationData, places: list[str]) -> None:
        if self._known("evaluations.get", id=one.id):
            self._tally.known["evaluation datasets"] += 1
            return
        if not _ID.fullmatch(one.id):
            raise Invalid("exchange-damaged", "A record of the source cannot be read.", where=one.id[:60])

        def work(tx: Transaction) -> None:
            evaluation.create(tx, self._site, one.name, one.tags, places, one.id)
            for first in range(0, len(one.records), RECORDS_AT_ONCE):
                part = one.records[first : first + RECORDS_AT_ONCE]
                bare = [{key: value for key, value in each.items() if key in _RECORD} for each in part]
                records.upsert(tx, self._site, one.id, bare, [str(each["dataset_record_id"]) for each in part])

        if not self._dry:
            self._site.db.write(work)
        self._tally.moved["evaluation datasets"] += 1
        self._tally.moved["evaluation records"] += len(one.records)

    def _hook(self, one: Hook) -> None:
        if self._known("webhooks.get", id=one.id):
            self._tally.known["webhooks"] += 1
            return
        if not _ID.fullmatch(one.id):
            raise Conflict("exchange-damaged", "A record of the source cannot be read.", where=one.id[:60])
        # Where it came from still tells it, and signs what it tells: here it waits for somebody to switch it on.
        wish = Wish(
            name=one.name,
            url=one.url,
            events=[event_of(kind) for kind in one.events],
            description=one.description,
            status=DISABLED,
        )
        if not self._dry:
            self._site.db.write(lambda tx: webhook.create(tx, self._site, wish, one.id))
        self._tally.moved["webhooks"] += 1
        if one.signed is not False:
            self._tally.notes[f"webhook {one.name}"] = (
                "its secret cannot be read: it came without one and disabled; give it one and make it ACTIVE"
            )


_RECORD = frozenset(("inputs", "outputs", "expectations", "tags", "source"))
