"""Routes of runs: create, change, show, search, delete, restore and tag."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.api.mlflow.fields import counted, required, view_of
from ropewalk.api.mlflow.message import Message, Nothing, Number, spoken
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.api.routes import CALLER
from ropewalk.runs import batch, inputs, remote, search
from ropewalk.runs.run import get as get_run
from ropewalk.runs.states import Run
from ropewalk.runs.view import status_of, views
from ropewalk.store.database import Reader, Transaction


class Pair(Message, frozen=True, kw_only=True):
    """A tag or parameter; what is empty is said too."""

    key: str
    value: str


class TagSaid(Message, frozen=True, kw_only=True):
    """A tag of a new run."""

    key: str = ""
    value: str = ""


class MetricShown(Message, frozen=True, kw_only=True):
    """The newest point of a metric."""

    key: str
    value: Number
    timestamp: int
    step: int


class Info(Message, frozen=True, kw_only=True):
    """What a run is."""

    run_id: str
    run_uuid: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    end_time: int | None = None


class Data(Message, frozen=True, kw_only=True):
    """What a run logged."""

    metrics: list[MetricShown] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class DatasetShown(Message, frozen=True, kw_only=True):
    """A data set."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Message, frozen=True, kw_only=True):
    """A data set that was read, and what for."""

    dataset: DatasetShown
    tags: list[Pair] = []


class ModelInput(Message, frozen=True, kw_only=True):
    """A logged model that was read."""

    model_id: str


class ModelOutput(Message, frozen=True, kw_only=True):
    """A logged model that was made."""

    model_id: str
    step: int


class Inputs(Message, frozen=True, kw_only=True):
    """What a run has read."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class Outputs(Message, frozen=True, kw_only=True):
    """What a run has made."""

    model_outputs: list[ModelOutput] = []


class Shown(Message, frozen=True, kw_only=True):
    """A run with what it logged."""

    info: Info
    data: Data
    inputs: Inputs
    outputs: Outputs


class Answer(Message, frozen=True, kw_only=True):
    """One run."""

    run: Shown


class InfoAnswer(Message, frozen=True, kw_only=True):
    """What a run is now."""

    run_info: Info


class Found(Message, frozen=True, kw_only=True):
    """Runs, and the token for those that follow."""

    runs: list[Shown] = []
    next_page_token: str = ""


class Create(Message, frozen=True, kw_only=True):
    """A new run."""

    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[TagSaid] = []


class ById(Message, frozen=True, kw_only=True):
    """Names a run; old clients say `run_uuid`."""

    run_id: str = ""
    run_uuid: str = ""


class Update(ById, frozen=True, kw_only=True):
    """What is to change."""

    status: str | int = ""
    end_time: int | None = None
    run_name: str = ""


class Search(Message, frozen=True, kw_only=True):
    """What to search for."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str | int = ""
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str = ""


class SetTag(ById, frozen=True, kw_only=True):
    """A tag to set."""

    key: str = ""
    value: str = ""


class DeleteTag(ById, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str = ""


_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}


def id_of(body: ById) -> str:
    """Return the id of the run that a request names.

    Raises:
        Invalid: it names none.
    """
    return required(body.run_id or body.run_uuid, "run_id")


def info(run: Run) -> Info:
    """Return a run in MLflow's words."""
    return Info(
        run_id=run.id,
        run_uuid=run.id,
        run_name=run.name,
        experiment_id=str(run.experiment),
        user_id=run.user_name,
        status=status_of(run.state),
        start_time=run.started_us // 1000,
        end_time=None if run.ended_us is None else run.ended_us // 1000,
        artifact_uri=run.location,
        lifecycle_stage="active" if run.deleted_us is None else "deleted",
    )


