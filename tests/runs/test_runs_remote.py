"""Runs of clients move as their clients say, are dead only when they promised to speak, and their log is kept."""

import pytest

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.evidence.claims import Claims
from ropewalk.evidence.logs import Logs
from ropewalk.ledger.chain import entries, first_break
from ropewalk.ledger.sign import Checker
from ropewalk.loops.rescue import Rescue
from ropewalk.runs import batch, experiments, record, remote
from ropewalk.runs import run as runs
from ropewalk.runs.remote import BEAT_TAG
from ropewalk.runs.view import views
from runs.stores import begin, log


def now(site, run):
    with site.db.read() as rows:
        return runs.get(rows, run.id)


def update(site, run, **more):
    return site.db.write(lambda tx: remote.update(tx, site, run.id, **more))


def view(site, run):
    with site.db.read() as rows:
        return views(rows, [runs.get(rows, run.id)])[0]


def kinds(site):
    with site.db.read() as rows:
        assert first_break(rows, Checker(site.signer.public)) is None
        return [entry.kind for entry in entries(rows)]


def findings(site):
    claims, logs = Claims(), Logs()
    with site.db.read() as rows:
        for entry in entries(rows):
            claims.hear(entry)
            logs.hear(entry)
        return [one.what for one in (*claims.differences(rows), *logs.differences(rows))]


def edit(site, query, **values):
    site.db.write(lambda tx: tx.run(query, **values))


def test_a_run_begins_with_what_its_client_says(site):
    tags = {"mlflow.user": "ann", "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL", "team": "ops"}
    run = begin(site, name="first", start_ms=1234, tags=tags)

    seen = view(site, run)
    assert (seen.status, seen.run.name, seen.run.started_us) == ("RUNNING", "first", 1_234_000)
    assert (seen.run.user_name, seen.run.source_name, seen.run.source_type) == ("ann", "train.py", "LOCAL")
    assert dict(seen.tags) == {**tags, "mlflow.runName": "first"}
    assert seen.run.location == f"mlflow-artifacts:/0/{run.id}/artifacts"
    assert len(run.id) == 32
    assert set(run.id) <= set("0123456789abcdef")


def test_a_run_without_a_name_gets_one(site):
    run = begin(site)

    assert len(run.name.split("-")) == 3
    assert dict(view(site, run).tags) == {"mlflow.runName": run.name}
    assert begin(site, tags={"mlflow.runName": "tagged"}).name == "tagged"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"name": "a", "tags": {"mlflow.runName": "b"}}, "run-name-twice"),
        ({"experiment": "x"}, "experiment-id-invalid"),
        ({"experiment": "-1"}, "experiment-id-invalid"),
        ({"experiment": "9" * 20}, "experiment-id-invalid"),
        ({"tags": {"a//b": "x"}}, "log-name-invalid"),
        ({"name": "x" * 501}, "run-name-too-long"),
        ({"start_ms": -1}, "time-invalid"),
        ({"start_ms": 1 << 60}, "time-invalid"),
        ({"tags": {BEAT_TAG: "0"}}, "heartbeat-invalid"),
        ({"tags": {BEAT_TAG: "often"}}, "heartbeat-invalid"),
        ({"run_id": "a b"}, "run-id-invalid"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing(site, more, code):
    with pytest.raises(Invalid) as caught:
        begin(site, **more)

    assert caught.value.code == code
    assert kinds(site) == []


def test_a_run_needs_an_experiment_that_is_there_and_not_deleted(site):
    home = site.db.write(lambda tx: experiments.create(tx, site, "e"))
    site.db.write(lambda tx: experiments.delete(tx, site, home.id))

    with pytest.raises(Invalid) as deleted:
        begin(site, experiment=str(home.id))
    with pytest.raises(NotFound):
        begin(site, experiment="77")

    assert deleted.value.code == "experiment-deleted"


def test_an_imported_run_keeps_its_id_and_an_id_is_given_once(site):
    assert begin(site, run_id="a" * 32).id == "a" * 32

    with pytest.raises(Conflict) as caught:
        begin(site, run_id="a" * 32)

    assert caught.value.code == "run-exists"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "SCHEDULED", "RUNNING"])
def test_a_client_moves_its_run_anywhere_and_back(site, status):
    run = begin(site)

    update(site, run, status=status, end_ms=77)
    assert view(site, run).status == status
    assert now(site, run).ended_us == 77_000
    update(site, run, status="RUNNING")

    assert view(site, run).status == "RUNNING"
    assert findings(site) == []


