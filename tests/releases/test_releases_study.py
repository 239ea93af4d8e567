"""The study in docs/ says what its command computes, keeps its promise, and its plots are whole."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "docs" / "canary-study.md"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("canary_study", ROOT / "bench" / "canary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(name: str) -> list[list[str]]:
    """Return the cells of a table of the study, its head first."""
    text = STUDY.read_text().split(f"<!-- {name} -->\n")[1].split("<!-- end -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_good_canaries_fall_in_at_most_alpha_of_ten_thousand(study: ModuleType) -> None:
    _, *rows = table("good")

    assert [row[:2] for row in rows] == [["1%", "10,000"], ["3%", "10,000"]]
    for row in rows:
        assert all(0 < float(cell.rstrip("%")) / 100 <= study.PLAN.alpha for cell in row[2:])


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_the_command_computes_what_the_study_says(study: ModuleType) -> None:
    _, *rows = table("rules")
    assert [row[0] for row in rows] == list(study.RULES)

    for row in rows:
        if row[0] in (study.OURS, study.PAIRED):
            continue  # as often as the command plays them, these take a minute
        share, minute = study.share_and_median(study.play(row[0], (0.01, 0.02), 10_000))
        assert row[3] == f"{share:.1%} ({minute:.1f})"


def test_it_is_before_the_plain_process_and_blames_fewer_than_thresholds_near_the_base_rate() -> None:
    shares = {row[0]: [float(cell.split("%")[0]) for cell in row[1:]] for row in table("rules")[1:]}
    ours, paired = shares["Ropewalk, split 450 + 50"], shares["Ropewalk, shadow of 500"]

    assert all(
        mine >= plain for mine, plain in zip(ours[2:], shares["plain two-proportion e-process"][2:], strict=True)
    )
    assert max(ours[:2] + paired[:2]) <= 5
    # Each rule of the field blames a good candidate at one of the two base rates, or misses most of the small harm.
    peers = [found for name, found in shares.items() if not name.startswith(("Ropewalk", "plain"))]
    assert all(max(found[:2]) > 25 or found[2] < 50 for found in peers)


def test_a_quick_run_fills_every_mark_and_writes_nothing(study: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    before = STUDY.read_bytes()

    study.main(50, quick=True)

    assert "50 canaries a cell" in capsys.readouterr().out
    assert STUDY.read_bytes() == before


@pytest.mark.parametrize("name", ["canary-found.svg", "canary-false.svg"])
def test_each_plot_stands_alone_with_a_curve_for_each_rule(study: ModuleType, name: str) -> None:
    text = (ROOT / "docs" / name).read_text()

    curves = [one for one in ET.fromstring(text).iter() if one.tag.endswith("polyline")]

    assert len(curves) == 2 * len(study.RULES)
    assert f"]({name})" in STUDY.read_text()
    assert re.findall(r"<script|href=|class=", text) == []
