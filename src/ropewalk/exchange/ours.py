"""What this project keeps, as a source: for export, and to check an import against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import BinaryIO

from ropewalk.artifacts import artifact, native, paths
from ropewalk.blobs.bucket import Bucket
from ropewalk.exchange import oursobserved
from ropewalk.exchange.records import (
    Dataset,
    EvaluationData,
    Experiment,
    File,
    Hook,
    LoggedModel,
    Model,
    Point,
    Run,
    Traced,
    Version,
)
from ropewalk.models import logged, registered, stages, versions
from ropewalk.runs import experiments, inputs, series
from ropewalk.runs import run as runs
from ropewalk.runs.experiments import DELETED
from ropewalk.runs.states import Run as Kept
from ropewalk.runs.view import View, views
from ropewalk.site import Site
from ropewalk.store.database import Reader

PAGE_ROWS = 500
POINTS_PAGE = 25_000


class ProjectSource:
    """An open project.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def experiments(self) -> Iterator[Experiment]:
        """Yield all."""
        with self._site.db.read() as reader:
            numbers = [int(str(row["id"])) for row in reader.rows("experiments.ids")]
            found = [(experiments.get(reader, one), experiments.tags_of(reader, one)) for one in numbers]
        for one, tags in found:
            yield Experiment(
                id=str(one.id),
                name=one.name,
                deleted=one.state == DELETED,
                created_ms=one.created_us // 1000,
                updated_ms=one.updated_us // 1000,
                tags=tags,
            )

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """Yield its runs by number, deleted ones too."""
        after = 0
        while True:
            with self._site.db.read() as reader:
                page = reader.all(Kept, "exchange.runs", experiment=int(experiment.id), after=after, count=PAGE_ROWS)
                found = [_run(one, puts) for one, puts in _with_inputs(reader, page)]
            yield from found
            if len(page) < PAGE_ROWS:
                return
            after = page[-1].number

    def run(self, run_id: str) -> Run:
        """Return one run.

        Raises:
            NotFound: there is none.
        """
        with self._site.db.read() as reader:
            ((one, puts),) = _with_inputs(reader, [runs.get(reader, run_id)])
        return _run(one, puts)

    def points(self, run: Run) -> Iterator[Point]:
        """Yield the points by name and time."""
        for key in run.keys:
            token = ""
            while True:
                with self._site.db.read() as reader:
                    found, token = series.history(reader, run.id, key, count=POINTS_PAGE, token=token)
                for one in found:
                    yield key, *one
                if not token:
                    break

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """Yield those that are not deleted."""
        with self._site.db.read() as reader:
            found = reader.all(logged.LoggedModel, "exchange.logged", experiment=int(experiment.id))
            told = [(one, logged.params(reader, one), logged.tags(reader, one)) for one in found]
        for one, params, tags in told:
            yield LoggedModel(
                id=one.id,
                experiment=str(one.experiment),
                name=one.name,
                location=one.location,
                model_type=one.model_type,
                source_run=one.source_run,
                status=one.status,
                created_ms=one.created_us // 1000,
                params=params,
                tags=tags,
            )

    def files(self, owner: Run | LoggedModel) -> Iterable[File]:
        """Return the files; those of a native run are the ones that its steps kept."""
        for path, digest in sorted(self.digests(owner).items()):
            yield File(path=path, open=partial(_opened, self._site.blobs, digest))

    def digests(self, owner: Run | LoggedModel) -> dict[str, str]:
        """Return the digests of the files by path."""
        folder = paths.of_uri(owner.location)
        with self._site.db.read() as reader:
            found = {one.path.removeprefix(f"{folder}/"): one.digest for one in artifact.walk(reader, folder)}
            kept = native.owner(reader, folder) if isinstance(owner, Run) else None
            if kept is not None:
                named = native.files(reader, self._site.blobs, kept)
                found |= {path.removeprefix(f"{folder}/"): one.digest for path, one in named.items()}
        return found

    def traces(self, experiment: Experiment) -> Iterator[Traced]:
        """Yield its traces with what is thought of them."""
        return oursobserved.traces(self._site, experiment)

    def evaluation_data(self, experiments: Sequence[Experiment]) -> Iterator[EvaluationData]:
        """Yield the datasets for evaluation of experiments."""
        return oursobserved.evaluation_data(self._site, experiments)

    def hooks(self) -> Iterator[Hook]:
        """Yield the webhooks, without their secrets."""
        return oursobserved.hooks(self._site)

    def models(self) -> Iterator[Model]:
        """Yield the registered models, prompts too."""
        with self._site.db.read() as reader:
            found = [_model(reader, name) for name in [str(row["name"]) for row in reader.rows("exchange.models")]]
        yield from found


def _with_inputs(reader: Reader, page: list[Kept]) -> list[tuple[View, inputs.Puts]]:
    puts = inputs.of_runs(reader, page)
    return [(one, puts.get(one.run.number, inputs.Puts())) for one in views(reader, page)]


def _run(one: View, puts: inputs.Puts) -> Run:
    run = one.run
    return Run(
        id=run.id,
        experiment=str(run.experiment),
        name=run.name,
        status=one.status,
        start_ms=run.started_us // 1000,
        end_ms=None if run.ended_us is None else run.ended_us // 1000,
        user=run.user_name,
        deleted=run.deleted_us is not None,
        location=run.location,
        keys=tuple(point[0] for point in one.metrics),
        params=dict(one.params),
        tags=dict(one.tags),
        datasets=tuple(
            Dataset(
                name=put.name,
                digest=put.digest,
                source_type=put.source_type,
                source=put.source,
                schema=put.schema,
                profile=put.profile,
                tags=dict(put.tags),
            )
            for put in puts.datasets
        ),
        read=tuple(puts.models),
        made=tuple(puts.made),
    )


def _model(reader: Reader, name: str) -> Model:
    found = registered.get(reader, name)
    kept: list[versions.ModelVersion] = []
    while page := versions.list_versions(reader, name, before=kept[-1].version if kept else 0):
        kept += page
    return Model(
        name=name,
        description=found.description,
        created_ms=found.created_us // 1000,
        updated_ms=found.updated_us // 1000,
        tags=registered.tags(reader, found),
        aliases=versions.aliases(reader, name),
        versions=tuple(
            Version(
                version=one.version,
                source=one.source,
                run_id=one.run_id,
                run_link=one.run_link,
                stage=one.stage or stages.NONE,
                description=one.description,
                created_ms=one.created_us // 1000,
                updated_ms=one.updated_us // 1000,
                tags=versions.tags(reader, one),
            )
            for one in reversed(kept)
        ),
    )


def _opened(blobs: Bucket, digest: str) -> BinaryIO:
    """Open the bytes, checked whole before the first of them leaves."""
    return blobs.fetch(digest).open("rb")
