"""The stock client is let in by user and password or by token, as its documentation says, and by nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.cli import main
from ropewalk.demo.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("examples"),
    pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow"),
]
PASSWORD = "correct horse battery staple 7"


def tried(folder: Path, url: str, attempts: list[dict[str, str]]) -> list[str]:
    """What the stock client could do, with each set of variables."""
    done = subprocess.run(
        [str(stock.python("mlflow")), str(Path(__file__).parent / "guarded.py")],
        cwd=folder,
        env=stock.surroundings(url, {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}),
        input=json.dumps(attempts),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def of(name: str, word: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": word}


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    """A project with one user who may write, Ann, and one who may only read, Bob."""
    root = tmp_path / "lab"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "lab"\n[auth]\nenabled = true\n')
    for name, role in (("ann", "admin"), ("bob", "viewer")):
        words = [sys.executable, "-m", "ropewalk", "--project", str(root), "user"]
        subprocess.run([*words, "add", name], input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        subprocess.run([*words, "grant", name, role], check=True, capture_output=True)
    return root


def test_password_and_token_let_in_and_nothing_else_does(guarded, tmp_path, capsys):
    capsys.readouterr()
    words = ["--project", str(guarded), "--json", "token", "create", "--user", "ann", "--role", "developer"]
    assert main(words) == 0
    token = json.loads(capsys.readouterr().out)["result"]["token"]

    with Server(guarded, 0) as server:
        found = tried(
            tmp_path,
            server.url,
            [
                of("ann", PASSWORD),
                {"MLFLOW_TRACKING_TOKEN": token},
                of("bob", PASSWORD),
                {},
                {"MLFLOW_TRACKING_TOKEN": "rw_nobody"},
                of("ann", "guessed"),
            ],
        )

    assert found[:2] == ["written", "written"]
    assert found[2] == "read PERMISSION_DENIED"
    assert not any("read" in one or "written" in one for one in found[3:])
