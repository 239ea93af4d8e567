"""Routes of logged models: create, finalize, search, tag, list files and delete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ropewalk.api.mlflow.artifacts import ListedArtifacts, list_location
from ropewalk.api.mlflow.message import Message, Nothing, Number, spoken
from ropewalk.api.mlflow.registrywords import Tag
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.artifacts import paths
from ropewalk.errors import Invalid
from ropewalk.models import compile as sql
from ropewalk.models import logged, logged_search
from ropewalk.models.logged import LoggedModel, Point
from ropewalk.models.logged_search import By, Dataset
from ropewalk.runs import experiments
from ropewalk.runs.names import random_name
from ropewalk.store.database import Reader, Row, Transaction

# MLflow's words and numbers for what a logged model can be.
STATUS_OF = {
    "LOGGED_MODEL_PENDING": logged.PENDING,
    "LOGGED_MODEL_READY": logged.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": logged.FAILED,
    "1": logged.PENDING,
    "2": logged.READY,
    "3": logged.FAILED,
}
_WORD_OF = {status: word for word, status in STATUS_OF.items() if not word.isdigit()}
# So many points of a model leave with a search; asking for the model itself gives more.
POINTS_EACH = 1000
COUNT = 50


class Created(Message, frozen=True, kw_only=True):
    """A new logged model."""

    experiment_id: str | int = ""
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[Tag] = []
    tags: list[Tag] = []


class Finalized(Message, frozen=True, kw_only=True):
    """What became of its files."""

    status: str | int = ""


class Asked(Message, frozen=True, kw_only=True):
    """Whether a deleted model is wanted too."""

    allow_deleted: bool = False


class Params(Message, frozen=True, kw_only=True):
    """Parameters to write down."""

    params: list[Tag] = []


class Tags(Message, frozen=True, kw_only=True):
    """Tags to set."""

    tags: list[Tag] = []


class DatasetWord(Message, frozen=True, kw_only=True):
    """A dataset."""

    dataset_name: str = ""
    dataset_digest: str = ""


class OrderWord(DatasetWord, frozen=True, kw_only=True):
    """What to order by."""

    field_name: str = ""
    ascending: bool = True


class Searched(Message, frozen=True, kw_only=True):
    """What to search for."""

    experiment_ids: list[str | int] | None = None
    filter: str = ""
    datasets: list[DatasetWord] = []
    max_results: int = COUNT
    order_by: list[OrderWord] = []
    page_token: str = ""


class Folder(Message, frozen=True, kw_only=True):
    """Below which path to list."""

    artifact_directory_path: str = ""
    page_token: str = ""


class MetricWord(Message, frozen=True, kw_only=True):
    """What was measured once."""

    key: str
    value: Number
    timestamp: int
    step: int = 0
    dataset_name: str = ""
    dataset_digest: str = ""
    model_id: str = ""
    run_id: str = ""


class InfoWord(Message, frozen=True, kw_only=True):
    """What a logged model is."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str = ""
    source_run_id: str = ""
    status_message: str = ""
    tags: list[Tag] = []


class DataWord(Message, frozen=True, kw_only=True):
    """What a logged model was made with, and how good it is."""

    params: list[Tag] = []
    metrics: list[MetricWord] = []


class LoggedWord(Message, frozen=True, kw_only=True):
    """One logged model."""

    info: InfoWord
    data: DataWord = msgspec.field(default_factory=DataWord)


class Answer(Message, frozen=True, kw_only=True):
    """An answer with one logged model."""

    model: LoggedWord


class FoundAnswer(Message, frozen=True, kw_only=True):
    """A page of logged models."""

    models: list[LoggedWord] = []
    next_page_token: str = ""


def create(tx: Transaction, call: Call) -> Answer:
    """Write down a model whose files are still to come."""
    asked: Created = call.body
    home = experiments.active(tx, asked.experiment_id)
    made = logged.create(
        tx,
        call.site,
        experiment=home.id,
        root=home.location,
        name=asked.name or random_name(),
        model_type=asked.model_type,
        source_run=asked.source_run_id,
        params=_pairs(asked.params),
        tags=_pairs(asked.tags),
    )
    return _answer(tx, made)


def finalize(tx: Transaction, call: Call) -> Answer:
    """Say that a model's files are there, or will not come."""
    word = str(call.body.status)
    return _answer(tx, logged.finalize(tx, call.site, call.path["model_id"], STATUS_OF.get(word, word)))


