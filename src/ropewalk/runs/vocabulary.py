"""What searches for runs and for experiments may speak of, in MLflow's words and in ours."""

from __future__ import annotations

from ropewalk.runs.grammar import LISTS, NULLS, NUMBERS, TEXTS, Field, Vocabulary, spellings

_ENTITIES = {
    "metric": "metric",
    "metrics": "metric",
    "parameter": "param",
    "parameters": "param",
    "param": "param",
    "params": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}
_TEXT_WORDS = ("status", "user_id", "artifact_uri")
# What MLflow does not know: what our own runs say of themselves.
_OUR_WORDS = ("author", "branch", "code", "commit", "environment", "experiment", "kind", "pipeline", "state")

RUNS = Vocabulary(
    thing="run",
    entities=_ENTITIES,
    keyed={
        "metric": Field(kind="number", ops=NUMBERS),
        "param": Field(ops=TEXTS | NULLS),
        "tag": Field(ops=TEXTS | NULLS),
    },
    fields={
        "attribute": {
            **{name: Field(name=name) for name in (*_TEXT_WORDS, *_OUR_WORDS)},
            **spellings(Field(name="run_id", ops=TEXTS | LISTS), ("run_id", "id")),
            **spellings(Field(name="run_name"), ("run_name", "name", "run name", "Run name", "Run Name")),
            **spellings(Field(name="start_time", kind="whole", ops=NUMBERS), ("start_time", "created", "Created")),
            "end_time": Field(name="end_time", kind="whole", ops=NUMBERS),
        },
        "dataset": {name: Field(name=name, ops=TEXTS | LISTS, orders=False) for name in ("name", "digest", "context")},
    },
    example="metrics.auc > 0.7 and params.depth = '8'",
)

EXPERIMENTS = Vocabulary(
    thing="experiment",
    entities={"attribute": "attribute", "attributes": "attribute", "tag": "tag", "tags": "tag"},
    keyed={"tag": Field(ops=TEXTS | NULLS, orders=False)},
    fields={
        "attribute": {
            "name": Field(name="name"),
            "experiment_id": Field(name="experiment_id", ops=frozenset({"=", "!="}) | LISTS),
            "creation_time": Field(name="creation_time", kind="whole", ops=NUMBERS),
            "last_update_time": Field(name="last_update_time", kind="whole", ops=NUMBERS),
        }
    },
    example="name LIKE 'flights%' and tags.team = 'ops'",
)
