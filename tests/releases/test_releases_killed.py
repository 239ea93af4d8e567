"""kill -9 at every stage of a walk: the same command finishes, and nothing is stored twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from releases.killed_ship import open_site
from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.ledger import chain
from ropewalk.ledger.sign import Checker
from ropewalk.releases import outcome, release, rollout, traffic, tree
from ropewalk.releases.line import ship
from ropewalk.releases.sqlmigrate import applied
from ropewalk.site import HIDDEN, Site

TESTS = Path(__file__).parent.parent
# Kills at each stage: two in the ordinary suite, ten in `make fault`.
KILLS = int(os.environ.get("ROPEWALK_KILLS", "2"))


@pytest.fixture
def server() -> Iterator[subprocess.Popen]:
    command = [sys.executable, TESTS / "releases" / "killed_ship.py"]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        yield process
        process.stdin.close()
        assert process.wait(30) == 0


def shipped(server: subprocess.Popen, root: Path, at: int = 0) -> tuple[int, list[int]]:
    """Ship in a child that kills itself at a step; return its status and the stage, by number, of each step."""
    server.stdin.write(f"{root} {at}\n")
    server.stdin.flush()
    status, *stages = map(int, server.stdout.readline().split())
    return status, stages


def kill_points(stages: list[int], stage: int) -> list[int]:
    """Return `KILLS` steps of a stage, from its first to its last, counted from 1; each once while there are enough."""
    own = [at for at, now in enumerate(stages, 1) if now == stage]
    spread = [own[turn * (len(own) - 1) // max(KILLS - 1, 1)] for turn in range(KILLS)]
    return [*dict.fromkeys(spread)] if len(own) >= KILLS else spread


@pytest.fixture
def project(site: Site) -> Path:
    """`flights/1` is live; a second version with a migration waits to be shipped."""
    make_project(site.root)
    make_version(site)
    ship(site, settings_of(), doors=Small(site=site).doors())
    make_project(
        site.root,
        {
            "migrations/0001_t.up.sql": "create table t (a integer);",
            "migrations/0001_t.down.sql": "drop table t;",
        },
    )
    make_version(site, slope=2.1)
    site.db.close()
    return site.root


def check(root: Path, whole: bool) -> Counter:
    """Look at a project from outside; return how often each fact was written about `flights/2`."""
    site = open_site(root)
    site.db.write(lambda tx: release.interrupt_dead(tx, site))
    with site.db.read() as reader:
        assert chain.first_break(reader, Checker(site.signer.public)) is None
        found = release.find(reader, "flights/2")
        stored = outcome.stages(reader, "flights/2")
        assert len({one.stage for one in stored}) == len(stored)
        assert all(one.holds and site.blobs.has(one.evidence) for one in stored)
        assert release.find(reader, "flights/3") is None
        now = traffic.current(reader, "flights")
        if found is not None:
            assert found.state != release.WALKING
            assert (found.state == "live") == (now.champion == "flights/2")
        if whole:
            assert [one.stage for one in stored] == list(outcome.STAGES)
            assert (now.champion, now.canary, now.generation) == ("flights/2", "", 4)
            assert [one.decision for one in rollout.decisions(reader, "flights/2")] == ["promote", "promote"]
            assert {tree.leaf(reader, name, "flights/2").bundle for name in ("dev", "release")} == {found.bundle}
            assert [one.release for one in applied(root / "app.db")] == ["flights/2"]
        written = Counter(
            (one.kind, str(one.facts().get("stage", "")))
            for one in chain.entries(reader)
            if one.subject in ("release:flights/2", "endpoint:flights")
        )
    site.db.close()
    return written


@pytest.mark.fault
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", range(len(outcome.STAGES)), ids=outcome.STAGES)
def test_a_walk_killed_in_a_stage_is_finished_by_the_same_command(
    server: subprocess.Popen, project: Path, tmp_path: Path, stage: int
) -> None:
    clean = shutil.copytree(project, tmp_path / "clean")
    status, stages = shipped(server, clean)
    assert status == 0
    wanted = check(clean, whole=True)
    points = kill_points(stages, stage)
    assert len(points) == KILLS

    for at in points:
        root = shutil.copytree(project, tmp_path / f"at-{at}", dirs_exist_ok=True)
        assert shipped(server, root, at)[0] == -9, at
        check(root, whole=False)

        assert shipped(server, root)[0] == 0, at

        written = check(root, whole=True)
        again = ("release.interrupted", ""), ("release.walking", "")
        assert {key: count for key, count in written.items() if key not in again} == wanted, at
        shutil.rmtree(root)


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_a_walk_killed_again_and_again_gets_there(server: subprocess.Popen, project: Path, tmp_path: Path) -> None:
    kills = 0
    while shipped(server, project, 12 + kills)[0] == -9:
        kills += 1
        check(project, whole=False)
        assert kills < 60

    check(project, whole=True)

    assert kills >= 3
    assert (project / HIDDEN).exists()
