"""Every command's answer to a machine, and every error's way out, on the shipped project."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from ropewalk.cli import commands, main
from ropewalk.cli.explain import explanations

ANSWERS = (
    ["plan"],
    ["why", "fit"],
    ["runs"],
    ["runs", "train-1"],
    ["diff", "train-1", "train-1"],
    ["data"],
    ["data", "profile", "rows.parquet"],
    ["data", "contract", "rows.parquet"],
    ["ship"],
    ["status"],
    ["verify"],
    ["explain"],
    ["init", "other"],
    ["restore", "train-1", "--into", "back"],
    ["batch", "rows.parquet", "--into", "scored.csv"],
)
# What is typed, the error that it ends in, and the first words of the way out.
ERRORS = (
    (["runs", "no-such"], "run-not-found"),
    (["runs", "--filter", "x ="], "filter-invalid"),
    (["diff", "train-1", "no-such"], "run-not-found"),
    (["why", "no-such"], "step-not-found"),
    (["restore", "train-1"], "usage"),
    (["data", "profile"], "data-file-not-found"),
    (["data", "profile", "gone.csv"], "data-file-not-found"),
    (["data", "check", "rows.parquet", "--contract", "gone.toml"], "data-file-not-found"),
    (["data", "profile", "broken.csv"], "data-file-broken"),
    (["batch", "rows.parquet", "--into", "gone/x.csv"], "data-file-not-found"),
    (["batch", "gone.parquet", "--into", "x.csv"], "data-file-not-found"),
    (["approve", "churn/9"], "release-not-found"),
    (["approve", "churn/1"], "approval-own"),
    (["promote", "churn/1"], "not-a-canary"),
    (["rollback"], "nothing-to-roll-back"),
    (["ship", "--release", "churn/9"], "release-not-found"),
    (["ship", "churn/99"], "model-not-found"),
    (["up", "--port", "70000"], "usage"),
    (["explain", "no-such-code-at-all"], "code-unknown"),
    (["statu"], "command-unknown"),
)


@pytest.fixture(scope="module")
def here(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped project with a table of rows, for tests that leave it as it is or add to it."""
    import shutil

    import polars as pl

    root = Path(shutil.copytree(shipped, tmp_path_factory.mktemp("here") / "churn"))
    rows = pl.DataFrame(json.loads(_rows(root)))
    rows.write_parquet(root / "rows.parquet")
    (root / "broken.csv").write_text('a,b\n1,2,3,4\n"')
    return root


def _rows(root: Path) -> str:
    from ropewalk.cli.project import endpoint_of
    from ropewalk.house import open_house

    with open_house(root) as house:
        return json.dumps([endpoint_of(house.site, "churn", "production")[1]] * 3)


@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_a_machine_gets_one_object_with_the_same_fields_from_every_command(words, here, monkeypatch, capsys):
    monkeypatch.chdir(here)

    status = main([*words, "--json"])

    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert status == 0
    assert set(answer) == {"command", "ok", "result", "next"}
    assert answer["command"] == words[0]
    assert answer["ok"] is True
    assert answer["result"] is not None
    assert all(line.startswith(("ropewalk ", "cd ", "ls ", "pip ")) for line in answer["next"])
    assert said.err == ""


@pytest.mark.parametrize(("words", "code"), ERRORS, ids=[" ".join(words) for words, _ in ERRORS])
def test_an_error_has_a_code_that_is_explained_and_its_way_out_works(words, code, here, monkeypatch, capsys):
    monkeypatch.chdir(here)

    status = main(words)

    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert status == (2 if code in ("usage", "command-unknown") else 1)
    head = next(number for number, line in enumerate(lines) if line.startswith("error["))
    assert lines[head].startswith(f"error[{code}]: ")
    assert 2 <= len(lines) - head <= 4
    assert code in explanations()
    fix = lines[-1].removeprefix("  fix:   ")
    assert fix != lines[-1]
    assert _works(fix)


def _works(fix: str) -> bool:
    """Type a suggested command; what is no command, or has a part that only the reader knows, is taken as read."""
    if fix.startswith(("ls ", "head ", "mkdir ", "cat ")):
        return subprocess.run(shlex.split(fix), capture_output=True, check=False).returncode == 0
    if not fix.startswith("ropewalk ") or any(word.isupper() for word in fix.split()) or ">" in fix.split():
        return True
    return main(shlex.split(fix)[1:]) == 0


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_a_command_in_a_folder_that_is_no_project_leaves_nothing_there(command, tmp_path, monkeypatch, capsys):
    words = {
        "sweep": ["depth=1"],
        "why": ["fit"],
        "diff": ["a", "b"],
        "restore": ["a", "--into", "x"],
        "approve": ["a/1"],
        "reject": ["a/1", "--note", "x"],
        "promote": ["a/1"],
        "batch": ["x.csv", "--into", "y.csv"],
        "blast-radius": ["a/1"],
        "client": ["python"],
        "rehearse": ["a/1"],
        "report": ["revenue", "1", "--prediction", "x"],
        "trace": ["x"],
        "replay": ["x"],
        "import": ["mlflow", "x"],
        "export": ["mlflow", "y"],
        "step": ["fit", "--run", "airflow:train/1"],
    }
    if command.name in ("init", "demo", "explain", "up", "spool"):
        pytest.skip("works anywhere")
    monkeypatch.chdir(tmp_path)

    status = main([command.name, *words.get(command.name, [])])

    error = capsys.readouterr().err
    assert status == 1
    assert ("fix:   ropewalk init" in error) == (command.name not in ("batch", "import"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_system_refuses_is_named_without_a_traceback(plant, tmp_path, capsys):
    def read_a_folder(options, out):
        tmp_path.read_bytes()

    plant(read_a_folder)

    assert main(["planted"]) == 1

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error[file-refused]: The system refused a file."
    assert lines[2] == "  why:   Is a directory"
    assert _works(lines[3].removeprefix("  fix:   "))