def test_an_unknown_status_or_time_changes_nothing(site):
    run = begin(site)
    for more in ({"status": "DONE"}, {"end_ms": -1}, {"name": "x" * 501}):
        with pytest.raises(Invalid):
            update(site, run, **({"status": "FINISHED"} | more))

    assert now(site, run) == run


def test_a_new_name_stands_in_the_run_and_in_its_tag(site):
    run = begin(site, name="old")

    update(site, run, name="new")
    log(site, run, tags=[("mlflow.runName", "newest")])

    assert (now(site, run).name, dict(view(site, run).tags)["mlflow.runName"]) == ("newest", "newest")
    assert kinds(site) == ["run.started", "run.renamed", "run.renamed"]
    assert findings(site) == []


def test_a_deleted_run_takes_nothing_until_it_is_restored(site):
    run = begin(site)
    site.db.write(lambda tx: remote.delete(tx, site, run.id))
    for work in (
        lambda tx: batch.log_metrics(tx, site, run.id, [("a", 1.0, 1, 1)]),
        lambda tx: batch.log_params(tx, site, run.id, [("a", "1")]),
        lambda tx: batch.set_tags(tx, site, run.id, [("a", "1")]),
        lambda tx: batch.delete_tag(tx, site, run.id, "mlflow.runName"),
        lambda tx: remote.update(tx, site, run.id, status="FINISHED"),
    ):
        with pytest.raises(Invalid) as caught:
            site.db.write(work)
        assert caught.value.code == "run-deleted"

    site.db.write(lambda tx: remote.restore(tx, site, run.id))
    log(site, run, metrics=[("a", 1.0, 1, 1)])

    assert kinds(site) == ["run.started", "run.deleted", "run.restored"]
    assert view(site, run).metrics == (("a", 1.0, 1, 1),)


def test_deleting_twice_is_deleting_once(site):
    run = begin(site)

    for work in (remote.delete, remote.delete, remote.restore, remote.restore):
        site.db.write(lambda tx, work=work: work(tx, site, run.id))

    assert kinds(site) == ["run.started", "run.deleted", "run.restored"]


def test_a_silent_client_keeps_its_run_running_unless_it_promised_to_speak(site):
    silent, promised = begin(site), begin(site, tags={BEAT_TAG: "10"})
    site.clock.advance(29)
    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []

    site.clock.advance(2)

    assert [run.id for run in site.db.write(lambda tx: runs.interrupt_dead(tx, site))] == [promised.id]
    assert view(site, silent).status == "RUNNING"
    seen = view(site, promised)
    assert seen.status == "FAILED"
    assert "10 s" in dict(seen.tags)["ropewalk.interrupted"]
    assert findings(site) == []


def test_every_call_of_a_client_is_a_sign_of_life(site):
    run = begin(site, tags={BEAT_TAG: "10"})

    for step in range(5):
        site.clock.advance(20)
        log(site, run, metrics=[("a", 1.0, 1, step)])
        assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []


def test_a_sign_of_life_is_written_only_now_and_then(site):
    run = begin(site, tags={BEAT_TAG: "10"})
    for _ in range(9):
        site.clock.advance(1)
        log(site, run, metrics=[("a", 1.0, 1, 1)])
    assert now(site, run).expires_us == run.expires_us

    site.clock.advance(1)
    log(site, run, metrics=[("a", 1.0, 1, 1)])

    assert now(site, run).expires_us == run.expires_us + 10_000_000


def test_a_client_that_speaks_again_has_its_run_back(site):
    run = begin(site, tags={BEAT_TAG: "10"})
    site.clock.advance(60)
    site.db.write(lambda tx: runs.interrupt_dead(tx, site))

    log(site, run, metrics=[("a", 1.0, 1, 1)])

    assert view(site, run).status == "RUNNING"
    assert BEAT_TAG in dict(view(site, run).tags)
    assert "ropewalk.interrupted" not in dict(view(site, run).tags)
    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []
    assert kinds(site) == ["run.started", "run.interrupted", "run.resumed"]


def test_a_promise_may_be_made_later_and_taken_back(site):
    run = begin(site)
    log(site, run, tags=[(BEAT_TAG, "5")])
    assert now(site, run).heartbeat_seconds == 5

    site.db.write(lambda tx: batch.delete_tag(tx, site, run.id, BEAT_TAG))
    site.clock.advance(999)

    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []


