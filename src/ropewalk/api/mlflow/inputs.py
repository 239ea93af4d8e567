"""Routes of what runs say they have read and made: data sets and logged models."""

from __future__ import annotations

from ropewalk.api.mlflow.fields import missing, required
from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.metrics import PairSaid
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.runs import ById, id_of
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.errors import Invalid
from ropewalk.runs import inputs
from ropewalk.store.database import Reader, Transaction

EXPERIMENTS_MAX = 20


class DatasetSaid(Message, frozen=True, kw_only=True):
    """A data set."""

    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None


class DatasetRead(Message, frozen=True, kw_only=True):
    """A data set that was read, and what for."""

    dataset: DatasetSaid | None = None
    tags: list[PairSaid] = []


class ModelRead(Message, frozen=True, kw_only=True):
    """A logged model that was read."""

    model_id: str = ""


class ModelMade(Message, frozen=True, kw_only=True):
    """A logged model that was made."""

    model_id: str = ""
    step: int = 0


class LogInputs(ById, frozen=True, kw_only=True):
    """What was read."""

    datasets: list[DatasetRead] = []
    models: list[ModelRead] = []


class LogOutputs(ById, frozen=True, kw_only=True):
    """What was made."""

    models: list[ModelMade] = []


class SearchDatasets(Message, frozen=True, kw_only=True):
    """Experiments."""

    experiment_ids: list[str] = []


class Summary(Message, frozen=True, kw_only=True):
    """A data set of an experiment, as it was used."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class Summaries(Message, frozen=True, kw_only=True):
    """Data sets of experiments."""

    dataset_summaries: list[Summary] = []


def log_inputs(tx: Transaction, call: Call) -> Nothing:
    """Note what a run has read."""
    body: LogInputs = call.body
    datasets: list[inputs.Dataset] = []
    for place, one in enumerate(body.datasets):
        if one.dataset is None:
            raise missing(f"datasets[{place}].dataset")
        said = one.dataset
        datasets.append(
            inputs.Dataset(
                name=said.name,
                digest=said.digest,
                source_type=said.source_type,
                source=said.source,
                schema=said.schema,
                profile=said.profile,
                tags=tuple((tag.key, tag.value) for tag in one.tags),
            )
        )
    inputs.log(tx, call.site, id_of(body), datasets, [one.model_id for one in body.models])
    return Nothing()


def log_outputs(tx: Transaction, call: Call) -> Nothing:
    """Note which models a run has made."""
    body: LogOutputs = call.body
    if not body.models:
        raise missing("models")
    made = [(required(one.model_id, "model_id"), one.step) for one in body.models]
    inputs.log_made(tx, call.site, id_of(body), made)
    return Nothing()


def search_datasets(reader: Reader, call: Call) -> Summaries:
    """Return the data sets that runs of experiments have read."""
    ids = call.body.experiment_ids
    if not ids:
        raise missing("experiment_ids")
    if len(ids) > EXPERIMENTS_MAX:
        raise Invalid(
            "count-invalid",
            f"The request names too many experiments: at most {EXPERIMENTS_MAX}.",
            where="experiment_ids",
            why=f"found {len(ids)}",
            fix="ask several times",
        )
    return Summaries(
        dataset_summaries=[
            Summary(experiment_id=str(one.experiment), name=one.name, digest=one.digest, context=one.context)
            for one in inputs.summaries(reader, ids)
        ]
    )


ROUTES = (
    writes("POST", "/mlflow/runs/log-inputs", log_inputs, LogInputs, Nothing),
    writes("POST", "/mlflow/runs/outputs", log_outputs, LogOutputs, Nothing),
    reads("POST", "/mlflow/experiments/search-datasets", search_datasets, SearchDatasets, Summaries),
)
