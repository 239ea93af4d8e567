"""What spans say of their trace: times, state, previews, tokens, cost, tags; whatever the order in which they come."""

from __future__ import annotations

import itertools
import json

import pytest

from ropewalk.errors import Invalid, NotFound
from ropewalk.evidence.verify import verify
from ropewalk.ledger.head import write_head
from ropewalk.runs import experiments
from ropewalk.traces import delete, evaluation, ingest, start, trace, whole
from traces.telling import ID, START, TRACE, export, span

USAGE = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"


def keep(site, *spans, resource=None, run="", experiment="0"):
    batch = ingest.read(export(*spans, resource=resource))
    return site.db.write(lambda tx: ingest.keep(tx, experiment, batch, run))


def info(site, name=ID):
    with site.db.read() as reader:
        return trace.info(reader, name)


def tokens(count, **more):
    return {USAGE: json.dumps({"input_tokens": count, "output_tokens": 1, "total_tokens": count + 1, **more})}


def tell(site, **more):
    told = {"id": ID, "experiment": "0", "start_ms": 5, "duration_ms": 7, "state": "OK", "tags": {}, "metadata": {}}
    return site.db.write(lambda tx: start.start(tx, site, start.Told(**{**told, **more})))


def test_a_trace_is_made_of_its_first_spans_and_grows_with_the_others(site):
    keep(site, span(2, parent=1, after_ms=10, until_ms=30))
    half = info(site).trace
    keep(site, span(1, after_ms=0, until_ms=90, attributes={"mlflow.spanInputs": "hi", "mlflow.spanOutputs": "ho"}))
    found = info(site)

    assert (half.state, half.start_ms, half.duration_ms) == ("IN_PROGRESS", START // 1_000_000 + 10, 20)
    assert (found.trace.state, found.trace.start_ms, found.trace.duration_ms) == ("OK", START // 1_000_000, 90)
    assert (found.trace.request_preview, found.trace.response_preview) == ('"hi"', '"ho"')
    assert found.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert found.tags["mlflow.artifactLocation"] == f"mlflow-artifacts:/0/traces/{ID}/artifacts"


def test_a_root_that_failed_makes_the_trace_fail(site):
    keep(site, span(1, status={"code": 2}), span(2, parent=1))

    assert info(site).trace.state == "ERROR"


def test_a_span_that_still_runs_has_no_end_and_neither_has_its_trace(site):
    keep(site, {**span(1, parent=9), "endTimeUnixNano": "0"})

    assert info(site).trace.duration_ms is None


def test_tokens_and_cost_are_counted_once_whatever_the_order_of_the_spans(site):
    tree = [
        span(1, attributes={}),
        span(2, parent=1, attributes=tokens(10, cache_read_input_tokens=4)),
        span(3, parent=2, attributes={**tokens(6), COST: '{"total_cost": 0.5}'}),
        span(4, parent=1, attributes={**tokens(5), COST: '{"input_cost": 0.25, "total_cost": 1.0}'}),
        span(5, parent=99, attributes=tokens(100)),
    ]
    for place, order in enumerate(itertools.permutations(tree)):
        if place % 17:
            continue
        other = f"{place + 1:032x}"
        for one in order:
            keep(site, {**one, "traceId": other})
        found = info(site, f"tr-{other}")
        assert json.loads(found.metadata["mlflow.trace.tokenUsage"]) == {
            "input_tokens": 115,
            "output_tokens": 3,
            "total_tokens": 118,
            "cache_read_input_tokens": 4,
        }
        assert json.loads(found.metadata["mlflow.trace.cost"]) == {
            "input_cost": 0.25,
            "output_cost": 0.0,
            "total_cost": 1.5,
        }


def test_the_same_span_again_takes_its_own_place(site):
    keep(site, span(1, name="first", attributes=tokens(3)))
    keep(site, span(1, name="second", attributes=tokens(8)))

    with site.db.read() as reader:
        found = whole.get_whole(reader, ID, partial=False)
    assert [one["name"] for one in found.spans] == ["second"]
    assert json.loads(found.info.metadata["mlflow.trace.tokenUsage"])["input_tokens"] == 8


def test_what_the_client_told_of_the_whole_is_not_overruled_by_spans(site):
    told = {"mlflow.trace.tokenUsage": '{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}'}
    tell(site, metadata=told, request_preview="mine", tags={"mlflow.traceName": "named"})

    keep(site, span(1, status={"code": 2}, attributes={**tokens(50), "mlflow.spanInputs": "x", "session.id": "s9"}))

    found = info(site)
    assert (found.trace.start_ms, found.trace.duration_ms, found.trace.state) == (5, 7, "OK")
    assert (found.trace.request_preview, found.trace.name) == ("mine", "named")
    assert found.metadata["mlflow.trace.tokenUsage"] == told["mlflow.trace.tokenUsage"]
    assert found.metadata["mlflow.trace.session"] == "s9"


def test_a_trace_told_after_its_spans_keeps_their_tags_and_previews(site):
    keep(site, span(1, attributes={"mlflow.spanInputs": "asked"}), resource={"service.name": "shop"})

    tell(site, response_preview="answered", tags={"team": "ops"}, metadata={"mlflow.user": "ann"})

    found = info(site)
    assert (found.trace.request_preview, found.trace.response_preview) == ('"asked"', "answered")
    assert {found.tags["service.name"], found.tags["team"]} == {"shop", "ops"}
    assert found.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert found.metadata["mlflow.trace.infoFinalized"] == "true"


def test_resources_and_the_root_tag_the_trace_but_never_what_is_the_servers(site):
    root = {"mlflow.traceTag.team": "ops", "mlflow.traceTag.mlflow.trace.spansLocation": "ELSEWHERE", "user.id": "ann"}
    root["mlflow.traceTag.mlflow.artifactLocation"] = "file:///elsewhere"
    keep(
        site,
        span(1, attributes={**root, "mlflow.traceTag.mlflow.traceName": "named", "gen_ai.conversation.id": "talk"}),
        resource={"telemetry.sdk.name": "x", "mlflow.evil": "x", "service.name": "shop", "bad\nkey": "x", "team": "y"},
    )

    found = info(site)
    assert found.tags["team"] == "ops"
    assert found.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert found.tags["mlflow.artifactLocation"].startswith("mlflow-artifacts:/0/")
    assert {"telemetry.sdk.name", "mlflow.evil", "bad\nkey"}.isdisjoint(found.tags)
    assert (found.trace.name, found.trace.session) == ("named", "talk")
    assert found.metadata["mlflow.trace.user"] == "ann"


def test_other_houses_names_are_understood(site):
    keep(
        site,
        span(
            1,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 26,
                "gen_ai.usage.output_tokens": "4",
                "gen_ai.request.model": "m-1",
                "gen_ai.provider.name": "house",
                "gen_ai.input.messages": '[{"role": "user", "content": "hello"}]',
            },
        ),
        span(2, parent=1, attributes={"openinference.span.kind": "RETRIEVER", "input.value": "where"}),
    )

    with site.db.read() as reader:
        found = whole.get_whole(reader, ID, partial=False)
    said = [{one["key"]: one["value"] for one in told["attributes"]} for told in found.spans]
    assert said[0]["mlflow.spanType"] == {"string_value": "CHAT_MODEL"}
    assert said[1]["mlflow.spanType"] == {"string_value": "RETRIEVER"}
    assert said[1]["mlflow.spanInputs"] == {"string_value": "where"}
    assert said[0]["mlflow.llm.model"] == {"string_value": "m-1"}
    assert json.loads(found.info.metadata["mlflow.trace.tokenUsage"])["total_tokens"] == 30


def test_the_preview_of_a_chat_is_the_last_word_of_who_speaks(site):
    asked = {"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}
    said = {"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "three" * 400}]}}]}
    keep(site, span(1, attributes={"mlflow.spanInputs": asked, "mlflow.spanOutputs": said}))

    found = info(site).trace
    assert found.request_preview == "one"
    assert len(found.response_preview) == 1000
    assert found.response_preview == ("three" * 400)[:997] + "..."


def test_spans_that_cannot_be_kept_are_counted_and_the_others_are_kept(site):
    kept = keep(site, span(1), {**span(2), "traceId": "no"}, {**span(3), "startTimeUnixNano": "x"})

    assert (kept.rejected, len(kept.reasons)) == (2, 2)
    with site.db.read() as reader:
        assert len(whole.get_whole(reader, ID, partial=False).spans) == 1


def test_a_trace_takes_no_more_spans_than_its_limit(site, monkeypatch):
    monkeypatch.setattr(ingest, "TRACE_SPANS_MAX", 3)
    keep(site, span(1), span(2, parent=1))

    kept = keep(site, span(2, parent=1, name="again"), span(3, parent=1), span(4, parent=1))

    assert (kept.rejected, "more than" in kept.reasons[0]) == (1, True)
    with site.db.read() as reader:
        assert len(whole.get_whole(reader, ID, partial=False).spans) == 3


def test_new_traces_need_an_experiment_that_is_there_and_active(site):
    gone = site.db.write(lambda tx: experiments.create(tx, site, "gone")).id
    keep(site, span(1), experiment=str(gone))
    site.db.write(lambda tx: experiments.delete(tx, site, gone))

    assert keep(site, span(2, parent=1), experiment=str(gone)).rejected == 0
    with pytest.raises(Invalid, match="deleted"):
        keep(site, span(1, trace="12" * 16), experiment=str(gone))
    with pytest.raises(NotFound, match="no such experiment"):
        keep(site, span(1), experiment="77")
    with site.db.read() as reader, pytest.raises(NotFound):
        trace.get(reader, f"tr-{'12' * 16}")


def test_a_run_that_is_not_there_is_named_and_the_spans_are_kept(site):
    kept = keep(site, span(1), run="f" * 32)

    assert (kept.rejected, kept.reasons) == (0, (f"no run {'f' * 32!r}",))
    assert info(site).trace.id == ID


@pytest.mark.parametrize(
    "told", [None, 1, [], {}, {"resourceSpans": []}, {"resourceSpans": [1]}, {"resourceSpans": {}}]
)
def test_what_holds_no_spans_is_refused(told):
    with pytest.raises(Invalid, match="no OTLP trace export"):
        ingest.read(told)


def test_a_circle_of_parents_ends(site):
    keep(site, span(1, parent=2, attributes=tokens(1)), span(2, parent=1, attributes=tokens(2)))

    assert info(site).trace.id == f"tr-{TRACE}"


def test_a_deletion_leaves_the_evidence_whole(site):
    keep(site, span(1), span(2, parent=1))
    made = site.db.write(lambda tx: evaluation.create(tx, site, "qa", {"team": "ops"}, ["0"]))
    site.db.write(lambda tx: delete.delete(tx, site, "0", ids=[ID]))
    site.db.write(lambda tx: evaluation.delete(tx, site, made.id))

    write_head(site.db, site.signer, site.hidden)
    assert verify(site).findings == ()
