"""Takes what a source keeps into this project: each run in one transaction, so that a second try goes on from there."""

from __future__ import annotations

import json
import mimetypes
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from ropewalk.artifacts import artifact, paths
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.exchange.observed import Observed
from ropewalk.exchange.ours import ProjectSource
from ropewalk.exchange.records import (
    Elsewhere,
    Experiment,
    LoggedModel,
    Point,
    Run,
    Whole,
    digest_of_run,
    pieces,
)
from ropewalk.exchange.registry import take_models
from ropewalk.exchange.tally import Tally
from ropewalk.models import logged
from ropewalk.runs import batch, experiments, inputs, remote
from ropewalk.site import Site
from ropewalk.store.database import Transaction

POINTS_AT_ONCE = 10_000
TEXTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file whose bytes are in the bucket.

    Attributes:
        path: below its owner's location.
        digest: of its bytes.
        bytes: their length.
        begun_us: when the bytes began to come.
    """

    path: str
    digest: str
    bytes: int
    begun_us: int


class Arrival:
    """One import.

    Args:
        site: the project.
        source: who keeps what is to come.
        dry: only count.
        on_step: told of each thing that is done.
    """

    def __init__(self, site: Site, source: Whole, *, dry: bool, on_step: Callable[[str], None]) -> None:
        self._site, self._source, self._dry, self._on_step = site, source, dry, on_step
        self._there = ProjectSource(site)
        self.tally = Tally()

    def run(self) -> Tally:
        """Take everything; what cannot be taken is named in the tally, and the rest comes.

        Raises:
            Corrupt: a record of the source cannot be read.
        """
        homes: list[tuple[Experiment, int]] = []
        for experiment in self._source.experiments():
            self._on_step(f"experiment {experiment.name}")
            number = self._experiment(experiment)
            if number is None:
                continue
            homes.append((experiment, number))
            for model in self._source.logged_models(experiment):
                self._attempt(f"logged model {model.id}", partial(self._logged, model, number))
            for run in self._source.runs(experiment):
                self._on_step(f"run {run.name}")
                self._attempt(f"run {run.id}", partial(self._take_run, run, number))
        take_models(self._site, self._source.models(), self.tally, dry=self._dry, on_step=self._on_step)
        rest = Observed(self._site, self._source, self.tally, dry=self._dry, on_step=self._on_step)
        rest.take({experiment.id: (experiment, number) for experiment, number in homes})
        for experiment, number in homes:
            if experiment.deleted and not self._dry:
                self._delete_experiment(number)
        return self.tally

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (RopewalkError, Elsewhere, OSError) as error:
            self.tally.refuse(what, error)

    def _experiment(self, one: Experiment) -> int | None:
        """Return the number that an experiment has here; None when it cannot come."""
        with self._site.db.read() as reader:
            known = experiments.by_name(reader, one.name)
        if known is not None:
            self.tally.known["experiments"] += 1
            return known.id
        self.tally.moved["experiments"] += 1
        if self._dry:
            return -1

        def work(tx: Transaction) -> int:
            return self._make_experiment(tx, one)

        try:
            return self._site.db.write(work)
        except RopewalkError as error:
            self.tally.moved["experiments"] -= 1
            self.tally.refuse(f"experiment {one.name}", error)
            return None

    def _make_experiment(self, tx: Transaction, one: Experiment) -> int:
        number = experiments.parse_id(one.id)
        if tx.row("experiments.get", id=number) is None:
            made = _numbered(tx, self._site, one, number)
        else:
            # The number means another experiment here; the name is what people know.
            made = experiments.create(tx, self._site, one.name, tags=dict(one.tags)).id
        times = {"created_us": one.created_ms * 1000, "updated_us": one.updated_ms * 1000}
        if one.created_ms:
            tx.run("exchange.stamp_experiment", id=made, **times)
        return made

    def _delete_experiment(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            if experiments.get(tx, number).state != experiments.DELETED:
                experiments.delete(tx, self._site, number)

        self._site.db.write(work)

    def _logged(self, one: LoggedModel, number: int) -> None:
        with self._site.db.read() as reader:
            if reader.row("logged.get", id=one.id) is not None:
                self.tally.known["logged models"] += 1
                return
        files = self._files(one)

        def work(tx: Transaction) -> None:
            made = _make_logged(tx, self._site, one, number)
            self._put(tx, made.location, files)

        if not self._dry:
            self._site.db.write(work)
        self.tally.moved["logged models"] += 1
        self._count_files(files)

    def _take_run(self, one: Run, number: int) -> None:
        with self._site.db.read() as reader:
            if reader.row("runs.get", id=one.id) is not None:
                self.tally.known["runs"] += 1
                return
        files = self._files(one)

        def work(tx: Transaction, parts: Iterable[list[Point]]) -> None:
            made = self._begin(tx, one, number)
            for part in parts:
                batch.log_metrics(tx, self._site, one.id, part)
            self._put(tx, made.location, files)
            remote.update(tx, self._site, one.id, status=one.status, end_ms=one.end_ms)
            if one.deleted:
                remote.delete(tx, self._site, one.id)

        if self._dry:
            # A point that was logged twice is kept once.
            points = len({repr(point) for point in self._source.points(one)})
        else:
            with _brought(self._source.points(one)) as parts:
                self._site.db.write(partial(work, parts=parts))
            points = self._compare(one, files)
        self.tally.moved["runs"] += 1
        self.tally.moved["points"] += points
        self.tally.moved["params"] += len(one.params)
        self.tally.moved["tags"] += len(one.tags)
        self.tally.moved["datasets"] += len(one.datasets)
        self._count_files(files)

    def _begin(self, tx: Transaction, one: Run, number: int) -> remote.Run:
        site = self._site
        # What has stopped beating elsewhere does not begin to beat here.
        tags = {key: value for key, value in one.tags.items() if key != remote.BEAT_TAG}
        made = remote.create(
            tx, site, experiment=number, name=one.name, user=one.user, start_ms=one.start_ms, tags=tags, run_id=one.id
        )
        params = list(one.params.items())
        for start in range(0, len(params), TEXTS_AT_ONCE):
            batch.log_params(tx, site, one.id, params[start : start + TEXTS_AT_ONCE])
        datasets = [
            inputs.Dataset(
                name=put.name,
                digest=put.digest,
                source_type=put.source_type,
                source=put.source,
                schema=put.schema,
                profile=put.profile,
                tags=tuple(put.tags.items()),
            )
            for put in one.datasets
        ]
        if datasets or one.read:
            inputs.log(tx, site, one.id, datasets, one.read)
        if one.made:
            inputs.log_made(tx, site, one.id, one.made)
        return made

    def _files(self, owner: Run | LoggedModel) -> list[Kept]:
        """Bring the bytes of the files into the bucket; where they lie elsewhere, the rest comes without them."""
        found: list[Kept] = []
        try:
            for file in self._source.files(owner):
                paths.checked(file.path)
                begun_us = self._site.clock.now_us()
                with file.open() as stream:
                    if self._dry:
                        found.append(Kept(path=file.path, digest="", bytes=_length(stream.read), begun_us=begun_us))
                        continue
                    digest = self._site.blobs.put_stream(stream)
                size = self._site.blobs.size(digest)
                found.append(Kept(path=file.path, digest=digest, bytes=size, begun_us=begun_us))
        except (Elsewhere, RopewalkError) as error:
            self.tally.refuse(f"files of {owner.id}", error)
        return found

    def _put(self, tx: Transaction, location: str, files: Iterable[Kept]) -> None:
        folder = paths.of_uri(location)
        for file in files:
            media = mimetypes.guess_type(file.path)[0] or ""
            path = paths.inside(folder, file.path)
            artifact.put(tx, self._site, path, file.digest, file.bytes, media, begun_us=file.begun_us)

    def _count_files(self, files: list[Kept]) -> None:
        self.tally.moved["files"] += len(files)
        self.tally.moved["bytes"] += sum(file.bytes for file in files)

    def _compare(self, one: Run, files: list[Kept]) -> int:
        """Read the run back, compare it with the source's by one digest, and return how many points it has."""
        given = digest_of_run(one, self._source.points(one), [(file.path, file.digest) for file in files])
        here = self._there.run(one.id)
        points = list(self._there.points(here))
        held = digest_of_run(here, points, self._there.digests(here).items())
        self.tally.digests[one.id] = given
        if held != given:
            self.tally.differing.append(one.id)
        return len(points)


