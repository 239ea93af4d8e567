"""`promote --plan` and `report` as they are typed, and the guide to canaries, which is typed as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from loops.rollouts import begin
from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.cli import main
from ropewalk.ledger import chain
from ropewalk.observations import reports
from ropewalk.refs import canonical
from ropewalk.releases import rollout, traffic
from ropewalk.releases.design import Baseline, design
from ropewalk.settings import Canary, Settings
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "canary.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
TOML = next(text for language, text in BLOCKS if language == "toml")
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """Type a command in the test's project; status and what was printed, of `--json` the first stream alone."""
    (site.root / "ropewalk.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> tuple[int, str]:
        status = main(["--project", str(site.root), *words])
        said = capsys.readouterr()
        return int(status or 0), said.out + ("" if "--json" in words else said.err)

    return say


def answered(site: Site, clock: SetClock) -> list[str]:
    """Let a champion answer 2,000 rows in a hundred seconds, one in a hundred of them badly; return the last ids."""
    champion = make_release(site)
    set_traffic(site, champion)
    ids: list[str] = []
    for _ in range(5):
        clock.advance(25)
        status = ["error"] * 4 + ["ok"] * 396
        ids = capture(site, champion, 400, probability=[0.1, 0.3] * 200, status=status)
    return ids


def test_the_plan_of_the_next_release_is_what_the_judge_expects_and_changes_nothing(
    site: Site, clock: SetClock, say: Say
) -> None:
    answered(site, clock)
    with site.db.read() as reader:
        before = len(list(chain.entries(reader)))

    status, said = say("promote", "--plan", "--json")

    found = json.loads(said)["result"]
    plan = msgspec.toml.decode(TOML, type=Settings).canary
    wanted = design(plan, msgspec.convert(found["baseline"], type=Baseline))
    assert status == 0
    assert (found["release"], found["champion"], found["weight_bp"]) == ("", "flights/1", None)
    assert (found["baseline"]["rows"], found["baseline"]["errors"], found["baseline"]["per_second"]) == (2000, 0.01, 20)
    assert [step["rows"] for step in found["steps"]] == [step.rows for step in wanted.steps]
    assert [step["bake_seconds"] for step in found["steps"]] == [600.0, 3600.0]
    assert [step["seconds"] >= step["bake_seconds"] for step in found["steps"]] == [True, True]
    assert (found["smallest"], found["harmed_max"]) == (wanted.smallest, 50)
    assert [one["rows"] for one in found["finds"]] == [one.rows for one in wanted.finds]
    with site.db.read() as reader:
        assert len(list(chain.entries(reader))) == before


def test_the_plan_of_a_canary_is_the_one_that_was_said_when_it_began(site: Site, clock: SetClock, say: Say) -> None:
    made = design(Canary(weights=(10.0, 50.0), shadow=True), Baseline(rows=77, errors=0.5))
    digest = site.blobs.put(canonical(made.record("flights/2", "flights/1")))
    one = begin(site, clock, Canary(weights=(10.0, 50.0), shadow=True), design=digest)

    status, said = say("promote", one.release, "--plan")

    assert status == 0
    assert "it is at the shadow; `ropewalk promote flights/2` skips what it has not shown yet, 3 rises" in said
    assert "computed from 77 rows of the champion" in said
    assert "bakes" not in said
    with site.db.read() as reader:
        assert rollout.find(reader, one.release).champion == traffic.current(reader, ENDPOINT).champion


def test_a_plan_of_nothing_is_refused_with_what_to_do(site: Site, clock: SetClock, say: Say) -> None:
    status, said = say("promote")
    assert (status, "fix:   ropewalk promote --plan" in said) == (2, True)

    status, said = say("promote", "--plan")
    assert (status, "no-champion" in said) == (1, True)

    one = begin(site, clock)
    assert say("promote", one.release, "--plan")[0] == 0
    assert say("promote", one.release)[0] == 0
    status, said = say("promote", one.release, "--plan")
    assert (status, "not-a-canary" in said, "it is live" in said) == (1, True, True)

    (site.root / "ropewalk.toml").write_text(TOML.replace("rows_min = 200", "rows_min = 0"))
    status, said = say("promote", "--plan")
    assert (status, "canary-without-gate" in said) == (1, True)


def reported(site: Site) -> dict[str, float]:
    with site.db.read() as reader:
        found = reports.read(reader, ENDPOINT, "revenue", since_us=0, until_us=1 << 62)
    return dict(found.iter_rows())


def test_a_report_is_kept_once_and_revised_by_a_later_one(site: Site, clock: SetClock, say: Say) -> None:
    one, two, *_ = answered(site, clock)

    words = ("report", "revenue", "12.5", "--prediction", one)
    assert [json.loads(say(*words, "--json")[1])["result"]["new"] for _ in range(2)] == [1, 0]
    Path("more.ndjson").write_text(
        "\n".join(json.dumps({"id": at, "value": 3, "time": "2099-01-01T00:00:00Z"}) for at in (one, two))
    )
    status, said = say("report", "revenue", "--file", "more.ndjson", "--json")

    found = json.loads(said)["result"]
    assert status == 0
    assert found == {"endpoint": ENDPOINT, "metric": "revenue", "new": 1, "revised": 1, "repeated": 0}
    assert reported(site) == {one: 3.0, two: 3.0}


ID = "019b76dc-2ea0-7000-9928-a7552b51cbcb"
WRONG = {
    "id,amount\na,1\n": "it has no column value",
    f"id,value\n{ID},\n{ID},many\n": "2 of its ids and values are empty or no numbers",
    f"id,value,time\n{ID},1,yesterday\n": "found 'yesterday'",
    "id,value\nnot-an-id,1\n": "'not-an-id' is no id of a prediction",
    f"id,value\n{ID},inf\n": "its value is not a finite number",
}


@pytest.mark.parametrize("text", WRONG, ids=WRONG.values())
def test_a_file_with_one_wrong_report_is_refused_whole(site: Site, clock: SetClock, say: Say, text: str) -> None:
    one, *_ = answered(site, clock)
    lines = text.splitlines()
    if lines[0].count(",") == lines[-1].count(",") and "value" in lines[0]:
        lines.insert(1, f"{one},1" + ",2099-01-01T00:00:00Z" * (lines[0].count(",") - 1))
    Path("wrong.csv").write_text("\n".join(lines))

    status, said = say("report", "revenue", "--file", "wrong.csv")

    assert (status, "report-malformed" in said, WRONG[text] in said) == (1, True, True), said
    assert reported(site) == {}


def test_a_report_needs_something_to_report_and_an_endpoint(site: Site, clock: SetClock, say: Say) -> None:
    status, said = say("report", "revenue", "1", "--prediction", ID)
    assert (status, "endpoint-not-found" in said) == (1, True)

    answered(site, clock)
    for words in (("revenue",), ("revenue", "1"), ("revenue", "--prediction", ID)):
        status, said = say("report", *words)
        assert (status, "it needs --file, or a value and --prediction" in said) == (1, True), said
    assert say("report", "revenue", "1", "--prediction", ID, "--environment", "staging")[0] == 1


def test_what_the_guide_types_prints_what_it_says(site: Site, clock: SetClock, say: Say) -> None:
    ids = answered(site, clock)
    Path("sales.csv").write_text("\n".join(["id,value", *(f"{one},{at}.5" for at, one in enumerate(ids[:3]))]))
    typed = [part for language, text in BLOCKS if language == "console" for part in text.split("$ ropewalk ")[1:]]
    assert len(typed) == 6

    for number, (command, *wanted) in enumerate(part.splitlines() for part in typed):
        if number == 3:
            plan = msgspec.toml.decode(TOML, type=Settings).canary
            begin(site, clock, plan, champion="flights/1")
        quoted = re.findall(r'"([^"]*)"|(\S+)', command)
        status, said = say(*(text or word for text, word in quoted))
        assert status == 0, said
        assert [line for line in wanted if line not in said] == [], said


def test_what_the_guide_sets_are_settings() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "toml"}
    assert msgspec.toml.decode(TOML, type=Settings).canary.bake_seconds == (600.0, 3600.0)
