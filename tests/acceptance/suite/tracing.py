"""Traces: made by decorator, context and client, searched, tagged, judged, linked and deleted."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.entities import AssessmentSource, SpanType
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def traced(experiment) -> str:
    """A trace of two spans; its id."""

    @mlflow.trace(span_type=SpanType.RETRIEVER, attributes={"k": 3})
    def look_up(question):
        return [question, question[::-1]]

    @mlflow.trace(name="answer")
    def answer(question):
        mlflow.update_current_trace(tags={"colour": "red"}, metadata={"who": "ann"})
        return look_up(question)[1]

    answer("abc")
    trace_id = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    return trace_id


def test_a_trace_holds_its_spans_inputs_and_outputs(traced):
    found = mlflow.get_trace(traced)

    assert found.info.state == "OK"
    assert found.info.tags["colour"] == "red"
    assert found.info.trace_metadata["who"] == "ann"
    root, child = sorted(found.data.spans, key=lambda span: span.parent_id or "")
    assert (root.name, root.inputs, root.outputs) == ("answer", {"question": "abc"}, "cba")
    assert (child.name, child.span_type, child.parent_id) == ("look_up", "RETRIEVER", root.span_id)
    assert child.attributes["k"] == 3
    assert found.info.execution_duration is not None
    assert "abc" in found.info.request_preview
    assert "cba" in found.info.response_preview


def test_a_call_that_raised_is_an_error_in_its_trace(experiment):
    @mlflow.trace
    def fails():
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        fails()
    mlflow.flush_trace_async_logging()

    found = mlflow.get_trace(mlflow.get_last_active_trace_id())
    assert found.info.state == "ERROR"
    assert any("no luck" in str(event.attributes) for event in found.data.spans[0].events)


def test_spans_are_made_by_context_and_by_client(client, experiment):
    with mlflow.start_span("outer") as span:
        span.set_inputs({"a": 1})
        span.set_outputs([2])
        span.set_attribute("number", 7)
    mlflow.flush_trace_async_logging()
    assert mlflow.get_trace(span.trace_id).data.spans[0].attributes["number"] == 7

    root = client.start_trace("by hand", inputs={"x": 1}, experiment_id=experiment)
    child = client.start_span("step", trace_id=root.trace_id, parent_id=root.span_id)
    client.end_span(root.trace_id, child.span_id, outputs="done")
    client.end_trace(root.trace_id, outputs={"y": 2})
    mlflow.flush_trace_async_logging()
    found = client.get_trace(root.trace_id)
    assert {one.name for one in found.data.spans} == {"by hand", "step"}


def test_traces_are_searched(client, experiment, traced):
    def found(wanted=None, **more):
        return [one.info.trace_id for one in client.search_traces(locations=[experiment], filter_string=wanted, **more)]

    assert found() == [traced]
    assert found("tags.colour = 'red'") == [traced]
    assert found("tags.colour = 'blue'") == []
    assert found("trace.status = 'OK'") == [traced]
    assert found("metadata.who = 'ann'") == [traced]
    assert found("attributes.timestamp_ms > 0", order_by=["timestamp_ms DESC"]) == [traced]
    assert found("trace.name = 'answer'") == [traced]
    frame = mlflow.search_traces(locations=[experiment])
    assert list(frame["trace_id"]) == [traced]


def test_a_search_of_traces_comes_in_pages(client, experiment):
    @mlflow.trace
    def count(number):
        return number

    for number in range(5):
        count(number)
    mlflow.flush_trace_async_logging()

    found, token = [], None
    while True:
        page = client.search_traces(
            locations=[experiment], max_results=2, order_by=["timestamp_ms ASC"], page_token=token
        )
        found += [one.data.spans[0].outputs for one in page]
        token = page.token
        if not token:
            break
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_traces_of_a_run_are_found_by_it(client, experiment):
    @mlflow.trace
    def answer():
        return 1

    with mlflow.start_run() as run:
        answer()
    answer()
    mlflow.flush_trace_async_logging()

    found = mlflow.search_traces(locations=[experiment], run_id=run.info.run_id, return_type="list")
    assert len(found) == 1


def test_traces_are_linked_to_runs(client, experiment, traced, run):
    client.link_traces_to_run([traced], run)

    found = mlflow.search_traces(locations=[experiment], run_id=run, return_type="list")
    assert [one.info.trace_id for one in found] == [traced]


def test_tags_of_a_trace_change(client, traced):
    client.set_trace_tag(traced, "state", "seen")
    client.delete_trace_tag(traced, "colour")

    tags = mlflow.get_trace(traced).info.tags
    assert tags["state"] == "seen"
    assert "colour" not in tags


def test_feedback_and_expectations_are_kept_changed_and_deleted(traced):
    human = AssessmentSource(source_type="HUMAN", source_id="ann@example.org")
    said = mlflow.log_feedback(
        trace_id=traced, name="good", value=True, source=human, rationale="it is", metadata={"a": "b"}
    )
    mlflow.log_expectation(trace_id=traced, name="expected", value={"answer": "cba"}, source=human)

    found = {one.name: one for one in mlflow.get_trace(traced).info.assessments}
    assert (found["good"].value, found["good"].rationale) == (True, "it is")
    assert found["good"].source.source_id == "ann@example.org"
    assert found["expected"].value == {"answer": "cba"}
    assert mlflow.get_assessment(traced, said.assessment_id).value is True

    from mlflow.entities import Feedback

    mlflow.update_assessment(traced, said.assessment_id, Feedback(name="good", value=False, source=human))
    assert mlflow.get_assessment(traced, said.assessment_id).value is False
    mlflow.override_feedback(trace_id=traced, assessment_id=said.assessment_id, value=True, source=human)
    mlflow.delete_assessment(traced, said.assessment_id)
    with pytest.raises(MlflowException):
        mlflow.get_assessment(traced, said.assessment_id)


def test_traces_are_deleted_by_id_and_by_age(client, experiment, traced):
    assert client.delete_traces(experiment, trace_ids=[traced]) == 1
    assert client.search_traces(locations=[experiment]) == []

    with mlflow.start_span("late"):
        pass
    mlflow.flush_trace_async_logging()
    assert client.delete_traces(experiment, max_timestamp_millis=2**52, max_traces=10) == 1


def test_an_unknown_trace_is_nothing(client):
    assert mlflow.get_trace("tr-" + "0" * 32, silent=True) is None
    with pytest.raises(MlflowException):
        client.set_trace_tag("tr-" + "0" * 32, "a", "b")
