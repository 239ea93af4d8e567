"""A part of a log is written once, whole, and read back as it was said."""

import math

import pytest

from ropewalk.errors import Conflict, NotFound
from ropewalk.runs import keep
from ropewalk.runs.log import LogEntry


def metric(key, value, step=0, at_us=0):
    return LogEntry(kind="metric", key=key, value=value, step=step, at_us=at_us)


def param(key, value):
    return LogEntry(kind="param", key=key, value=value)


def apply(site, run, *entries, **more):
    return site.db.write(lambda tx: keep.apply(tx, run.id, entries, **more))


def read(site, what, *values):
    with site.db.read() as rows:
        return what(rows, *values)


def test_every_point_is_kept_and_the_newest_is_at_hand(site, begin):
    run = begin()
    apply(
        site,
        run,
        metric("loss", 3, 2, 5000),
        metric("loss", 9, 1, 9000),
        metric("loss", 4, 2, 6000),
        metric("loss", 5, 2, 6000),
    )

    assert [point.value for point in read(site, keep.history, run.id, "loss")] == [9, 3, 4, 5]
    (newest,) = read(site, keep.metrics, run.id)
    assert (newest.step, newest.at_us, newest.value) == (2, 6000, 5.0)


def test_a_later_part_takes_the_newest_place_only_with_a_later_step_or_time(site, begin):
    run = begin()
    apply(site, run, metric("loss", 1, step=5, at_us=5000), part=0)
    apply(site, run, metric("loss", 2, step=4, at_us=9000), part=1)
    assert read(site, keep.metrics, run.id)[0].value == 1

    apply(site, run, metric("loss", 3, step=5, at_us=6000), part=2)

    assert read(site, keep.metrics, run.id)[0].value == 3
    assert len(read(site, keep.history, run.id, "loss")) == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 0.1])
def test_a_number_comes_back_as_it_was(site, begin, value):
    run = begin()
    apply(site, run, metric("x", value))

    assert repr(read(site, keep.metrics, run.id)[0].value) == repr(value)
    assert repr(read(site, keep.history, run.id, "x")[0].value) == repr(value)


def test_a_part_that_was_written_is_not_written_again(site, begin):
    run = begin()
    said = (metric("loss", 1), param("depth", "8"))

    assert apply(site, run, *said, node="fit") is True
    assert apply(site, run, *said, metric("loss", 2), node="fit") is False
    assert apply(site, run, *said, node="other") is True

    assert [point.node for point in read(site, keep.history, run.id, "loss")] == ["fit", "other"]


def test_a_part_whose_transaction_fails_is_written_the_next_time(site, begin):
    run = begin()

    def work(tx):
        keep.apply(tx, run.id, [metric("loss", 1)], node="fit")
        raise Conflict("planned", "planned")

    with pytest.raises(Conflict, match="planned"):
        site.db.write(work)

    assert apply(site, run, metric("loss", 1), node="fit") is True
    assert len(read(site, keep.history, run.id, "loss")) == 1


def test_a_parameter_that_changes_between_parts_is_refused_whole(site, begin):
    run = begin()
    apply(site, run, param("depth", "8"), part=0)
    apply(site, run, param("depth", "8"), part=1)

    with pytest.raises(Conflict) as caught:
        apply(site, run, metric("loss", 1), param("depth", "9"), part=2)

    assert caught.value.code == "log-value-changed"
    assert read(site, keep.metrics, run.id) == ()
    assert [fact.content() for fact in read(site, keep.facts, run.id, "param")] == ["8"]


def test_parallel_steps_have_parameters_of_their_own(site, begin):
    run = begin()
    for depth in ("6", "8"):
        apply(site, run, param("depth", depth), node=f"fit-{depth}")

    assert [(fact.node, fact.content()) for fact in read(site, keep.facts, run.id, "param")] == [
        ("fit-6", "6"),
        ("fit-8", "8"),
    ]


def test_a_tag_has_its_last_value(site, begin):
    run = begin()
    for part, value in enumerate("abc"):
        apply(site, run, LogEntry(kind="tag", key="note", value=value), part=part)

    assert [fact.content() for fact in read(site, keep.facts, run.id, "tag")] == ["c"]


def test_a_log_for_a_run_that_is_not_there_is_refused(site):
    with pytest.raises(NotFound):
        site.db.write(lambda tx: keep.apply(tx, "no-run", [metric("a", 1)]))
