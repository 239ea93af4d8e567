"""Evaluation datasets as MLflow's clients tell and ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import msgspec

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.traces import required
from ropewalk.endpoints.guard import depth_within
from ropewalk.errors import Invalid
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import evaluation, records
from ropewalk.traces.evaluation import Evaluation
from ropewalk.traces.records import Record
from ropewalk.traces.values import dumped

_ALL = "/mlflow/datasets"
_ONE = f"{_ALL}/{{dataset_id}}"


class Dataset(Message, frozen=True, kw_only=True):
    """An evaluation dataset."""

    dataset_id: str = ""
    name: str = ""
    tags: str = "{}"
    schema: str | None = None
    profile: str | None = None
    digest: str = ""
    created_time: int = 0
    last_update_time: int = 0
    created_by: str | None = None
    last_updated_by: str | None = None
    experiment_ids: list[str] = []


class One(Message, frozen=True, kw_only=True):
    """A dataset."""

    dataset: Dataset


class Creation(Message, frozen=True, kw_only=True):
    """`POST datasets/create`; the tags are a text of JSON."""

    name: str = ""
    experiment_ids: list[str] = []
    tags: str = ""


class Search(Message, frozen=True, kw_only=True):
    """`POST datasets/search`."""

    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str = ""


class Found(Message, frozen=True, kw_only=True):
    """A page of datasets."""

    datasets: list[Dataset] = []
    next_page_token: str = ""


class Tags(Message, frozen=True, kw_only=True):
    """`PATCH datasets/.../tags`; the tags are a text of JSON."""

    tags: str = ""


class Upsert(Message, frozen=True, kw_only=True):
    """`POST datasets/.../records`; the records are a text of JSON."""

    records: str = ""


class Upserted(Message, frozen=True, kw_only=True, omit_defaults=False):
    """How many records are new, and how many were merged."""

    inserted_count: int
    updated_count: int


class RecordsAsked(Message, frozen=True, kw_only=True):
    """`GET datasets/.../records`."""

    max_results: int = 1000
    page_token: str = ""


class Records(Message, frozen=True, kw_only=True):
    """A page of records, as a text of JSON."""

    records: str
    next_page_token: str = ""


class RecordIds(Message, frozen=True, kw_only=True):
    """`DELETE datasets/.../records`."""

    dataset_record_ids: list[str] = []


class Gone(Message, frozen=True, kw_only=True, omit_defaults=False):
    """How many records went."""

    deleted_count: int


class ExperimentIds(Message, frozen=True, kw_only=True):
    """Experiments that a dataset belongs to."""

    experiment_ids: list[str] = []


def create(tx: Transaction, call: Call) -> One:
    """Make a dataset."""
    asked: Creation = call.body
    if not asked.name:
        raise required("name")
    made = evaluation.create(tx, call.site, asked.name, _mapping(asked.tags), asked.experiment_ids)
    return _one(tx, made)


def show(reader: Reader, call: Call) -> One:
    """Return a dataset."""
    return _one(reader, evaluation.get(reader, call.path["dataset_id"]))


def remove(tx: Transaction, call: Call) -> Nothing:
    """Delete a dataset with its records."""
    evaluation.delete(tx, call.site, call.path["dataset_id"])
    return Nothing()


def search(reader: Reader, call: Call) -> Found:
    """Return a page of the datasets that fit a filter."""
    asked: Search = call.body
    found = evaluation.search(
        reader,
        asked.experiment_ids,
        where=asked.filter_string,
        orders=asked.order_by,
        count=asked.max_results,
        token=asked.page_token,
    )
    return Found(datasets=[_form(reader, one) for one in found.evaluations], next_page_token=found.token)


def set_tags(tx: Transaction, call: Call) -> Nothing:
    """Give a dataset tags."""
    if not call.body.tags:
        raise required("tags")
    evaluation.set_tags(tx, call.path["dataset_id"], _mapping(call.body.tags))
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a tag off a dataset."""
    evaluation.delete_tag(tx, call.path["dataset_id"], call.path["key"])
    return Nothing()


def upsert(tx: Transaction, call: Call) -> Upserted:
    """Keep records."""
    if not call.body.records:
        raise required("records")
    told = _json(call.body.records, "records")
    new, merged = records.upsert(tx, call.site, call.path["dataset_id"], told)
    return Upserted(inserted_count=new, updated_count=merged)


def list_records(reader: Reader, call: Call) -> Records:
    """Return a page of records."""
    name = call.path["dataset_id"]
    found, token = records.page(reader, name, call.body.max_results, call.body.page_token)
    return Records(records=dumped([_told(name, one) for one in found]), next_page_token=token)


def delete_records(tx: Transaction, call: Call) -> Gone:
    """Delete records."""
    return Gone(deleted_count=records.delete(tx, call.path["dataset_id"], call.body.dataset_record_ids))


