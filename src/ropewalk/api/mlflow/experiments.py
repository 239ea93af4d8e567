"""Routes of experiments: create, find, search, rename, delete, restore and tag."""

from __future__ import annotations

from ropewalk.api.mlflow.fields import counted, required, view_of
from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.errors import NotFound
from ropewalk.runs import experiment_search, experiments
from ropewalk.runs.experiments import Experiment
from ropewalk.store.database import Reader, Transaction


class Tag(Message, frozen=True, kw_only=True):
    """A tag; what is empty is said too."""

    key: str
    value: str


class TagSaid(Message, frozen=True, kw_only=True):
    """A tag of a new experiment."""

    key: str = ""
    value: str = ""


class Create(Message, frozen=True, kw_only=True):
    """A new experiment."""

    name: str = ""
    artifact_location: str = ""
    tags: list[TagSaid] = []


class ById(Message, frozen=True, kw_only=True):
    """Names an experiment."""

    experiment_id: str = ""


class ByName(Message, frozen=True, kw_only=True):
    """Names an experiment by what people call it."""

    experiment_name: str = ""


class Rename(ById, frozen=True, kw_only=True):
    """A new name."""

    new_name: str = ""


class Search(Message, frozen=True, kw_only=True):
    """What to search for."""

    max_results: int = 1000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: str | int = ""


class SetTag(ById, frozen=True, kw_only=True):
    """A tag to set."""

    key: str = ""
    value: str = ""


class DeleteTag(ById, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str = ""


class Created(Message, frozen=True, kw_only=True):
    """Its id."""

    experiment_id: str


class Shown(Message, frozen=True, kw_only=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Tag] = []


class Answer(Message, frozen=True, kw_only=True):
    """One experiment."""

    experiment: Shown


class Found(Message, frozen=True, kw_only=True):
    """Experiments, and the token for those that follow."""

    experiments: list[Shown] = []
    next_page_token: str = ""


def shown(found: Experiment, tags: dict[str, str]) -> Shown:
    """Return an experiment in MLflow's words."""
    return Shown(
        experiment_id=str(found.id),
        name=found.name,
        artifact_location=found.location,
        lifecycle_stage=found.state,
        last_update_time=found.updated_us // 1000,
        creation_time=found.created_us // 1000,
        tags=[Tag(key=key, value=value) for key, value in tags.items()],
    )


def create(tx: Transaction, call: Call) -> Created:
    """Create an experiment."""
    body: Create = call.body
    tags = {tag.key: tag.value for tag in body.tags}
    made = experiments.create(tx, call.site, required(body.name, "name"), location=body.artifact_location, tags=tags)
    return Created(experiment_id=str(made.id))


def get(reader: Reader, call: Call) -> Answer:
    """Return an experiment, deleted ones too."""
    found = experiments.get(reader, required(call.body.experiment_id, "experiment_id"))
    return Answer(experiment=shown(found, experiments.tags_of(reader, found.id)))


def get_by_name(reader: Reader, call: Call) -> Answer:
    """Return an experiment by its name, deleted ones too."""
    name = required(call.body.experiment_name, "experiment_name")
    found = experiments.by_name(reader, name)
    if found is None:
        raise NotFound("experiment-not-found", f"Could not find experiment with name {name[:80]!r}.")
    return Answer(experiment=shown(found, experiments.tags_of(reader, found.id)))


def search(reader: Reader, call: Call) -> Found:
    """Search experiments."""
    body: Search = call.body
    page = experiment_search.search(
        reader,
        body.filter,
        orders=body.order_by,
        view=view_of(body.view_type),
        count=counted(body.max_results, experiment_search.COUNT_MAX),
        token=body.page_token,
    )
    return Found(experiments=[shown(*one) for one in page.experiments], next_page_token=page.token)


def rename(tx: Transaction, call: Call) -> Nothing:
    """Rename an experiment."""
    body: Rename = call.body
    number, name = required(body.experiment_id, "experiment_id"), required(body.new_name, "new_name")
    experiments.rename(tx, call.site, number, name)
    return Nothing()


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete an experiment with its runs."""
    experiments.delete(tx, call.site, required(call.body.experiment_id, "experiment_id"))
    return Nothing()


def restore(tx: Transaction, call: Call) -> Nothing:
    """Restore an experiment with its runs."""
    experiments.restore(tx, call.site, required(call.body.experiment_id, "experiment_id"))
    return Nothing()


def set_tag(tx: Transaction, call: Call) -> Nothing:
    """Set a tag of an experiment."""
    body: SetTag = call.body
    number, key = required(body.experiment_id, "experiment_id"), required(body.key, "key")
    experiments.set_tag(tx, call.site, number, key, body.value)
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a tag of an experiment away."""
    number, key = required(call.body.experiment_id, "experiment_id"), required(call.body.key, "key")
    experiments.delete_tag(tx, call.site, number, key)
    return Nothing()


ROUTES = (
    writes("POST", "/mlflow/experiments/create", create, Create, Created),
    reads("GET", "/mlflow/experiments/get", get, ById, Answer),
    reads("GET", "/mlflow/experiments/get-by-name", get_by_name, ByName, Answer),
    reads("GET", "/mlflow/experiments/search", search, Search, Found),
    reads("POST", "/mlflow/experiments/search", search, Search, Found),
    writes("POST", "/mlflow/experiments/update", rename, Rename, Nothing),
    writes("POST", "/mlflow/experiments/delete", delete, ById, Nothing),
    writes("POST", "/mlflow/experiments/restore", restore, ById, Nothing),
    writes("POST", "/mlflow/experiments/set-experiment-tag", set_tag, SetTag, Nothing),
    writes("POST", "/mlflow/experiments/delete-experiment-tag", delete_tag, DeleteTag, Nothing),
)
