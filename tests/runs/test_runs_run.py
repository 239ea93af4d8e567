"""A run moves by its table alone, its holder is looked at, and the ledger tells every move."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ropewalk.errors import Conflict, Interrupted, Invalid, NotFound
from ropewalk.leases import process_start, take
from ropewalk.ledger.chain import entries, first_break
from ropewalk.ledger.sign import Checker
from ropewalk.runs import experiments
from ropewalk.runs import run as runs
from ropewalk.source.commit import Commit

COMMIT = Commit(sha="c" * 40, branch="main", author="Ann <ann@example.org>", message="m", dirty=True, diff=b"")


def start(site, *, lease=None, pipeline="pipeline.py:train", args=None, code="sha256:" + "1" * 64, **more):
    lease = lease or take(site.clock.now_us(), 1)
    return site.db.write(
        lambda tx: runs.start(
            tx,
            site,
            kind="pipeline",
            pipeline=pipeline,
            args={} if args is None else args,
            code=code,
            commit=COMMIT,
            environment="sha256:" + "2" * 64,
            lease=lease,
            **more,
        )
    )


def move(site, run, state, **more):
    return site.db.write(lambda tx: runs.move(tx, site, run.id, state, **({"fence": run.fence} | more)))


def resume(site, run):
    return site.db.write(lambda tx: runs.resume(tx, site, run.id, take(site.clock.now_us(), 99)))


def kinds(site):
    with site.db.read() as rows:
        assert first_break(rows, Checker(site.signer.public)) is None
        return [entry.kind for entry in entries(rows)]


def dead_lease(site):
    """Return the lease of a process that was killed."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease = replace(take(site.clock.now_us(), 1), pid=child.pid, born=process_start(child.pid))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return lease


def test_a_run_keeps_what_was_known_at_its_start(site):
    run = start(site, args={"depth": 8, "months": [1, 3]}, experiment="spring")

    with site.db.read() as rows:
        assert runs.get(rows, run.id) == run
        assert experiments.get(rows, run.experiment).name == "spring"
    assert run.state == runs.RUNNING
    assert run.arguments() == {"depth": 8, "months": [1, 3]}
    assert (run.commit_sha, run.branch, run.dirty) == ("c" * 40, "main", 1)
    assert run.lease.pid == os.getpid()
    assert run.ended_us is None
    assert not run.over


def test_runs_are_named_by_what_they_run_and_counted(site):
    names = [
        start(site).name,
        start(site).name,
        start(site, pipeline="python fit.py --lr 1").name,
        start(site, name="mine").name,
    ]

    assert names == ["train-1", "train-2", "python-1", "mine"]


def test_an_unknown_kind_starts_nothing(site):
    with pytest.raises(Invalid) as caught:
        site.db.write(
            lambda tx: runs.start(
                tx, site, kind="cron", pipeline="p", args={}, code="", commit=COMMIT, environment="",
                lease=take(0, 1),
            )
        )  # fmt: skip

    assert caught.value.code == "run-kind-unknown"
    assert kinds(site) == []


@pytest.mark.parametrize("before", sorted(runs.MOVES.keys() - {runs.SCHEDULED}))
@pytest.mark.parametrize("after", runs.MOVES)
def test_the_table_alone_says_where_a_run_may_go(site, before, after):
    run = start(site)
    if before != runs.RUNNING:
        run = move(site, run, before)

    if after in runs.MOVES[before] and after != runs.RUNNING:
        assert move(site, run, after).state == after
    else:
        with pytest.raises(Conflict) as caught:
            move(site, run, after)
        assert caught.value.code == "run-move-refused"
        with site.db.read() as rows:
            assert runs.get(rows, run.id) == run


def test_a_finished_run_tells_when_and_a_failed_one_why(site):
    finished, failed = start(site), start(site)
    site.clock.advance(3)

    finished, failed = move(site, finished, runs.FINISHED), move(site, failed, runs.FAILED, error="it broke")

    assert finished.ended_us - finished.started_us == 3_000_000
    assert (failed.error, finished.error) == ("it broke", "")
    assert finished.over
    assert kinds(site) == ["run.started", "run.started", "run.finished", "run.failed"]
    with site.db.read() as rows:
        events = [(row["kind"], row["subject"]) for row in rows.rows("events.after", seq=0, count=9)]
    assert events == [("run.finished", finished.subject), ("run.failed", failed.subject)]


