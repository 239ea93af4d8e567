"""Users and tokens from the terminal, and a server that asks: as a process, on a socket, with TLS."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import signal
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.cli import main
from ropewalk.cli.logline import FOLLOWS, FORM, Escaped

PASSWORD = "correct horse battery"
Type = Callable[..., dict[str, Any]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "churn"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "churn"\n')
    return root


@pytest.fixture
def typed(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Return what types a command and reads the machine's answer."""

    def typing(*words: str, stdin: str = "") -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        main(["--project", str(root), "--json", *words])
        return json.loads(capsys.readouterr().out)

    return typing


def test_a_user_is_added_given_a_role_and_shown(typed: Type) -> None:
    added = typed("user", "add", "ann@example.org", stdin=PASSWORD + "\nnot this\n")
    typed("user", "add", "ci", "--service")
    typed("user", "grant", "ann@example.org", "developer", "--environment", "dev")
    granted = typed("user", "grant", "ann@example.org", "viewer")
    typed("user", "revoke", "ann@example.org", "viewer")
    typed("user", "disable", "ci")

    listed = typed("user")["result"]
    assert added["result"] == {"name": "ann@example.org", "kind": "person", "state": "active"}
    assert len(granted["result"]["roles"]) == 2
    assert listed == [
        {
            "name": "ann@example.org",
            "kind": "person",
            "state": "active",
            "roles": [{"role": "developer", "project": "*", "environment": "dev"}],
        },
        {"name": "ci", "kind": "service", "state": "disabled", "roles": []},
    ]


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(typed: Type, root: Path) -> None:
    typed("user", "add", "ci", "--service")
    made = typed("token", "create", "--user", "ci", "--role", "developer", "--days", "30", "--note", "nightly")[
        "result"
    ]
    before = typed("token", "list", "--user", "ci")
    revoked = typed("token", "revoke", made["id"])
    after = typed("token")

    assert made["token"].startswith("rw_")
    assert made["token"] not in json.dumps([before, revoked, after])
    assert made["token"].encode() not in (root / ".ropewalk" / "ropewalk.db").read_bytes()
    assert (before["result"][0]["state"], after["result"][0]["state"]) == ("valid", "revoked")


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        (["user", "add", "ann"], "", "password-unfit"),
        (["user", "add", "ann"], "short\n", "password-unfit"),
        (["user", "add"], "", "usage"),
        (["user", "grant", "ann"], "", "usage"),
        (["user", "list", "ann"], "", "usage"),
        (["user", "add", "a:b"], PASSWORD, "user-name-invalid"),
        (["user", "add", "ann", "--password", PASSWORD], "", "usage"),
        (["user", "password", "nobody"], PASSWORD, "user-not-found"),
        (["user", "grant", "nobody", "viewer"], "", "user-not-found"),
        (["token", "create"], "", "usage"),
        (["token", "create", "--user", "nobody"], "", "user-not-found"),
        (["token", "revoke"], "", "usage"),
        (["token", "revoke", "0123456789ab"], "", "token-not-found"),
        (["up", "--host", "0.0.0.0"], "", "auth-missing"),
        (["up", "--host", "::"], "", "auth-missing"),
        (["up", "--host", "0.0.0.0", "--auth"], "", "tls-missing"),
        (["up", "--auth"], "", "users-none"),
        (["up", "--tls-cert", "cert.pem"], "", "tls-unreadable"),
        (["up", "--tls-cert", "gone.pem", "--tls-key", "gone.pem"], "", "tls-unreadable"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_refused_and_nothing_listens(typed: Type, words: list[str], stdin: str, code: str) -> None:
    answer = typed(*words, stdin=stdin)

    assert answer["ok"] is False
    assert answer["error"]["code"] == code
    assert answer["error"]["fix"]


def test_nothing_is_made_in_a_folder_that_is_no_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = (["user"], ["token"], ["user", "add", "ci", "--service"], ["up", "--host", "0.0.0.0"], ["up", "--auth"])
    for words in refused:
        assert main(["--project", str(tmp_path), *words]) == 1

    assert list(tmp_path.iterdir()) == []


def test_what_callers_wrote_cannot_begin_a_line_of_the_log_or_move_the_cursor() -> None:
    told = "runs/x\r\n2026-01-01 00:00:00 CRITICAL root all is well\x1b[2J"
    record = logging.LogRecord("ropewalk", logging.ERROR, "app.py", 1, "internal error at %s", (told,), None)

    lines = Escaped(FORM).format(record).split("\n")

    assert len(lines) == 2
    assert lines[1].startswith(FOLLOWS)
    assert "\x1b" not in "".join(lines)
    assert "\r" not in "".join(lines)


def test_files_with_secrets_are_for_their_owner_alone(typed: Type, root: Path) -> None:
    old = os.umask(0)
    try:
        typed("user", "add", "ann", stdin=PASSWORD)
    finally:
        os.umask(old)

    hidden = root / ".ropewalk"
    wrong = [path.name for path in (hidden, *hidden.rglob("*")) if path.stat().st_mode & 0o077]
    assert hidden.stat().st_mode & 0o077 == 0
    assert set(wrong) <= {"ledger.pub", "ledger.head", "blobs"}, "in a folder that is the owner's alone, and no secrets"


def certified(root: Path) -> list[str]:
    """Make a certificate for localhost; return the options that name it."""
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", str(root / "key.pem"), "-out", str(root / "cert.pem")]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return ["--tls-cert", str(root / "cert.pem"), "--tls-key", str(root / "key.pem")]


@pytest.mark.slow
def test_a_server_with_tls_asks_everybody_and_leaves_no_secret_in_its_log(typed: Type, root: Path) -> None:
    words = ["up", "--auth", "--port", "0", *certified(root)]
    typed("user", "add", "ann", stdin=PASSWORD)
    typed("user", "grant", "ann", "admin")
    secret = typed("token", "create", "--user", "ann", "--role", "admin")["result"]["token"]
    command = [sys.executable, "-m", "ropewalk", "--project", str(root), *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        port = int(first.rpartition(":")[2].strip().strip("/"))
        trusting = ssl.create_default_context(cafile=root / "cert.pem")

        def ask(path: str, given: str = "") -> tuple[int, str]:
            connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=trusting)
            connection.request("GET", path, headers={"Authorization": given} if given else {})
            answer = connection.getresponse()
            connection.close()
            return answer.status, answer.headers.get("Strict-Transport-Security", "")

        nobody = ask("/api/v1/runs")
        by_token = ask("/api/v1/runs", f"Bearer {secret}")
        by_password = ask("/api/v1/runs", "Basic " + b64encode(f"ann:{PASSWORD}".encode()).decode())
        wrong = ask("/api/v1/runs", "Basic " + b64encode(b"ann:wrong wrong wrong").decode())
        public = ask("/health")
    finally:
        server.send_signal(signal.SIGTERM)
        said = first + server.communicate(timeout=60)[0]

    assert first.startswith("console    https://")
    assert [status for status, _ in (nobody, by_token, by_password, wrong, public)] == [401, 200, 200, 401, 200]
    assert nobody[1].startswith("max-age=")
    for canary in (secret, PASSWORD, "wrong wrong wrong"):
        assert canary not in said
