"""What a command line answers, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropewalk import __version__
from ropewalk.cli import commands, main
from ropewalk.errors import Refused


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command_with_its_summary_and_an_example(words, capsys):
    status = main(words)

    text = capsys.readouterr().out
    assert status == 0
    assert "example: ropewalk " in text
    for command in commands.COMMANDS:
        assert f"  {command.name} " in text
        assert command.summary in text


def test_version_is_the_packages_own(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ropewalk {__version__}\n"


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_with_an_example_of_itself(command, capsys):
    status = main([command.name, "--help"])

    text = capsys.readouterr().out
    assert status == 0
    assert f"usage: ropewalk {command.name}" in text
    assert f"example:\n  ropewalk {command.name}" in text
    assert "--json" in text


def test_every_command_stands_under_a_heading_that_is_shown():
    assert {command.group for command in commands.COMMANDS} <= set(commands.GROUPS)


def test_help_before_a_command_is_the_help_of_that_command(capsys):
    main(["explain", "--help"])
    direct = capsys.readouterr().out

    assert main(["help", "explain"]) == 0
    assert capsys.readouterr().out == direct


def test_an_unknown_command_is_told_the_nearest_one(capsys):
    status = main(["explian"])

    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.splitlines() == [
        "error[command-unknown]: 'explian' is not a command.",
        "  where: ropewalk",
        "  why:   the nearest one is 'explain'",
        "  fix:   ropewalk explain --help",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "--no-such-option"],
        ["explain", "a", "b"],
        ["--no-such-option", "explain"],
        ["--json"],
        ["--project"],
    ],
)
def test_a_wrong_command_line_ends_in_four_lines_and_status_2(words, capsys):
    status = main(words)

    said = capsys.readouterr()
    text = json.loads(said.out)["error"]["code"] if said.out else said.err
    assert status == 2
    assert "usage" in text
    assert "Traceback" not in said.err


def test_the_command_that_an_error_suggests_works(capsys):
    main(["explian"])
    fix = capsys.readouterr().err.splitlines()[-1].removeprefix("  fix:   ropewalk ")

    assert main(fix.split()) == 0


@pytest.mark.parametrize("words", [["--json", "planted", "7"], ["planted", "--json", "7"], ["planted", "7", "--json"]])
def test_json_may_stand_before_or_after_the_command(words, plant, capsys):
    plant(lambda options, out: out.result({"rest": options.rest}))

    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {
        "command": "planted",
        "ok": True,
        "result": {"rest": ["7"]},
        "next": [],
    }


def test_options_may_stand_between_what_is_named(plant, capsys):
    plant(lambda options, out: out.result({"rest": options.rest}))

    assert main(["planted", "7", "--json", "8"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] == {"rest": ["7", "8"]}


def test_an_error_for_machines_is_one_object_on_stdout(plant, capsys):
    def refuse(options, out):
        out.line("halfway")
        raise Refused("gate-closed", "No.", where="stage 3", why="0.6 < 0.7", fix="ropewalk ship")

    plant(refuse)

    status = main(["planted", "--json"])

    said = capsys.readouterr()
    assert status == 1
    assert said.err == ""
    assert json.loads(said.out) == {
        "command": "planted",
        "ok": False,
        "error": {"code": "gate-closed", "what": "No.", "where": "stage 3", "why": "0.6 < 0.7", "fix": "ropewalk ship"},
    }


def test_the_status_of_a_command_is_the_status_of_the_process(plant):
    plant(lambda options, out: 3)

    assert main(["planted"]) == 3


def test_words_after_two_dashes_belong_to_the_other_program(plant, capsys):
    plant(lambda options, out: out.line(" ".join(options.rest)))

    assert main(["planted", "--", "train.py", "--json"]) == 0
    assert capsys.readouterr().out == "train.py --json\n"


@pytest.mark.parametrize("mark", ["ropewalk.toml", ".ropewalk"])
def test_the_project_is_the_nearest_folder_upwards_with_a_mark(mark, plant, tmp_path, monkeypatch):
    seen: list[Path] = []
    plant(lambda options, out: seen.append(options.project))
    (tmp_path / mark).mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    main(["planted"])
    main(["--project", str(deep), "planted"])
    main(["planted", "--project", ".."])

    assert seen == [tmp_path, deep, deep.parent]


def test_a_folder_without_a_mark_above_it_is_a_project_itself(plant, tmp_path, monkeypatch):
    seen: list[Path] = []
    plant(lambda options, out: seen.append(options.project))
    monkeypatch.chdir(tmp_path)

    main(["planted"])

    assert seen == [tmp_path]


def test_a_project_that_is_not_there_is_named_and_not_made(plant, tmp_path, capsys):
    plant(lambda options, out: None)

    status = main(["--project", str(tmp_path / "gone"), "planted"])

    assert status == 2
    assert "error[project-not-found]" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()