def test_a_result_with_an_old_fence_is_refused_and_changes_nothing(site):
    run = start(site, lease=dead_lease(site))
    taken = resume(site, run)

    with pytest.raises(Interrupted) as caught:
        move(site, run, runs.FINISHED)

    assert caught.value.code == "run-lease-lost"
    with site.db.read() as rows:
        assert runs.get(rows, run.id) == taken
    assert move(site, taken, runs.FINISHED).state == runs.FINISHED


def test_the_run_of_a_killed_process_is_interrupted_at_the_first_look(site):
    living, dead = start(site), start(site, lease=dead_lease(site))
    with site.db.read() as rows:
        assert runs.any_dead(rows, site.clock.now_us())

    (found,) = site.db.write(lambda tx: runs.interrupt_dead(tx, site))

    assert (found.id, found.state) == (dead.id, runs.INTERRUPTED)
    assert str(dead.pid) in found.error
    with site.db.read() as rows:
        assert runs.get(rows, living.id).state == runs.RUNNING
        assert not runs.any_dead(rows, site.clock.now_us())
    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []


def test_a_run_on_another_host_is_dead_when_its_lease_is_over(site):
    run = start(site, lease=replace(take(site.clock.now_us(), 1, seconds=30), host="elsewhere"))
    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []

    site.clock.advance(31)

    assert [item.id for item in site.db.write(lambda tx: runs.interrupt_dead(tx, site))] == [run.id]


def test_a_renewed_lease_lasts_and_a_lost_one_cannot_be_renewed(site):
    lease = replace(take(site.clock.now_us(), 1, seconds=30), host="elsewhere")
    run = start(site, lease=lease)
    site.clock.advance(20)
    site.db.write(lambda tx: runs.renew(tx, run.id, replace(lease, expires_us=site.clock.now_us() + 30_000_000)))
    site.clock.advance(20)
    assert site.db.write(lambda tx: runs.interrupt_dead(tx, site)) == []

    site.clock.advance(20)
    resume(site, run)

    with pytest.raises(Interrupted):
        site.db.write(lambda tx: runs.renew(tx, run.id, lease))


def test_resuming_takes_the_run_over_with_the_next_fence(site):
    run = start(site, lease=dead_lease(site))

    taken = resume(site, run)

    assert (taken.state, taken.fence, taken.pid) == (runs.RUNNING, 2, os.getpid())
    assert (taken.ended_us, taken.error) == (None, "")
    assert kinds(site) == ["run.started", "run.interrupted", "run.resumed"]


def test_a_run_that_lives_or_is_over_is_not_taken_over(site):
    living, over = start(site), move(site, start(site), runs.FINISHED)

    for run, code in ((living, "run-held"), (over, "run-over")):
        with pytest.raises(Conflict) as caught:
            resume(site, run)
        assert caught.value.code == code


def test_the_same_command_finds_the_run_that_it_can_resume(site):
    run = start(site, args={"b": 1, "a": 2}, lease=dead_lease(site))
    command = {"pipeline": run.pipeline, "args": {"a": 2, "b": 1}, "code": run.code}
    with site.db.read() as rows:
        assert runs.resumable(rows, **command) is None, "it still counts as running"
    site.db.write(lambda tx: runs.interrupt_dead(tx, site))

    with site.db.read() as rows:
        assert runs.resumable(rows, **command).id == run.id
        assert runs.resumable(rows, **(command | {"args": {"a": 3, "b": 1}})) is None
        assert runs.resumable(rows, **(command | {"code": "sha256:" + "3" * 64})) is None


def test_people_find_a_run_by_id_name_or_beginning(site):
    run = start(site)
    site.clock.advance(7200)
    newer = start(site, name="train-1")

    with site.db.read() as rows:
        assert runs.find(rows, run.id) == run
        assert runs.find(rows, "train-1") == newer, "the newest of that name"
        assert runs.find(rows, run.id[:13]) == run
        for text in ("", "tra", "no-such", run.id[:13] + "zz", "%", "~"):
            with pytest.raises(NotFound):
                runs.find(rows, text)
        with pytest.raises(Conflict) as caught:
            runs.find(rows, run.id[:4])
    assert caught.value.code == "run-ambiguous"


def test_a_move_that_is_rolled_back_leaves_no_entry(site):
    run = start(site)

    def work(tx):
        runs.move(tx, site, run.id, runs.FINISHED, fence=run.fence)
        raise Conflict("planned", "planned")

    with pytest.raises(Conflict, match="planned"):
        site.db.write(work)

    assert kinds(site) == ["run.started"]
