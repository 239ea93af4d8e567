"""Where spans go, which traces are wanted, what a run's spans say, and what is said where the library is missing."""

from __future__ import annotations

import sys

import pytest

from pipelines_project import Project
from ropewalk.errors import Invalid, Missing, RopewalkError
from ropewalk.house import House, run
from ropewalk.pipelines.spans import spans_of_run
from ropewalk.settings import Settings, Telemetry
from ropewalk.telemetry import otlp
from ropewalk.telemetry.context import Parent
from ropewalk.telemetry.open import caller, spans_of
from ropewalk.telemetry.spans import is_of_share

LOCAL = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environ", "said", "found"),
    [
        ({}, "", ""),
        ({}, LOCAL, f"{LOCAL}/v1/traces"),
        ({}, f"{LOCAL}/v1/traces", f"{LOCAL}/v1/traces"),
        ({otlp.ENDPOINT: f"{LOCAL}/"}, "", f"{LOCAL}/v1/traces"),
        ({otlp.ENDPOINT: LOCAL, otlp.TRACES: f"{LOCAL}/here"}, "", f"{LOCAL}/here"),
        ({otlp.ENDPOINT: LOCAL}, "https://other", "https://other/v1/traces"),
        ({otlp.DISABLED: "true"}, LOCAL, ""),
    ],
)
def test_spans_go_where_the_project_or_the_standards_variables_say(environ, said, found):
    assert otlp.address_in(environ, said) == found


def test_what_is_no_address_is_refused():
    with pytest.raises(Invalid, match="no address"):
        otlp.address_in({}, "127.0.0.1:4318")


def test_a_share_of_traces_is_the_same_share_everywhere():
    assert is_of_share("0" * 16 + "7" + "f" * 15, 0.5)
    assert not is_of_share("0" * 16 + "8" + "0" * 15, 0.5)
    assert is_of_share("f" * 32, 1.0)
    assert not is_of_share("0" * 32, 0.0)


def test_without_the_library_a_project_that_wants_spans_is_told_and_a_variable_is_only_logged(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)

    with pytest.raises(Missing) as error, spans_of(Telemetry(otlp=LOCAL)):
        pass
    monkeypatch.setenv(otlp.ENDPOINT, LOCAL)
    with spans_of(Telemetry()) as found:
        assert found is None

    assert error.value.fix == 'pip install "ropewalk[otel]"'
    assert "no spans go to" in caplog.text


def test_whoever_started_the_process_may_have_a_trace(monkeypatch):
    monkeypatch.delenv("TRACEPARENT", raising=False)
    assert caller() is None
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    assert caller() == Parent("a" * 32, "b" * 16, sampled=True)


PIPELINE = """
from ropewalk import pipeline, step

@step
def one() -> int:
    return 1

@step
def bad(value: int) -> int:
    raise ValueError("no such value")

@pipeline
def train() -> int:
    return bad(one())
"""


def test_the_spans_of_a_run_that_failed_say_which_step_and_why(site):
    made = Project(site)
    made.write("pipeline.py", PIPELINE)
    with pytest.raises(RopewalkError):
        run(House(site=site, settings=Settings(name="spans")), on_progress=lambda _: None)
    with site.db.read() as rows:
        (number,) = (one["id"] for one in rows.composed("select id from runs", {}))
        whole, *steps = spans_of_run(rows, number, None)

    assert (whole.trace, whole.parent, whole.attributes["ropewalk.run.state"]) == (number, "", "failed")
    assert whole.failure
    assert {one.name: bool(one.failure) for one in steps} == {"step one": False, "step bad": True}
    assert "no such value" in steps[-1].failure
    assert all(whole.begun_us <= one.begun_us <= one.ended_us <= whole.ended_us for one in steps)