def get(reader: Reader, call: Call) -> Answer:
    """Return a logged model."""
    return _answer(reader, logged.get(reader, call.path["model_id"], allow_deleted=call.body.allow_deleted))


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a logged model."""
    logged.delete(tx, call.site, call.path["model_id"])
    return Nothing()


def find(reader: Reader, call: Call) -> FoundAnswer:
    """Return the logged models that a filter fits."""
    asked: Searched = call.body
    if any(not one.dataset_name for one in asked.datasets):
        raise Invalid("dataset-unnamed", "Each dataset of a search has a name.", where="datasets")
    if asked.experiment_ids == []:
        return FoundAnswer()
    page = logged_search.search(
        reader,
        asked.experiment_ids or [],
        asked.filter,
        datasets=[Dataset(name=one.dataset_name, digest=one.dataset_digest) for one in asked.datasets],
        order_by=[_by(one) for one in asked.order_by],
        count=asked.max_results or COUNT,
        token=asked.page_token,
    )
    return FoundAnswer(models=_words(reader, page.models), next_page_token=page.token)


def log_params(tx: Transaction, call: Call) -> Nothing:
    """Write down parameters of a logged model."""
    logged.log_params(tx, call.site, call.path["model_id"], _pairs(call.body.params))
    return Nothing()


def set_tags(tx: Transaction, call: Call) -> Answer:
    """Set tags of a logged model."""
    return _answer(tx, logged.set_tags(tx, call.site, call.path["model_id"], _pairs(call.body.tags)))


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a tag of a logged model away."""
    logged.delete_tag(tx, call.site, call.path["model_id"], call.path["tag_key"])
    return Nothing()


def list_files(reader: Reader, call: Call) -> ListedArtifacts:
    """List what lies in a folder of a logged model."""
    asked: Folder = call.body
    root = paths.of_uri(logged.get(reader, call.path["model_id"]).location)
    return list_location(reader, call, root, asked.artifact_directory_path, asked.page_token)


def _pairs(tags: Iterable[Tag]) -> list[tuple[str, str]]:
    return [(tag.key, tag.value) for tag in tags]


def _by(asked: OrderWord) -> By:
    on = Dataset(name=asked.dataset_name, digest=asked.dataset_digest) if asked.dataset_name else None
    return By(name=asked.field_name, descending=not asked.ascending, on=on)


def _answer(reader: Reader, found: LoggedModel) -> Answer:
    params = [Tag(key=key, value=value) for key, value in logged.params(reader, found).items()]
    tags = [Tag(key=key, value=value) for key, value in logged.tags(reader, found).items()]
    return Answer(model=_word(found, params, tags, logged.metrics(reader, found)))


def _words(reader: Reader, models: Sequence[LoggedModel]) -> list[LoggedWord]:
    numbers = [one.number for one in models]
    params = _by_model(sql.logged_details(reader, "logged_model_params", numbers))
    tags = _by_model(sql.logged_details(reader, "logged_model_tags", numbers))
    points: Mapping[int, list[Point]] = defaultdict(list)
    for row in sql.logged_metrics(reader, numbers, POINTS_EACH):
        points[int(str(row["model"]))].append(Point.from_row(row))
    return [_word(one, params[one.number], tags[one.number], points[one.number]) for one in models]


def _by_model(rows: Iterable[Row]) -> dict[int, list[Tag]]:
    found: dict[int, list[Tag]] = defaultdict(list)
    for row in rows:
        found[int(str(row["model"]))].append(Tag(key=str(row["key"]), value=str(row["value"])))
    return found


def _word(found: LoggedModel, params: list[Tag], tags: list[Tag], points: Iterable[Point]) -> LoggedWord:
    metrics = [
        MetricWord(
            key=one.key,
            value=spoken(one.value),
            timestamp=one.at_ms,
            step=one.step,
            dataset_name=one.dataset_name,
            dataset_digest=one.dataset_digest,
            model_id=found.id,
            run_id=one.run_id,
        )
        for one in sorted(points, key=lambda one: (one.key, one.at_ms, one.step, one.run_id))
    ]
    info = InfoWord(
        model_id=found.id,
        experiment_id=str(found.experiment),
        name=found.name,
        creation_timestamp_ms=found.created_us // 1000,
        last_updated_timestamp_ms=found.updated_us // 1000,
        artifact_uri=found.location,
        status=_WORD_OF[found.status],
        model_type=found.model_type,
        source_run_id=found.source_run,
        status_message=found.status_message,
        tags=tags,
    )
    return LoggedWord(info=info, data=DataWord(params=params, metrics=metrics))


_AT = "/mlflow/logged-models"
_ONE = f"{_AT}/{{model_id}}"
ROUTES = (
    writes("POST", _AT, create, Created, Answer),
    reads("POST", f"{_AT}/search", find, Searched, FoundAnswer),
    reads("GET", _ONE, get, Asked, Answer),
    writes("PATCH", _ONE, finalize, Finalized, Answer),
    writes("DELETE", _ONE, delete, Nothing, Nothing),
    writes("POST", f"{_ONE}/params", log_params, Params, Nothing),
    writes("PATCH", f"{_ONE}/tags", set_tags, Tags, Answer),
    writes("DELETE", f"{_ONE}/tags/{{tag_key}}", delete_tag, Nothing, Nothing),
    reads("GET", f"{_ONE}/artifacts/directories", list_files, Folder, ListedArtifacts),
)
