"""The pool on a real Ray cluster: what every pool must do, and what becomes of jobs when parts of a cluster die."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from compute.ray_cluster import family_of, processes, words_of
from ropewalk.compute import cluster as clusters
from ropewalk.compute import connection
from ropewalk.compute.cluster import RayPool
from ropewalk.compute.pool import Answer, Job, Lost, Needs
from ropewalk.errors import Missing, RopewalkError, Unavailable
from ropewalk.testing.pools import CHECKS

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.slow, pytest.mark.fault]
WORKER = "ropewalk.testing.pooled"
# Nodes take long to come: what costs most, or is seen by another check too, is left to `make fault`.
MORE = int(os.environ.get("ROPEWALK_KILLS", "1")) > 1
fault = pytest.mark.skipif(not MORE, reason="make fault")


def pool_on(address: str, folder: Path, **given) -> RayPool:
    log = folder / "logs" / "pool.log"
    return RayPool(WORKER, **{"address": address, "cwd": folder, "log": log, "workers_max": 2} | given)


@pytest.fixture
def pool(cluster, tmp_path):
    with pool_on(cluster.address, tmp_path) as pool:
        yield pool


def ended(pool, count: int = 1) -> list:
    found = []
    while len(found) < count:
        more = pool.wait(40)
        assert more, "nothing ended in time"
        found += more
    return found


def begun(pool, log: Path, word: str = "begun", count: int = 1) -> None:
    """Wait until a job has printed so."""
    until = time.monotonic() + 40
    while not (log.exists() and log.read_text().count(word) >= count):
        assert time.monotonic() < until, "it did not begin in time"
        assert pool.wait(0.05) == []


def guardian_of(cluster) -> int:
    """Return the process that keeps the one worker that there is."""
    workers = [pid for pid in processes() if WORKER.encode() in words_of(pid).split(b"\0")]
    parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in workers}
    (found,) = parents
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_pool_on_ray_conforms(check, cluster, tmp_path):
    check(lambda room: pool_on(cluster.address, tmp_path), tmp_path)


def test_a_worker_is_kept_for_the_next_job_and_let_go_for_one_of_other_needs(pool, tmp_path, monkeypatch):
    pool.warm(1)
    pool.submit(Job(id="a", message={"say": 1}))
    ended(pool)
    pool.submit(Job(id="b", message={"say": 2}))
    ended(pool)
    (first,) = pool._workers

    pool.submit(Job(id="c", message={"say": 3}, needs=Needs(cpu=2.0)))
    assert isinstance(ended(pool)[0], Answer)
    (second,) = pool._workers
    assert second is not first

    monkeypatch.setattr(clusters, "IDLE_SECONDS", 0.05)
    assert pool.wait(0.2) == []
    assert pool._workers == []


def test_a_job_whose_guardian_is_killed_begins_again_and_its_log_says_so(cluster, pool, tmp_path):
    gate, log = tmp_path / "gate", tmp_path / "logs" / "a.log"
    os.mkfifo(gate)
    pool.submit(Job(id="a", message={"print": "begun", "read": str(gate), "say": 5}, log=log))
    begun(pool, log)

    os.kill(guardian_of(cluster), signal.SIGKILL)
    begun(pool, log, count=2)
    gate.write_text("go")

    (ending,) = ended(pool)
    assert isinstance(ending, Answer)
    assert ending.message["said"] == 5
    assert "is gone" in log.read_text()


@fault
def test_a_job_whose_guardians_die_again_and_again_is_lost(cluster, pool, tmp_path):
    gate, log = tmp_path / "gate", tmp_path / "a.log"
    os.mkfifo(gate)
    pool.submit(Job(id="a", message={"print": "begun", "read": str(gate)}, log=log))

    for turn in range(1, clusters.AGAIN_MAX + 2):
        begun(pool, log, count=turn)
        os.kill(guardian_of(cluster), signal.SIGKILL)

    assert ended(pool) == [Lost(job="a", why="died", status=-signal.SIGKILL)]
    assert pool.free() == 2


@fault
def test_a_job_whose_node_dies_begins_again_on_another_one(cluster, tmp_path):
    gate, log = tmp_path / "gate", tmp_path / "a.log"
    os.mkfifo(gate)
    large = ["--num-cpus=1", f"--memory={2 << 30}"]  # more than the head has: it has to be one of these
    nodes = [cluster.join(*large), cluster.join(*large)]
    try:
        with pool_on(cluster.address, tmp_path) as pool:
            needs = Needs(memory_bytes=1536 << 20)
            pool.submit(Job(id="a", message={"print": "begun", "read": str(gate), "say": 6}, log=log, needs=needs))
            begun(pool, log)
            guardian = guardian_of(cluster)
            (dead,) = [node for node in nodes if guardian in family_of(node.pid)]

            cluster.kill(dead)
            begun(pool, log, count=2)
            gate.write_text("go")

            assert ended(pool) == [Answer(job="a", message={"said": 6, "environ": {}})]
            assert guardian_of(cluster) != guardian
    finally:
        for node in nodes:
            if node.returncode is None:
                cluster.kill(node)


@fault
def test_a_killed_owner_leaves_no_process_on_the_nodes(cluster, tmp_path):
    told = tmp_path / "told"
    os.mkfifo(told)
    script = f"""
    from pathlib import Path
    from ropewalk.compute.cluster import RayPool
    from ropewalk.compute.pool import Job
    here = Path({str(tmp_path)!r})
    pool = RayPool({WORKER!r}, address={cluster.address!r}, cwd=here, log=here / "pool.log", workers_max=1)
    pool.submit(Job(id="a", message={{"daemon": {str(told)!r}}}))
    pool.wait(None)
    """
    owner = subprocess.Popen([sys.executable, "-c", dedent(script)])
    pids = [int(pid) for pid in told.read_text().split()]
    watched = [os.pidfd_open(pid) for pid in [*pids, guardian_of(cluster)]]

    owner.kill()
    owner.wait()

    for handle in watched:
        assert select.select([handle], [], [], 30)[0], "it outlived the owner"
        os.close(handle)


def test_a_node_that_does_not_see_the_folder_is_refused_where_nothing_can_be_fetched(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "make_token", lambda folder: (folder / "none", "text"))
    with pool_on(cluster.address, tmp_path) as pool:
        pool.submit(Job(id="a", message={"say": 1}))
        with pytest.raises(Unavailable) as caught:
            ended(pool)

    assert caught.value.code == "ray-node-without-project"
    assert "[blobs] url" in caught.value.fix


def test_what_a_job_prints_on_a_node_that_does_not_see_the_folder_comes_over_while_it_runs(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(clusters, "make_token", lambda folder: (folder / "none", "text"))
    gate, log = tmp_path / "gate", tmp_path / "deep" / "a.log"
    os.mkfifo(gate)
    log.parent.mkdir()
    log.write_text("before\n")
    with pool_on(cluster.address, tmp_path, anywhere=True) as pool:
        job = {"print": "begun with secret-5521", "read": str(gate), "environ": ["WORD", "HOME", "GIVEN"]}
        pool.submit(Job(id="a", message=job, log=log, secrets={"WORD": "secret-5521"}))
        begun(pool, log)
        gate.write_text("go")
        (ending,) = ended(pool)

    assert isinstance(ending, Answer)
    assert ending.message["environ"]["WORD"] == "*****"
    assert log.read_text() == "before\nbegun with *****\n"


@fault
def test_variables_are_set_and_unset_for_workers(cluster, tmp_path, monkeypatch):
    with pool_on(cluster.address, tmp_path, environ={"GIVEN": "ä b", "HOME": None}) as pool:
        pool.submit(Job(id="a", message={"environ": ["GIVEN", "HOME"]}))
        (ending,) = ended(pool)

    assert isinstance(ending, Answer)
    assert ending.message["environ"] == {"GIVEN": "ä b", "HOME": None}


def test_an_address_where_nobody_listens_is_refused_with_what_to_do(tmp_path):
    with pool_on("127.0.0.1:1", tmp_path) as pool, pytest.raises(Unavailable) as caught:
        pool.free()

    assert caught.value.code == "ray-unreachable"
    assert "ray start --head" in caught.value.fix
    assert "refused" in caught.value.why


@fault
def test_a_server_that_is_no_cluster_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pool_on(address, tmp_path) as pool, pytest.raises(Unavailable) as caught:
            pool.free()

    assert caught.value.code == "ray-unreachable"
    assert "2 s" in caught.value.why


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(Missing) as caught:
        pool_on("auto", tmp_path)

    assert caught.value.fix == 'pip install "ropewalk[ray]"'


@fault
def test_a_cluster_that_is_lost_interrupts_what_runs(cluster, pool, tmp_path):
    gate, log = tmp_path / "gate", tmp_path / "a.log"
    os.mkfifo(gate)
    pool.submit(Job(id="a", message={"print": "begun", "read": str(gate)}, log=log))
    begun(pool, log)

    pool._link.process.kill()  # as Ray itself does when the head has not answered for a minute

    with pytest.raises(RopewalkError) as caught:
        ended(pool)
    assert caught.value.code == "ray-lost"
