"""Trace an agent's calls, judge an answer, and find the traces that somebody liked."""

import mlflow
from mlflow.entities import AssessmentSource, SpanType

experiment = mlflow.set_experiment("agent")
SHELF = {"rope": "Rope is made of strands.", "strand": "Strands are made of yarns.", "yarn": "Yarns are spun."}


@mlflow.trace(span_type=SpanType.RETRIEVER)
def retrieve(question: str) -> list[str]:
    return [text for word, text in SHELF.items() if word in question]


@mlflow.trace(span_type=SpanType.LLM)
def generate(question: str, found: list[str]) -> str:
    span = mlflow.get_current_active_span()
    span.set_attribute("model", "none at all")
    return found[0] if found else f"I do not know about: {question}"


@mlflow.trace(name="agent", span_type=SpanType.AGENT)
def answer(question: str) -> str:
    mlflow.update_current_trace(tags={"channel": "chat"})
    return generate(question, retrieve(question))


for question in ("what is a rope?", "what is a yarn?", "what is a ship?"):
    answer(question)
mlflow.flush_trace_async_logging()

traces = mlflow.search_traces(
    locations=[experiment.experiment_id],
    filter_string="tags.channel = 'chat'",
    order_by=["timestamp_ms DESC"],
    max_results=3,
    return_type="list",
)
assert len(traces) == 3
assert {span.name for span in traces[0].data.spans} == {"agent", "retrieve", "generate"}

mlflow.log_feedback(
    trace_id=traces[0].info.trace_id,
    name="helpful",
    value=False,
    rationale="It did not know.",
    source=AssessmentSource(source_type="HUMAN", source_id="reader@example.org"),
)
judged = mlflow.get_trace(traces[0].info.trace_id)
assert judged.info.assessments[0].value is False
print(f"{len(traces)} answers traced, one judged: {judged.info.assessments[0].rationale}")
