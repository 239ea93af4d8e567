"""What user code says is gathered by MLflow's names and rules, and outside of a run nobody minds."""

import json
import math
import pickle
import threading

import pytest

import ropewalk
from ropewalk.errors import Conflict, Invalid
from ropewalk.runs import log
from ropewalk.runs.log import Collector, LogEntry, collecting, emit


@pytest.fixture
def collector(site):
    return Collector(site.blobs, site.clock)


def said(collector):
    return [(entry.kind, entry.key, entry.value, entry.step) for entry in collector.entries]


def test_everything_said_is_gathered_in_order_with_its_time(collector, clock):
    with collecting(collector):
        ropewalk.log_metric("auc", 0.5)
        clock.advance(1)
        ropewalk.log_metrics({"loss": 1, "acc": True}, step=3)
        ropewalk.log_param("depth", 8)
        ropewalk.log_params({"lr": 0.1, "name": None})
        ropewalk.set_tag("team", "ops")

    assert said(collector) == [
        ("metric", "auc", 0.5, 0),
        ("metric", "loss", 1.0, 3),
        ("metric", "acc", 1.0, 3),
        ("param", "depth", "8", 0),
        ("param", "lr", "0.1", 0),
        ("param", "name", "None", 0),
        ("tag", "team", "ops", 0),
    ]
    times = [entry.at_us for entry in collector.entries]
    assert times[1] - times[0] == 1_000_000


def test_outside_of_a_run_nothing_is_gathered_and_nothing_fails(site, tmp_path):
    (tmp_path / "plot.svg").write_text("<svg/>")

    ropewalk.log_metric("auc", 0.5)
    ropewalk.log_param("depth", 8)
    ropewalk.set_tag("a", "b")
    ropewalk.log_artifact(tmp_path / "plot.svg")
    log.log_bytes(b"x", "x.bin")
    emit(LogEntry(kind="model", key="m", value={}))

    assert log.current() is None
    assert list(site.blobs.digests()) == []


def test_a_collector_gathers_only_inside_its_own_block(site):
    outer, inner = Collector(site.blobs, site.clock), Collector(site.blobs, site.clock)
    with collecting(outer):
        ropewalk.log_metric("a", 1)
        with collecting(inner):
            ropewalk.log_metric("b", 2)
        ropewalk.log_metric("c", 3)
    ropewalk.log_metric("d", 4)

    assert [entry.key for entry in outer.entries] == ["a", "c"]
    assert [entry.key for entry in inner.entries] == ["b"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.1, -0.0, 10**30])
def test_every_float_survives_being_kept_as_json(collector, value):
    with collecting(collector):
        ropewalk.log_metric("x", value, step=-5)
    (entry,) = collector.entries

    again = LogEntry.from_plain(json.loads(json.dumps(entry.plain(), allow_nan=False)))

    assert repr(again) == repr(entry)
    assert repr(pickle.loads(pickle.dumps(entry))) == repr(entry)


def test_numpy_numbers_are_numbers(collector):
    import numpy as np

    with collecting(collector):
        ropewalk.log_metrics({"a": np.float32(0.5), "b": np.int64(3), "c": np.array([2.5])[0]}, step=np.int32(2))

    assert said(collector) == [("metric", "a", 0.5, 2), ("metric", "b", 3.0, 2), ("metric", "c", 2.5, 2)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: log.log_metric("auc", "high"), "metric-not-a-number"),
        (lambda: log.log_metric("auc", None), "metric-not-a-number"),
        (lambda: log.log_metric("auc", 1, step="a"), "metric-step-invalid"),
        (lambda: log.log_metric("auc", 1, step=2**63), "metric-step-invalid"),
        (lambda: log.log_metric("auc", 1, step=math.nan), "metric-step-invalid"),
        (lambda: log.log_param("p", "x" * 6001), "param-too-long"),
        (lambda: log.set_tag("t", "x" * 8001), "tag-too-long"),
        (lambda: log.log_artifact("/no/such/file"), "artifact-not-there"),
        *[
            (lambda key=key: log.log_metric(key, 1), "log-name-invalid")
            for key in (
                "",
                "a\n",
                "a\0",
                "../a",
                "..a",
                "/a",
                "a//b",
                "a/",
                ".",
                "a/../b",
                "x" * 251,
                None,
                3,
                "a;b",
                "a<b>",
            )
        ],
        *[
            (lambda path=path: log.log_bytes(b"", path), "artifact-path-invalid")
            for path in ("", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0b", "a/", ".", "..", "a\nb", "x" * 251)
        ],
    ],
)
def test_a_wrong_call_is_refused_inside_and_outside_of_a_run_and_says_nothing(collector, call, code):
    with pytest.raises(Invalid) as outside:
        call()
    with collecting(collector), pytest.raises(Invalid) as inside:
        call()

    assert outside.value.code == inside.value.code == code
    assert collector.entries == ()