@contextmanager
def _brought(points: Iterable[Point]) -> Generator[Iterator[list[Point]]]:
    """Read all points before anything is written: nobody waits in a transaction for a server that answers slowly."""
    with tempfile.TemporaryFile() as held:
        # As JSON, which says any number and any text that a source may hold; what is wrong with one is found later.
        sizes = [held.write(json.dumps(part).encode()) for part in pieces(points, POINTS_AT_ONCE)]
        held.seek(0)
        yield ([cast("Point", tuple(point)) for point in json.loads(held.read(size))] for size in sizes)


def _length(read: Callable[[int], bytes]) -> int:
    return sum(len(piece) for piece in iter(lambda: read(1 << 20), b""))


def _numbered(tx: Transaction, site: Site, one: Experiment, number: int) -> int:
    """Make an experiment under the number that it had."""
    if not 1 <= len(one.name) <= experiments.NAME_LETTERS_MAX:
        raise Invalid(
            "experiment-name-invalid",
            "This cannot be an experiment's name.",
            where=f"experiment {one.id}",
            why=f"a name is a text of 1 to {experiments.NAME_LETTERS_MAX} characters, found {one.name[:80]!r}",
        )
    location = f"{experiments.LOCATION}/{number}"
    row = {"id": number, "name": one.name, "location": location, "state": experiments.ACTIVE}
    tx.run("experiments.insert_as", **row, at_us=site.clock.now_us())
    told = {"name": one.name, "state": experiments.ACTIVE, "location": location}
    site.record(tx, "experiment.created", f"experiment:{number}", told)
    for key, value in one.tags.items():
        experiments.set_tag(tx, site, number, key, value)
    return number


def _make_logged(tx: Transaction, site: Site, one: LoggedModel, number: int) -> logged.LoggedModel:
    home = experiments.get(tx, number)
    row = {
        "id": one.id,
        "experiment": number,
        "name": one.name,
        "location": f"{home.location.rstrip('/')}/models/{one.id}/artifacts",
        "model_type": one.model_type,
        "source_run": one.source_run,
        "status": logged.PENDING,
        "author": site.actor,
        "created_us": one.created_ms * 1000,
    }
    tx.rows("logged.insert", **row)
    body = {"experiment": number, "name": one.name, "run": one.source_run}
    site.record(tx, "logged.created", f"logged:{one.id}", body)
    if one.params:
        logged.log_params(tx, site, one.id, list(one.params.items()))
    if one.tags:
        logged.set_tags(tx, site, one.id, list(one.tags.items()))
    return logged.finalize(tx, site, one.id, one.status) if one.status != logged.PENDING else logged.get(tx, one.id)
