"""What runs have read and made by their own account: data sets, and models that were logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ropewalk.errors import Invalid
from ropewalk.runs import experiments, remote
from ropewalk.runs.compile import rows_of
from ropewalk.runs.states import Run
from ropewalk.site import Site
from ropewalk.store.database import Reader, Row, Transaction

DATASETS_MAX = 1000
SUMMARIES_MAX = 1000
_LETTERS_MAX = {
    "name": 500,
    "digest": 36,
    "source_type": 36,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}
_TAG_KEY_LETTERS_MAX = 255
_TAG_LETTERS_MAX = 500
_MODEL_LETTERS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set that a run says it has read.

    Attributes:
        name: what people call it.
        digest: which version of it, by its own rules.
        source_type: what kind of place it came from.
        source: where it came from, as JSON mostly.
        schema: its columns, as JSON; None when nothing is said.
        profile: figures on it, as JSON; None when nothing is said.
        tags: what this run says of it, such as `mlflow.data.context`.
    """

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Puts:
    """What a run has read and made.

    Attributes:
        datasets: data sets read.
        models: ids of logged models read.
        made: ids of logged models made, each with the step at which.
    """

    datasets: list[Dataset] = field(default_factory=list[Dataset])
    models: list[str] = field(default_factory=list[str])
    made: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """A data set of an experiment, as it was used.

    Attributes:
        experiment: id of the experiment.
        name: what people call it.
        digest: which version of it.
        context: what it was used for, such as `training`; None when nothing is said.
    """

    experiment: int
    name: str
    digest: str
    context: str | None


def log(tx: Transaction, site: Site, run_id: str, datasets: Sequence[Dataset] = (), models: Sequence[str] = ()) -> None:
    """Note what a run has read; a data set of the same name and digest is noted once.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        datasets: data sets, 1,000 at most.
        models: ids of logged models.

    Raises:
        Invalid: something is missing or too long, or the run is deleted.
        NotFound: there is no such run.
    """
    if len(datasets) > DATASETS_MAX:
        raise Invalid("batch-too-large", f"At most {DATASETS_MAX:,} data sets are logged at once.", where="datasets")
    for one in datasets:
        _check(one)
    for model in models:
        _check_model(model)
    found = remote.target(tx, site, run_id)
    for one in datasets:
        values = {name: getattr(one, name) for name in _LETTERS_MAX}
        tx.run("inputs.dataset", experiment=found.experiment, **values)
        said = tx.value("inputs.dataset_id", experiment=found.experiment, name=one.name, digest=one.digest)
        number = int(str(said))
        if tx.run("inputs.read", run=found.number, dataset=number):
            for key, value in one.tags:
                tx.run("inputs.tag", run=found.number, dataset=number, key=key, value=value)
    for model in models:
        tx.run("inputs.model", run=found.number, way="input", model=model, step=0)


def log_made(tx: Transaction, site: Site, run_id: str, models: Sequence[tuple[str, int]]) -> None:
    """Note which logged models a run has made, each with the step at which.

    Raises:
        Invalid: an id is missing or too long, or the run is deleted.
        NotFound: there is no such run.
    """
    for model, _ in models:
        _check_model(model)
    found = remote.target(tx, site, run_id)
    for model, step in models:
        tx.run("inputs.model", run=found.number, way="output", model=model, step=step)


def of_runs(reader: Reader, runs: Sequence[Run]) -> dict[int, Puts]:
    """Return what runs have read and made, by their numbers, in few statements however many they are."""
    numbers = [run.number for run in runs]
    found = {number: Puts() for number in numbers}
    tags: dict[tuple[object, object], list[tuple[str, str]]] = {}
    rows = list(rows_of(reader, "inputs", numbers))
    for row in rows_of(reader, "input_tags", numbers) if rows else ():
        tags.setdefault((row["run"], row["dataset"]), []).append((str(row["key"]), str(row["value"])))
    for row in rows:
        found[int(str(row["run"]))].datasets.append(_dataset(row, tags.get((row["run"], row["dataset"]), [])))
    for row in rows_of(reader, "models", numbers):
        puts = found[int(str(row["run"]))]
        if row["way"] == "input":
            puts.models.append(str(row["model"]))
        else:
            puts.made.append((str(row["model"]), int(str(row["step"]))))
    return found


def _dataset(row: Row, tags: Iterable[tuple[str, str]]) -> Dataset:
    return Dataset(
        name=str(row["name"]),
        digest=str(row["digest"]),
        source_type=str(row["source_type"]),
        source=str(row["source"]),
        schema=None if row["schema"] is None else str(row["schema"]),
        profile=None if row["profile"] is None else str(row["profile"]),
        tags=tuple(tags),
    )


def summaries(reader: Reader, ids: Sequence[object]) -> list[DatasetSummary]:
    """Return the data sets of experiments, 1,000 at most.

    Raises:
        Invalid: an id is none.
    """
    found: list[DatasetSummary] = []
    for number in dict.fromkeys(experiments.parse_id(one) for one in ids):
        left = SUMMARIES_MAX - len(found)
        found += reader.all(DatasetSummary, "inputs.summaries", experiment=number, count=left) if left else []
    return found


def _check(one: Dataset) -> None:
    for name, letters_max in _LETTERS_MAX.items():
        value: str | None = getattr(one, name)
        if value is None or (name in ("name", "digest", "source_type") and not value):
            if name in ("schema", "profile"):
                continue
            raise _invalid(name, "it is missing")
        if len(value) > letters_max:
            raise _invalid(name, f"{len(value):,} characters; the limit is {letters_max:,}")
    for key, value in one.tags:
        if not 0 < len(key) <= _TAG_KEY_LETTERS_MAX or len(value) > _TAG_LETTERS_MAX:
            raise _invalid("tags", f"a key has {_TAG_KEY_LETTERS_MAX} characters at most, a value {_TAG_LETTERS_MAX}")


def _check_model(model: str) -> None:
    if not 0 < len(model) <= _MODEL_LETTERS_MAX:
        raise _invalid("model_id", f"an id has 1 to {_MODEL_LETTERS_MAX} characters")


def _invalid(where: str, why: str) -> Invalid:
    return Invalid("input-invalid", "This cannot be an input or output of a run.", where=where, why=why)
