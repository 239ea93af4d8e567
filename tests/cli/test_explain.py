"""What `ropewalk explain` says, and that it says something of every code."""

from __future__ import annotations

import json

from ropewalk.cli import main
from ropewalk.cli.explain import explanations


def test_a_code_is_explained_by_what_stands_under_its_heading(capsys):
    assert main(["explain", "command-unknown"]) == 0
    assert capsys.readouterr().out == f"command-unknown\n\n{explanations()['command-unknown']}\n"


def test_without_a_code_all_are_listed_with_their_first_sentence(capsys):
    main(["--json", "explain"])

    answer = json.loads(capsys.readouterr().out)
    assert set(answer["result"]) == set(explanations())
    assert answer["next"] == ["ropewalk explain CODE"]
    assert all(text.strip() for text in answer["result"].values())


def test_a_mistyped_code_is_told_the_nearest_and_that_works(capsys):
    status = main(["explain", "comand-unknown"])

    fix = capsys.readouterr().err.splitlines()[-1]
    assert status == 1
    assert fix == "  fix:   ropewalk explain command-unknown"
    assert main(fix.split("ropewalk ")[1].split()) == 0


def test_no_heading_is_empty_and_none_stands_twice():
    text = explanations()

    assert all(body for body in text.values())
    assert len(text) > 5
