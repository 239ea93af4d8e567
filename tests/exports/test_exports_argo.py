"""What is written for Argo is what Argo takes: by its schema, and each task's template and dependencies are there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from exports.argo_schema import KINDS
from exports.ordered import ordered, text_of, timed
from ropewalk.errors import RopewalkError
from ropewalk.exports.pipeline import Exported


def documents(exported: Exported, **words: str) -> list[dict]:
    return checked(text_of(exported, "argo", **words))


def checked(text: str) -> list[dict]:
    found = list(yaml.safe_load_all(text))
    for document in found:
        Draft202012Validator(KINDS[document["kind"]]).validate(document)
    return found


def test_the_workflow_is_by_the_schema_and_each_task_has_its_template(exported):
    workflow, cron = documents(exported)
    spec = workflow["spec"]
    templates = {template["name"]: template for template in spec["templates"]}
    tasks = {task["name"]: task for task in templates[spec["entrypoint"]]["dag"]["tasks"]}

    assert list(tasks) == ["load", "double", "fit", "fit-2", "best", "publish"]
    assert {task["template"] for task in tasks.values()} | {spec["entrypoint"], spec["onExit"]} == set(templates)
    assert {name: task.get("dependencies", []) for name, task in tasks.items()} == {
        "load": [],
        "double": ["load"],
        "fit": ["double"],
        "fit-2": ["double"],
        "best": ["fit", "fit-2"],
        "publish": ["best"],
    }
    assert {one["name"]: one["value"] for one in spec["arguments"]["parameters"]} == {
        "leaves": "[7, 15]",
        "month": "4",
        "word": "it's",
    }
    assert cron["spec"]["schedules"] == ["0 6 * * MON"]
    assert (cron["spec"]["timezone"], cron["spec"]["concurrencyPolicy"]) == ("Europe/Berlin", "Allow")
    assert spec["synchronization"]["mutexes"] == [{"name": "train"}]


def test_a_step_says_what_it_takes_how_often_it_is_tried_and_what_it_is_given(exported):
    (workflow, _) = documents(exported, secret="letters-secrets")
    templates = {template["name"]: template for template in workflow["spec"]["templates"]}
    fit, double, publish = (templates[name] for name in ("fit", "double", "publish"))

    assert fit["container"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "100Mi"},
        "limits": {"memory": "100Mi"},
    }
    assert double["container"]["resources"]["requests"] == {"cpu": "2", "memory": "300Mi"}
    assert (fit["activeDeadlineSeconds"], "activeDeadlineSeconds" in double) == (150, False)
    assert (fit["retryStrategy"]["limit"], publish["retryStrategy"]["limit"]) == ("3", "2")
    assert fit["retryStrategy"]["backoff"] == {"duration": "1s", "factor": "2", "cap": "60s"}
    assert "75" in fit["retryStrategy"]["expression"]
    assert fit["container"]["args"][:6] == [
        "step",
        "fit",
        "pipeline.py:train",
        "leaves={{workflow.parameters.leaves}}",
        "month={{workflow.parameters.month}}",
        "word={{workflow.parameters.word}}",
    ]
    assert [(one["name"], one["valueFrom"]["secretKeyRef"]) for one in publish["container"]["env"]] == [
        ("ROPEWALK_STORE_URL", {"name": "letters-secrets", "key": "ROPEWALK_STORE_URL", "optional": True}),
        ("ROPEWALK_BLOBS_URL", {"name": "letters-secrets", "key": "ROPEWALK_BLOBS_URL", "optional": True}),
        ("DB_PASSWORD", {"name": "letters-secrets", "key": "DB_PASSWORD", "optional": False}),
    ]


def test_the_schema_refuses_what_argo_does_not_know(exported):
    (workflow, _) = documents(exported)
    workflow["spec"]["templates"][1]["retryStrategie"] = {}

    with pytest.raises(ValidationError, match="retryStrategie"):
        Draft202012Validator(KINDS["WorkflowTemplate"]).validate(workflow)


def test_names_that_kubernetes_refuses_are_made_legal_and_the_command_keeps_them(project):
    project.write(
        "odd.py",
        """
        from ropewalk import pipeline, step

        @step
        def Lade_Größe(value: int) -> int:
            return value

        @step
        def lade_größe(value: int) -> int:
            return value

        @pipeline
        def Übung(n: int = 1):
            lade_größe(Lade_Größe(n))
        """,
    )

    made = ordered(project, "argo", pipeline="odd.py:Übung", image="example/letters:1")

    (workflow,) = checked(made.text)

    first, second = workflow["spec"]["templates"][1:3]
    assert workflow["metadata"]["name"] == "ubung"
    assert first["name"] != second["name"]
    assert first["container"]["args"][1] == "Lade_Größe"


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [("15m", "*/15 * * * *"), ("6h", "0 */6 * * *"), ("1d", "0 0 * * *"), ("1h", "0 * * * *")],
)
def test_an_interval_is_said_in_cron_fields_where_they_can(exported, schedule, wanted):
    found = documents(timed(exported, every=schedule))

    assert found[1]["spec"]["schedules"] == [wanted]


@pytest.mark.parametrize(
    "words", [{"every": "7m"}, {"every": "90s"}, {"every": "36h"}, {"cron": "0 6 L * *"}, {"cron": "0 6 * * MON#1"}]
)
def test_a_schedule_that_argo_cannot_say_is_refused_and_the_fix_works(exported, words):
    with pytest.raises(RopewalkError) as caught:
        documents(timed(exported, **words))
    left = documents(replace(exported, schedule=None))

    assert caught.value.code == "export-schedule"
    assert [document["kind"] for document in left] == ["WorkflowTemplate"]


@pytest.mark.parametrize(
    ("words", "policy", "deadline", "waits"),
    [
        ({"overlap": "skip", "catch_up": "none"}, "Forbid", 0, False),
        ({"overlap": "queue"}, "Allow", 86400, True),
        ({"overlap": "cancel-running"}, "Replace", 86400, False),
    ],
)
def test_what_is_said_of_overlap_and_of_missed_starts_is_said_to_argo(exported, words, policy, deadline, waits):
    workflow, cron = documents(timed(exported, cron="0 6 * * *", **words))

    assert (cron["spec"]["concurrencyPolicy"], cron["spec"]["startingDeadlineSeconds"]) == (policy, deadline)
    assert ("synchronization" in workflow["spec"]) == waits
