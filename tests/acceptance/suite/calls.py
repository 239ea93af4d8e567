"""Calls of the client that no other file makes, so that not one is left out: the outer suite counts them."""

from __future__ import annotations

import io

import mlflow
import mlflow.genai
import pytest
from mlflow.entities import AssessmentSource, Feedback, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.genai import scorer

pytestmark = pytest.mark.filterwarnings("ignore")


def test_experiments_and_runs_go_and_come_back_by_the_plain_functions(client, unique):
    experiment = mlflow.create_experiment(unique("plain"))
    mlflow.set_experiment(experiment_id=experiment)
    mlflow.set_experiment_tag("team", "north")
    with mlflow.start_run() as active:
        mlflow.set_tags({"a": "1", "b": "2"})
        mlflow.delete_tag("a")
        mlflow.log_stream(io.BytesIO(b"bytes"), "deep/stream.bin")
        mlflow.log_outputs([LoggedModelOutput(mlflow.create_external_model("made").model_id, step=2)])
    run = active.info.run_id
    mlflow.delete_run(run)
    deleted = mlflow.get_run(run).info.lifecycle_stage
    mlflow.restore_run(run)
    mlflow.delete_experiment(experiment)
    gone = [one.experiment_id for one in mlflow.search_experiments()]
    mlflow.restore_experiment(experiment)

    found = mlflow.get_run(run)
    assert (deleted, found.info.lifecycle_stage) == ("deleted", "active")
    assert {key: found.data.tags.get(key) for key in ("a", "b")} == {"a": None, "b": "2"}
    assert [(one.step) for one in found.outputs.model_outputs] == [2]
    assert experiment not in gone
    assert client.get_experiment(experiment).tags["team"] == "north"
    assert [one.path for one in mlflow.artifacts.list_artifacts(run_id=run)] == ["deep"]


def test_folders_go_up_and_come_down_whole(experiment, tmp_path):
    (tmp_path / "up" / "inner").mkdir(parents=True)
    (tmp_path / "up" / "a.txt").write_text("a")
    (tmp_path / "up" / "inner" / "b.txt").write_text("b")
    with mlflow.start_run() as active:
        mlflow.log_artifacts(str(tmp_path / "up"), "kept")

    down = mlflow.artifacts.download_artifacts(
        run_id=active.info.run_id, artifact_path="kept", dst_path=str(tmp_path / "down")
    )

    assert (tmp_path / "down" / "kept" / "inner" / "b.txt").read_text() == "b"
    assert down.rstrip("/").endswith("kept")


