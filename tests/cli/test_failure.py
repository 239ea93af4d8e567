"""How commands end that nobody foresaw: a log for the maintainer, four lines for the reader."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ropewalk.cli import main


def stumble(options, out):
    secret_place = {}
    return secret_place["the-missing-key"]


def log_named_in(text: str) -> Path:
    found = re.search(r"where: (.+\.log)", text)
    assert found
    return Path(found[1])


def test_an_unforeseen_error_is_logged_whole_in_the_project_and_shown_by_its_id(plant, tmp_path, capsys):
    plant(stumble)
    (tmp_path / ".ropewalk").mkdir()

    status = main(["--project", str(tmp_path), "planted", "a b"])

    said = capsys.readouterr()
    log = log_named_in(said.err)
    assert status == 1
    assert len(said.err.splitlines()) == 4
    assert said.err.startswith("error[internal]: ")
    assert "Traceback" not in said.err
    assert "the-missing-key" not in said.err
    assert log.stem in said.err.splitlines()[2]
    assert log.parent == tmp_path / ".ropewalk" / "log"
    text = log.read_text()
    assert "KeyError: 'the-missing-key'" in text
    assert "in stumble" in text
    assert "planted 'a b'" in text


def test_the_log_can_be_read_by_its_user_alone(plant, tmp_path, capsys):
    plant(stumble)
    (tmp_path / ".ropewalk").mkdir()

    main(["--project", str(tmp_path), "planted"])

    log = log_named_in(capsys.readouterr().err)
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_no_project_is_not_made_one_by_an_error(plant, tmp_path, monkeypatch, capsys):
    plant(stumble)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()

    main(["planted"])

    assert log_named_in(capsys.readouterr().err).is_relative_to(tmp_path / "elsewhere")
    assert [one.name for one in tmp_path.iterdir()] == ["elsewhere"]


def test_machines_get_the_same_error_as_an_object(plant, tmp_path, capsys):
    plant(stumble)
    (tmp_path / ".ropewalk").mkdir()

    status = main(["--json", "--project", str(tmp_path), "planted"])

    error = json.loads(capsys.readouterr().out)["error"]
    assert status == 1
    assert error["code"] == "internal"
    assert Path(error["where"]).exists()


def test_ctrl_c_is_told_in_our_words_with_status_130(plant, capsys):
    def interrupted(options, out):
        raise KeyboardInterrupt

    plant(interrupted)

    assert main(["planted"]) == 130
    assert capsys.readouterr().err.startswith("error[interrupted]: ")


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\rb", "\x9b31m"])
def test_what_a_model_wrote_cannot_play_with_the_terminal(text, plant, capsys):
    plant(lambda options, out: (out.line(text), out.table(("x",), [(text,)]), out.next(text))[0])

    main(["planted"])

    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\r", "\x9b"}
    assert said.count("\\x") == 3
