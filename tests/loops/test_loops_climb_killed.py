"""kill -9 before and after each statement of a look: it is legal, never above the target, and the next look ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loops.killed_climber import open_site
from loops.rollouts import begin, with_plan
from observations.captured import ENDPOINT, capture
from ropewalk.ledger import chain
from ropewalk.ledger.sign import Checker
from ropewalk.loops.climb import Climb
from ropewalk.releases import release, rollout, traffic
from ropewalk.releases.rollout import Rollout
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

TESTS = Path(__file__).parent.parent
# Every place in `make fault`; in the ordinary suite around each commit and in the middle of the last transaction.
WHOLE = "ROPEWALK_KILLS" in os.environ
TALLIES = {"put", "observations.tally_put"}
# What the release may be while its rollout is what it is.
LEGAL = {"waiting": "canary", "climbing": "canary", "live": "live", "fallen": "fallen"}


def answers(site: Site, rollout: Rollout, *, failing: int = 0, rows: int = 304, parts: int = 1) -> None:
    """Let both arms answer at the present generation; so many of the canary's rows fail."""
    with site.db.read() as reader:
        here = traffic.current(reader, ENDPOINT)
    assert here is not None
    for _ in range(parts):
        capture(site, rollout.champion, 10 * rows // parts, generation=here.generation)
        own = rows // parts
        status = ["error"] * (failing // parts) + ["ok"] * (own - failing // parts)
        capture(site, rollout.release, own, role="canary", generation=here.generation, status=status)


def rises(site: Site, clock: SetClock) -> None:
    """The candidate takes the next weight; its tallies are kept too, since there are enough segments."""
    answers(site, begin(site, clock), parts=16)


def leaves_the_shadow(site: Site, clock: SetClock) -> None:
    """The candidate takes its first weight."""
    one = begin(site, clock, with_plan(shadow=True))
    ids = capture(site, one.champion, 150, generation=one.begun_generation)
    capture(site, one.release, 150, role="shadow", pair=ids, generation=one.begun_generation)


def becomes_champion(site: Site, clock: SetClock) -> None:
    """The candidate is at its last weight and takes everything."""
    one = begin(site, clock)
    answers(site, one)
    Climb(site).turn()
    answers(site, one)


def falls(site: Site, clock: SetClock) -> None:
    """The candidate fails every second request."""
    answers(site, begin(site, clock), failing=152)


def waits(site: Site, clock: SetClock) -> None:
    """There are too few rows."""
    answers(site, begin(site, clock), rows=20)


SCENES: dict[Callable[[Site, SetClock], None], tuple[str, int]] = {
    rises: ("climbing", 5000),
    leaves_the_shadow: ("climbing", 1000),
    becomes_champion: ("live", 10_000),
    falls: ("fallen", 0),
    waits: ("climbing", 1000),
}
State = tuple[str, int]


@pytest.fixture(scope="module")
def climber() -> Iterator[Callable[[Path, int, int], tuple[int, list[str]]]]:
    command = [sys.executable, TESTS / "loops" / "killed_climber.py"]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def look(root: Path, at_us: int, at: int = 0) -> tuple[int, list[str]]:
            process.stdin.write(f"{root} {at_us} {at}\n")
            process.stdin.flush()
            status, *names = process.stdout.readline().split()
            return int(status), names

        yield look
        process.stdin.close()
        assert process.wait(30) == 0


def check(root: Path, at_us: int) -> tuple[State, int, Counter]:
    """Look from outside; return where the rollout stands, how many decisions there are, and what the ledger counts."""
    site = open_site(root, at_us)
    with site.db.read() as reader:
        assert chain.first_break(reader, Checker(site.signer.public)) is None
        (one,) = rollout.of_endpoint(reader, ENDPOINT)
        now, made = traffic.current(reader, ENDPOINT), rollout.decisions(reader, one.release)
        state = release.get(reader, one.release).state
        written = Counter(entry.kind for entry in chain.entries(reader))
    assert now is not None
    assert state == LEGAL[one.state]
    # The traffic is what the rollout's state asks for, to the basis point.
    share = 10_000 if now.champion == one.release else now.canary_weight_bp
    assert share == one.weight_bp
    assert now.champion == (one.release if one.state == "live" else one.champion)
    assert now.canary == (one.release if one.state == "climbing" else "")
    assert now.shadow == (one.release if one.state == "waiting" else "")
    assert len(made) == one.decided
    assert all(site.blobs.has(decision.evidence) for decision in made)
    site.db.close()
    return (one.state, share), len(made), written


@pytest.fixture
def project(site: Site, clock: SetClock, request: pytest.FixtureRequest) -> Path:
    request.param(site, clock)
    site.db.close()
    return site.root


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize("project", SCENES, indirect=True, ids=lambda scene: scene.__name__)
def test_killed_before_or_after_any_statement_it_is_legal_and_the_next_look_ends_it(
    project: Path, climber, clock: SetClock, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    end, at_us = SCENES[request.node.callspec.params["project"]], clock.now_us()
    begin_, before, _ = check(project, at_us)
    clean = shutil.copytree(project, tmp_path / "clean")
    status, names = climber(clean, at_us)
    done = check(clean, at_us)
    assert (status, done[0], done[1]) == (0, end, before + 1)
    assert {"put", "commit", "releases.decision_insert"} <= set(names)
    # Tallies are kept one after the other, two steps around each put and each row: the first and last of them will do.
    places = [at for at in range(1, len(names) + 1) if not set(names[max(at - 6, 0) : at + 5]) <= TALLIES]
    if not WHOLE:
        commits = [at for at in places if names[at - 1] == "commit"]
        places = sorted({*commits, sum(commits[-2:]) // 2})

    for at in places:
        root = shutil.copytree(project, tmp_path / f"at-{at}")
        assert climber(root, at_us, at)[0] == -9, (at, names[at - 1])

        stands, made, _ = check(root, at_us)
        assert (stands, made) in ((begin_, before), (end, before + 1)), (at, names[at - 1])
        assert stands[1] <= max(begin_[1], end[1])

        if made == before:
            assert climber(root, at_us)[0] == 0
        assert check(root, at_us) == done, (at, names[at - 1])
        shutil.rmtree(root)


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize("project", [falls], indirect=True, ids=["falls"])
def test_killed_again_and_again_a_bad_candidate_falls_at_last(project: Path, climber, clock: SetClock) -> None:
    kills, at_us = 0, clock.now_us()
    while climber(project, at_us, 1 + 4 * kills)[0] == -9:
        kills += 1
        check(project, at_us)
        assert kills < 60

    assert check(project, at_us)[0] == ("fallen", 0)
    assert kills >= 5