def experiment_ids(reader: Reader, call: Call) -> ExperimentIds:
    """Return the experiments that a dataset belongs to."""
    found = evaluation.get(reader, call.path["dataset_id"])
    return ExperimentIds(experiment_ids=evaluation.experiments_of(reader, found.id))


def join(tx: Transaction, call: Call) -> One:
    """Make a dataset belong to experiments."""
    found = evaluation.join(tx, call.path["dataset_id"], call.body.experiment_ids)
    return _one(tx, evaluation.touch(tx, call.site, found))


def leave(tx: Transaction, call: Call) -> One:
    """Make a dataset belong to experiments no longer."""
    found = evaluation.leave(tx, call.path["dataset_id"], call.body.experiment_ids)
    return _one(tx, evaluation.touch(tx, call.site, found))


def _one(reader: Reader, found: Evaluation) -> One:
    return One(dataset=_form(reader, found, evaluation.experiments_of(reader, found.id)))


def _form(reader: Reader, found: Evaluation, places: Sequence[str] = ()) -> Dataset:
    return Dataset(
        dataset_id=found.id,
        name=found.name,
        tags=dumped(evaluation.tags_of(reader, found.id)),
        schema=found.schema,
        profile=found.profile,
        digest=found.digest,
        created_time=found.created_ms,
        last_update_time=found.updated_ms,
        created_by=found.created_by,
        last_updated_by=found.updated_by,
        experiment_ids=list(places),
    )


def _told(dataset: str, one: Record) -> dict[str, Any]:
    """Return a record in MLflow's words, without what it has not."""
    told = {
        "dataset_record_id": one.id,
        "dataset_id": dataset,
        "inputs": one.inputs,
        "outputs": one.outputs,
        "expectations": one.expectations,
        "tags": one.tags or {},
        "source": one.source,
        "source_id": one.source_id,
        "source_type": one.source_type,
        "created_time": one.created_ms,
        "last_update_time": one.updated_ms,
        "created_by": one.created_by,
        "last_updated_by": one.updated_by,
    }
    return {name: value for name, value in told.items() if value is not None}


def _mapping(text: str) -> dict[str, str]:
    """Return tags, each value as a text; those without a value are left out."""
    told = _json(text or "{}", "tags")
    if not isinstance(told, dict):
        raise Invalid(
            "evaluation-invalid", "Tags are a mapping.", where="tags", fix='"tags": "{\\"team\\": \\"ops\\"}"'
        )
    pairs = cast("dict[str, object]", told).items()
    return {key: value if isinstance(value, str) else dumped(value) for key, value in pairs if value is not None}


def _json(text: str, name: str) -> object:
    if not depth_within(text.encode()):
        raise Invalid("json-too-deep", "The JSON nests too deep.", where=name, why="at most 64 levels")
    try:
        return cast(object, msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(
            "request-malformed", f"{name!r} must be a text of JSON.", where=name, why=str(error)[:200]
        ) from error


_changing = partial(Route, how=How.WRITE, action="write", versions=("3.0",))
_asking = partial(Route, how=How.READ, action="read", versions=("3.0",))
ROUTES = (
    _changing(method="POST", path=f"{_ALL}/create", work=create, body=Creation, result=One, summary="Make a dataset"),
    _asking(method="POST", path=f"{_ALL}/search", work=search, body=Search, result=Found, summary="Search datasets"),
    _asking(method="GET", path=f"{_ALL}/search", work=search, body=Search, result=Found, summary="Search datasets"),
    _asking(method="GET", path=_ONE, work=show, result=One, summary="A dataset"),
    _changing(method="DELETE", path=_ONE, work=remove, result=Nothing, summary="Delete a dataset"),
    _changing(method="PATCH", path=f"{_ONE}/tags", work=set_tags, body=Tags, result=Nothing, summary="Tag a dataset"),
    _changing(
        method="DELETE",
        path=f"{_ONE}/tags/{{key}}",
        work=delete_tag,
        result=Nothing,
        summary="Take a tag off a dataset",
    ),
    _changing(method="POST", path=f"{_ONE}/records", work=upsert, body=Upsert, result=Upserted, summary="Keep records"),
    _asking(
        method="GET", path=f"{_ONE}/records", work=list_records, body=RecordsAsked, result=Records, summary="Records"
    ),
    _changing(
        method="DELETE",
        path=f"{_ONE}/records",
        work=delete_records,
        body=RecordIds,
        result=Gone,
        summary="Delete records",
    ),
    _asking(
        method="GET",
        path=f"{_ONE}/experiment-ids",
        work=experiment_ids,
        result=ExperimentIds,
        summary="Experiments of a dataset",
    ),
    _changing(
        method="POST",
        path=f"{_ONE}/add-experiments",
        work=join,
        body=ExperimentIds,
        result=One,
        summary="Make a dataset belong to experiments",
    ),
    _changing(
        method="POST",
        path=f"{_ONE}/remove-experiments",
        work=leave,
        body=ExperimentIds,
        result=One,
        summary="Make a dataset belong to experiments no longer",
    ),
)