@pytest.mark.parametrize("key", ["a", "val/roc_auc", "a b", "system:cpu", "A-1.x_y", "x" * 250, "é"])
def test_the_names_of_mlflow_are_allowed(collector, key):
    with collecting(collector):
        ropewalk.log_metric(key, 1)

    assert collector.entries[0].key == key


def test_a_parameter_keeps_its_first_value_and_a_tag_its_last(collector):
    with collecting(collector):
        ropewalk.log_param("depth", 8)
        ropewalk.log_param("depth", "8")
        with pytest.raises(Conflict) as caught:
            ropewalk.log_param("depth", 9)
        ropewalk.set_tag("note", "a")
        ropewalk.set_tag("note", "b")

    assert caught.value.code == "log-value-changed"
    assert said(collector) == [("param", "depth", "8", 0), ("tag", "note", "a", 0), ("tag", "note", "b", 0)]


def test_a_folder_is_kept_file_by_file_with_its_bytes(collector, site, tmp_path):
    (tmp_path / "plots" / "deep").mkdir(parents=True)
    (tmp_path / "plots" / "roc.svg").write_bytes(b"roc")
    (tmp_path / "plots" / "deep" / "pr.svg").write_bytes(b"pr")
    with collecting(collector):
        ropewalk.log_artifact(tmp_path / "plots")
        ropewalk.log_artifact(tmp_path / "plots" / "roc.svg", name="report/roc.svg")
    (tmp_path / "plots" / "roc.svg").write_bytes(b"later")

    kept = {entry.key: site.blobs.get(entry.value["digest"]) for entry in collector.entries}

    assert kept == {"plots/deep/pr.svg": b"pr", "plots/roc.svg": b"roc", "report/roc.svg": b"roc"}
    assert all(entry.value["bytes"] == len(kept[entry.key]) for entry in collector.entries)


def test_the_same_artifact_twice_is_once_and_another_under_its_name_is_refused(collector):
    with collecting(collector):
        log.log_bytes(b"a", "x.txt")
        log.log_bytes(b"a", "x.txt")
        with pytest.raises(Conflict):
            log.log_bytes(b"b", "x.txt")

    assert len(collector.entries) == 1


def test_threads_that_share_a_collector_lose_nothing(collector):
    def work(name):
        with collecting(collector):
            for step in range(200):
                log.log_metric(name, step, step)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(collector.entries) == 1600
    for n in range(8):
        assert [entry.step for entry in collector.entries if entry.key == f"t{n}"] == list(range(200))


def test_what_was_drained_is_not_given_again_but_stays_said(collector):
    with collecting(collector):
        ropewalk.log_param("depth", 8)
        first = collector.drain()
        ropewalk.log_param("depth", 8)
        ropewalk.log_metric("a", 1)
        with pytest.raises(Conflict):
            ropewalk.log_param("depth", 9)

    assert [entry.key for entry in first] == ["depth"]
    assert [entry.key for entry in collector.drain()] == ["a"]
    assert collector.entries == ()


def test_a_log_has_a_limit(collector, monkeypatch):
    monkeypatch.setattr(log, "ENTRIES_MAX", 3)
    with collecting(collector):
        for step in range(3):
            ropewalk.log_metric("a", 1, step)
        with pytest.raises(Invalid) as caught:
            ropewalk.log_metric("a", 1, 3)

    assert caught.value.code == "log-full"
    assert len(collector.entries) == 3