def shown(reader: Reader, runs: Sequence[Run]) -> list[Shown]:
    """Return runs with what they logged, in MLflow's words."""
    puts = inputs.of_runs(reader, runs)
    return [
        Shown(
            info=info(one.run),
            data=Data(
                metrics=[
                    MetricShown(key=key, value=spoken(value), timestamp=at_ms, step=step)
                    for key, value, at_ms, step in one.metrics
                ],
                params=[Pair(key=key, value=value) for key, value in one.params],
                tags=[Pair(key=key, value=value) for key, value in one.tags],
            ),
            inputs=_read(puts[one.run.number]),
            outputs=Outputs(
                model_outputs=[ModelOutput(model_id=model, step=step) for model, step in puts[one.run.number].made]
            ),
        )
        for one in views(reader, runs)
    ]


def _read(puts: inputs.Puts) -> Inputs:
    return Inputs(
        dataset_inputs=[
            DatasetInput(
                dataset=DatasetShown(
                    name=one.name,
                    digest=one.digest,
                    source_type=one.source_type,
                    source=one.source,
                    schema=one.schema,
                    profile=one.profile,
                ),
                tags=[Pair(key=key, value=value) for key, value in one.tags],
            )
            for one in puts.datasets
        ],
        model_inputs=[ModelInput(model_id=model) for model in puts.models],
    )


def create(tx: Transaction, call: Call) -> Answer:
    """Begin a run."""
    body: Create = call.body
    run = remote.create(
        tx,
        call.site,
        experiment=body.experiment_id or "0",
        name=body.run_name,
        user=_user(call, body.user_id),
        start_ms=body.start_time,
        tags={tag.key: tag.value for tag in body.tags},
    )
    return Answer(run=shown(tx, [run])[0])


def _user(call: Call, claimed: str) -> str:
    """Return who starts a run: who was known at the door; where nobody is asked, whom the client names."""
    caller = call.scope.get(CALLER)
    return claimed if caller is None or caller.way == "local" else str(caller.name)


def update(tx: Transaction, call: Call) -> InfoAnswer:
    """Change a run's status, end or name."""
    body: Update = call.body
    status = _STATUSES.get(str(body.status), str(body.status))
    run = remote.update(tx, call.site, id_of(body), status=status, end_ms=body.end_time, name=body.run_name)
    return InfoAnswer(run_info=info(run))


def get(reader: Reader, call: Call) -> Answer:
    """Return a run with what it logged."""
    return Answer(run=shown(reader, [get_run(reader, id_of(call.body))])[0])


def find(reader: Reader, call: Call) -> Found:
    """Search runs of experiments."""
    body: Search = call.body
    page = search.search(
        reader,
        body.filter,
        experiments=body.experiment_ids,
        orders=body.order_by,
        view=view_of(body.run_view_type),
        count=counted(body.max_results, search.COUNT_MAX),
        token=body.page_token,
    )
    return Found(runs=shown(reader, page.runs), next_page_token=page.token)


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a run."""
    remote.delete(tx, call.site, id_of(call.body))
    return Nothing()


def restore(tx: Transaction, call: Call) -> Nothing:
    """Restore a run."""
    remote.restore(tx, call.site, id_of(call.body))
    return Nothing()


def set_tag(tx: Transaction, call: Call) -> Nothing:
    """Set a tag of a run."""
    body: SetTag = call.body
    batch.set_tags(tx, call.site, id_of(body), [(required(body.key, "key"), body.value)])
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a tag of a run away."""
    batch.delete_tag(tx, call.site, id_of(call.body), required(call.body.key, "key"))
    return Nothing()


ROUTES = (
    writes("POST", "/mlflow/runs/create", create, Create, Answer),
    writes("POST", "/mlflow/runs/update", update, Update, InfoAnswer),
    writes("POST", "/mlflow/runs/delete", delete, ById, Nothing),
    writes("POST", "/mlflow/runs/restore", restore, ById, Nothing),
    reads("GET", "/mlflow/runs/get", get, ById, Answer),
    reads("POST", "/mlflow/runs/search", find, Search, Found),
    writes("POST", "/mlflow/runs/set-tag", set_tag, SetTag, Nothing),
    writes("POST", "/mlflow/runs/delete-tag", delete_tag, DeleteTag, Nothing),
)