def test_a_logged_model_begins_ends_and_takes_a_file_by_the_plain_functions(client, experiment, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    begun = mlflow.initialize_logged_model(name="net", params={"depth": "3"}, tags={"a": "1", "b": "2"})
    client.log_model_artifact(begun.model_id, str(tmp_path / "w.bin"))
    mlflow.set_logged_model_tags(begun.model_id, {"c": "3"})
    mlflow.delete_logged_model_tag(begun.model_id, "a")
    ended = mlflow.finalize_logged_model(begun.model_id, "READY")

    assert str(begun.status) == "PENDING"
    assert str(ended.status) == "READY"
    found = mlflow.get_logged_model(begun.model_id)
    assert {key: found.tags.get(key) for key in "abc"} == {"a": None, "b": "2", "c": "3"}
    assert [one.path for one in client.list_logged_model_artifacts(begun.model_id)] == ["w.bin"]
    assert mlflow.last_logged_model().model_id == begun.model_id
    mlflow.set_active_model(model_id=begun.model_id)
    assert mlflow.get_active_model_id() == begun.model_id
    mlflow.clear_active_model()
    assert mlflow.get_active_model_id() is None


def test_prompts_are_made_linked_and_left_by_the_client_s_own_calls(client, experiment, unique):
    name = unique("prompt")
    client.create_prompt(name, description="d", tags={"team": "north"})
    first = client.create_prompt_version(name, "Hello {{who}}", description="first")
    mlflow.register_prompt(name=name, template="Good day {{who}}")
    mlflow.set_prompt_alias(name, "best", 2)
    by_alias = mlflow.load_prompt(f"prompts:/{name}@best")
    mlflow.delete_prompt_alias(name, "best")
    mlflow.genai.set_prompt_model_config(name, 1, {"model_name": "m", "temperature": 0.5})
    with_config = client.get_prompt_version(name, 1).model_config
    mlflow.genai.delete_prompt_model_config(name, 1)
    run = client.create_run(experiment).info.run_id
    # The client looks for its run here, and nothing of it writes that any more.
    client.set_prompt_version_tag(name, 1, "mlflow.prompt.associatedRunIds", run)
    linked = [one.version for one in client.list_logged_prompts(run)]
    client.detach_prompt_from_run(run, f"prompts:/{name}/1")
    model = client.create_logged_model(experiment, name="m")
    client.link_prompt_version_to_model(name, "2", model.model_id)

    assert (first.version, first.template) == (1, "Hello {{who}}")
    assert by_alias.version == 2
    assert with_config["temperature"] == 0.5
    assert not client.get_prompt_version(name, 1).model_config
    assert [one.name for one in mlflow.search_prompts(f"name = '{name}'")] == [name]
    assert {one.version for one in client.search_prompt_versions(name)} == {1, 2}
    assert (linked, client.list_logged_prompts(run)) == ([1], [])
    assert name in client.get_logged_model(model.model_id).tags["mlflow.linkedPrompts"]
    with pytest.raises(MlflowException):
        mlflow.load_prompt(f"prompts:/{name}@best")


def test_traces_are_logged_whole_linked_judged_and_left(client, experiment, unique):
    name = unique("prompt")
    version = mlflow.register_prompt(name=name, template="Hello")
    logged = mlflow.log_trace("logged", request="q", response="a", tags={"k": "v"})
    span = mlflow.start_span_no_context("bare", inputs={"q": 1}, metadata={"mlflow.trace.session": unique("talk")})
    span.end()
    with mlflow.context(tags={"in": "context"}), mlflow.start_span("outer") as outer:
        assert mlflow.get_active_trace_id() == outer.trace_id
        mlflow.add_trace(mlflow.get_trace(logged))
    mlflow.set_trace_tag(logged, "colour", "red")
    mlflow.delete_trace_tag(logged, "k")
    judged = mlflow.log_assessment(
        logged, Feedback(name="good", value=True, source=AssessmentSource("HUMAN", source_id="ann"))
    )
    client.link_prompt_versions_to_trace([version], logged)
    run = client.create_run(experiment).info.run_id
    client.link_traces_to_run([logged], run)
    of_run = [one.info.trace_id for one in client.search_traces(locations=[experiment], run_id=run)]

    found = client.get_trace(logged)
    assert (found.data.request, found.data.response) == ('"q"', '"a"')
    assert {key: found.info.tags.get(key) for key in ("colour", "k")} == {"colour": "red", "k": None}
    assert mlflow.get_assessment(logged, judged.assessment_id).value is True
    assert name in found.info.tags["mlflow.linkedPrompts"]
    assert of_run == [logged]
    assert client.get_trace(outer.trace_id).info.tags["in"] == "context"
    assert len(client.get_trace(outer.trace_id).data.spans) == 2
    (session,) = mlflow.search_sessions(locations=[experiment])
    assert [one.info.trace_id for one in session] == [span.trace_id]


def test_data_for_evaluation_is_made_found_and_used_by_a_scorer_of_one_s_own(client, experiment, unique):
    name = unique("golden")
    made = mlflow.genai.create_dataset(name=name, experiment_id=experiment, tags={"a": "1"})
    made.merge_records([{"inputs": {"q": "one"}, "expectations": {"answer": "ONE"}}])
    mlflow.genai.set_dataset_tags(made.dataset_id, {"b": "2"})
    mlflow.genai.delete_dataset_tag(made.dataset_id, "a")

    @scorer
    def same(outputs, expectations) -> bool:
        return outputs == expectations["answer"]

    found = mlflow.genai.get_dataset(dataset_id=made.dataset_id)
    result = mlflow.genai.evaluate(data=found, scorers=[same], predict_fn=lambda q: q.upper())

    assert (found.tags.get("a"), found.tags["b"]) == (None, "2")
    assert [one.name for one in mlflow.genai.search_datasets(experiment_ids=experiment)] == [name]
    assert result.metrics["same/mean"] == 1.0
    assert client.get_run(result.run_id).data.metrics["same/mean"] == 1.0
    (trace,) = client.search_traces(locations=[experiment])
    assert {one.name for one in trace.info.assessments} == {"answer", "same"}
    mlflow.genai.delete_dataset(dataset_id=made.dataset_id)
    with pytest.raises(MlflowException):
        mlflow.genai.get_dataset(dataset_id=made.dataset_id)


@pytest.mark.parametrize(
    ("room", "ask"),
    [
        ("mcp-servers", lambda client, _: client.search_mcp_servers()),
        ("scorers", lambda _, experiment: mlflow.genai.list_scorers(experiment_id=experiment)),
        ("issues", lambda _, __: mlflow.log_issue(trace_id="tr-1", issue_id="iss-1")),
    ],
)
def test_what_the_server_does_not_offer_is_said_by_name(client, experiment, room, ask):
    with pytest.raises(MlflowException, match=room) as told:
        ask(client, experiment)

    assert told.value.get_http_status_code() == 501


def test_a_webhook_that_cannot_be_reached_says_so_when_it_is_tried(client, unique):
    hook = client.create_webhook(unique("hook"), "https://1.1.1.1:9/hook", ["prompt.created"])
    told = client.test_webhook(hook.webhook_id)
    client.delete_webhook(hook.webhook_id)

    assert told.success is False
    assert told.error_message
