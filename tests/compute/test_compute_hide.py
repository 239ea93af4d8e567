"""What a secret looks like when a program writes it: as it is, for JSON and addresses, in hex and in base64."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from ropewalk.compute.hide import hidden
from ropewalk.scripts.secrets import Secrets

SECRET = 'correct/horse "battery"'


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        json.dumps({"password": SECRET}),
        f"postgresql://me:{quote(SECRET, safe='')}@host/db",
        SECRET.encode().hex(),
        *(coded(f"{before}{SECRET}{after}") for before in ("", "u", "us", "user:") for after in ("", "x", "xy")),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(said):
    told = hidden({"log": [said]}, {"PASSWORD": SECRET})["log"][0]
    script = Secrets((), {"DB_PASSWORD": SECRET}).clean(said)

    for shown in (told, script):
        assert "***" in shown
        # At most what its neighbours share in is left at both ends.
        assert not any(part in shown for part in (SECRET, coded(SECRET)[4:-4], SECRET.encode().hex(), "horse"))


def test_a_short_secret_hides_no_more_than_itself():
    assert hidden("abcd and YWJj", {"PIN": "abcd"}) == "***** and YWJj"
