"""What is exchanged, in the words of MLflow, whoever keeps it: experiments, runs, points, files, models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from ropewalk.refs import PREFIX, canonical
from ropewalk.traces.start import Told

# The name stands in a field too, and a heartbeat that has stopped elsewhere does not begin here.
NOT_COMPARED = frozenset(("mlflow.runName", "ropewalk.heartbeat_seconds"))
Point = tuple[str, float, int, int]
"""Name, value (NaN and infinities too), milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment; times are milliseconds since the epoch.

    Attributes:
        id: digits.
        name: its name.
        deleted: whether it is.
        created_ms: when it was made.
        updated_ms: when it was changed.
        tags: its tags.
    """

    id: str
    name: str
    deleted: bool = False
    created_ms: int = 0
    updated_ms: int = 0
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a run has read.

    Attributes:
        name: what people call it.
        digest: which version.
        source_type: what kind of place it came from.
        source: where it came from.
        schema: its columns, or None.
        profile: figures on it, or None.
        tags: what the run says of it.
    """

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run without its points and files.

    Attributes:
        id: of the run.
        experiment: id of its experiment.
        name: what people call it.
        status: MLflow's word.
        start_ms: milliseconds since the epoch.
        end_ms: None while it has no end.
        user: who started it.
        deleted: whether it is.
        location: URI of its files, where it is kept.
        keys: names of its metrics, where the keeper knows them without its points.
        params: its parameters.
        tags: its tags.
        datasets: what it read.
        read: ids of logged models that it read.
        made: ids of logged models that it made, with the step.
    """

    id: str
    experiment: str
    name: str
    status: str
    start_ms: int
    end_ms: int | None
    user: str = ""
    deleted: bool = False
    location: str = ""
    keys: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    datasets: tuple[Dataset, ...] = ()
    read: tuple[str, ...] = ()
    made: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A logged model without its files.

    Attributes:
        id: `m-` and more.
        experiment: id of its experiment.
        name: what people call it.
        location: URI of its files, where it is kept.
        model_type: such as `Agent`.
        source_run: id of the run that made it.
        status: `PENDING`, `READY` or `FAILED`.
        created_ms: milliseconds since the epoch.
        params: what it was made with.
        tags: what people say of it.
    """

    id: str
    experiment: str
    name: str
    location: str
    model_type: str = ""
    source_run: str = ""
    status: str = "READY"
    created_ms: int = 0
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a registered model.

    Attributes:
        version: its number.
        source: URI of what was registered.
        run_id: the run that made it.
        run_link: an address that people gave.
        stage: MLflow's word.
        description: what people say it is.
        created_ms: milliseconds since the epoch.
        updated_ms: milliseconds since the epoch.
        tags: its tags.
    """

    version: int
    source: str
    run_id: str = ""
    run_link: str = ""
    stage: str = "None"
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model with its versions, the oldest first.

    Attributes:
        name: its name.
        description: what people say it is.
        created_ms: milliseconds since the epoch.
        updated_ms: milliseconds since the epoch.
        tags: its tags.
        aliases: version by alias.
        versions: those that are not deleted.
    """

    name: str
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    aliases: Mapping[str, int] = field(default_factory=dict[str, int])
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A trace with its spans and what is thought of it.

    Attributes:
        told: all but the spans.
        spans: in OpenTelemetry's JSON form, with ids in hex.
        runs: ids of runs that it is linked to.
    """

    told: Told
    spans: tuple[Mapping[str, object], ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """A dataset for evaluation with its records.

    Attributes:
        id: `d-` and 32 hex digits.
        name: what people call it.
        created_ms: milliseconds since the epoch.
        updated_ms: the same.
        created_by: who made it, or None.
        tags: its tags.
        experiments: ids of the experiments that it belongs to.
        records: in the protocol's words.
    """

    id: str
    name: str
    created_ms: int = 0
    updated_ms: int = 0
    created_by: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    experiments: tuple[str, ...] = ()
    records: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook, without its secret, which nobody can read.

    Attributes:
        id: as it was.
        name: what people call it.
        url: where it leads.
        description: what people say of it.
        events: what it is told of, such as `model_version.created`.
        signed: whether it has a secret; None where that is not said.
    """

    id: str
    name: str
    url: str
    description: str = ""
    events: tuple[str, ...] = ()
    signed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a run or a logged model.

    Attributes:
        path: below its owner's location.
        open: gives its bytes.
    """

    path: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


class Source(Protocol):
    """Whoever keeps what MLflow keeps."""

    def experiments(self) -> Iterable[Experiment]:
        """Return all of them, deleted ones too."""
        ...

    def runs(self, experiment: Experiment) -> Iterable[Run]:
        """Return all runs of an experiment, deleted ones too."""
        ...

    def points(self, run: Run) -> Iterable[Point]:
        """Return every point of every metric of a run."""
        ...

    def logged_models(self, experiment: Experiment) -> Iterable[LoggedModel]:
        """Return the logged models of an experiment."""
        ...

    def files(self, owner: Run | LoggedModel) -> Iterable[File]:
        """Return the files of a run or logged model.

        Raises:
            Elsewhere: they lie where nobody said that we may look.
        """
        ...

    def models(self) -> Iterable[Model]:
        """Return all registered models."""
        ...


class Whole(Source, Protocol):
    """Whoever keeps the rest too."""

    def traces(self, experiment: Experiment) -> Iterable[Traced]:
        """Return the traces of an experiment with what is thought of them."""
        ...

    def evaluation_data(self, experiments: Sequence[Experiment]) -> Iterable[EvaluationData]:
        """Return the datasets for evaluation that belong to experiments."""
        ...

    def hooks(self) -> Iterable[Hook]:
        """Return all webhooks."""
        ...


class Unkept(Exception):
    """The target has no place for such a thing; the words say which."""


class Elsewhere(Exception):
    """Files lie outside of what was named as the source; nothing was opened."""


def digest_of_run(run: Run, points: Iterable[Point], files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of what a run holds, the same wherever it is kept: its name, times, texts, points and files.

    Args:
        run: the run.
        points: of its metrics, in any order.
        files: path and digest of each.
    """
    head = {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "start_ms": run.start_ms,
        "end_ms": run.end_ms,
        "deleted": run.deleted,
        "params": dict(run.params),
        "tags": {key: value for key, value in run.tags.items() if key not in NOT_COMPARED},
        "datasets": sorted((one.name, one.digest) for one in run.datasets),
        "made": sorted(run.made),
        "files": sorted(files),
    }
    found = hashlib.sha256(canonical(head))
    # A point that was logged twice is one, wherever it is kept.
    for line in sorted({f"{key}\0{at_ms}\0{step}\0{value!r}\n" for key, value, at_ms, step in points}):
        found.update(line.encode())
    return PREFIX + found.hexdigest()


def digest_of_all(digests: Iterable[str]) -> str:
    """Return one digest of many, in whatever order they come."""
    return PREFIX + hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def pieces(items: Iterable[Point], size: int) -> Generator[list[Point]]:
    """Yield lists of at most so many."""
    held: list[Point] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def texts(value: object) -> Iterator[tuple[str, str]]:
    """Yield the pairs of what is read as an object of texts; what is none yields nothing."""
    if isinstance(value, dict):
        for key, one in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(key), "" if one is None else str(one)  # pyright: ignore[reportUnknownArgumentType]