def test_a_run_of_our_own_is_not_moved_by_a_client(site, begin):
    run = begin()

    with pytest.raises(Conflict) as caught:
        update(site, run, status="FINISHED")
    update(site, run, status="RUNNING", name="renamed")

    assert caught.value.code == "run-not-remote"
    assert (now(site, run).state, now(site, run).name) == ("running", "renamed")
    assert findings(site) == []


def test_a_run_of_our_own_is_seen_with_what_its_steps_logged(site, begin, log):
    run = begin(name="train-1")
    for node, value in (("fit-6", 0.6), ("fit-8", 0.8)):
        log(run, {"kind": "metric", "key": "auc", "value": value, "step": int(value * 10)}, node=node)
        log(run, {"kind": "param", "key": "depth", "value": node[-1]}, node=node)
    log(run, {"kind": "metric", "key": "rows", "value": 3}, node="load")

    seen = view(site, run)

    assert {name: value for name, value, _, _ in seen.metrics} == {
        "auc": 0.8,
        "auc [fit-6]": 0.6,
        "auc [fit-8]": 0.8,
        "rows": 3.0,
    }
    assert dict(seen.params) == {"depth": "6", "depth [fit-6]": "6", "depth [fit-8]": "8"}
    assert dict(seen.tags)["mlflow.runName"] == "train-1"
    assert dict(seen.tags)["mlflow.source.name"] == run.pipeline


def test_an_end_keeps_a_digest_of_the_log_and_an_edited_metric_is_found_out(site):
    run = begin(site)
    log(site, run, metrics=[("auc", 0.5, 1, 1), ("auc", 0.6, 2, 2)], params=[("depth", "8")])
    update(site, run, status="FINISHED", end_ms=5)
    assert findings(site) == []

    row = {"run": run.number, "key": "auc", "node": "", "experiment": 0, "started_us": run.started_us, "is_nan": 0}
    edit(site, "runs.latest", **row, step=3, at_ms=3, value=0.99)

    assert findings(site) == [f"log of run {run.id}"]


def test_points_that_were_taken_away_or_added_behind_the_doors_are_found_out(site):
    run = begin(site)
    log(site, run, metrics=[("auc", 0.5, 1, 1), ("auc", 0.6, 2, 2)])
    update(site, run, status="FAILED")

    edit(site, "runs.point", series=1, at_ms=1, step=1, value=0.4, is_nan=0)

    assert findings(site) == [f"log of run {run.id}"]


def test_what_is_logged_after_the_end_is_allowed_and_noted_later(site):
    run = begin(site)
    log(site, run, metrics=[("auc", 0.5, 1, 1)])
    update(site, run, status="FINISHED")
    for step in range(3):
        log(site, run, metrics=[("auc", 0.6, 2, step)])
    assert kinds(site) == ["run.started", "run.finished", "run.reopened"]
    assert findings(site) == []
    assert site.db.write(lambda tx: record.note_late(tx, site)) == 0, "more may come"

    site.clock.advance(11)
    Rescue(site).turn()

    assert kinds(site)[-1] == "run.noted"
    assert findings(site) == []
    row = {"run": run.number, "key": "auc", "node": "", "experiment": 0, "started_us": run.started_us, "is_nan": 0}
    edit(site, "runs.latest", **row, step=9, at_ms=3, value=0.99)
    assert findings(site) == [f"log of run {run.id}"]


def test_tags_and_names_may_change_after_the_end(site):
    run = begin(site)
    update(site, run, status="FINISHED")

    log(site, run, tags=[("note", "the best so far")])
    update(site, run, name="best")
    site.clock.advance(11)
    Rescue(site).turn()

    assert findings(site) == []
    assert kinds(site) == ["run.started", "run.finished", "run.renamed"]


def test_a_run_belongs_below_the_one_that_its_tag_names(site):
    parent, run = begin(site), begin(site, tags={"mlflow.parentRunId": "x"})
    assert now(site, run).parent == "x"

    log(site, run, tags=[("mlflow.parentRunId", parent.id)])
    assert now(site, run).parent == parent.id
    site.db.write(lambda tx: batch.delete_tag(tx, site, run.id, "mlflow.parentRunId"))

    assert now(site, run).parent == ""
