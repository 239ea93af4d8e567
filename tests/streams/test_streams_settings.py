from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from ropewalk.errors import Invalid
from ropewalk.parts import Stream
from ropewalk.settings import Settings
from ropewalk.streams.connect import address
from ropewalk.streams.consume import identity
from ropewalk.streams.message import Message
from ropewalk.streams.outcome import as_bytes, as_text

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "streaming.md"


def message(body: bytes = b"{}", **headers: str) -> Message:
    return Message(id="", position="", body=body, headers=headers, token=None)


def test_what_the_guide_sets_is_a_stream() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)

    assert [one.name for text in blocks for one in msgspec.toml.decode(text, type=Settings).streams] == ["scores"]


def test_a_password_or_an_unknown_broker_is_refused_and_a_variable_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="password"):
        address(Stream(name="a", broker="amqp://me:secret@host/", topic="t"))
    with pytest.raises(Invalid, match="No such broker"):
        address(Stream(name="a", broker="http://host", topic="t"))

    monkeypatch.setenv("ROPEWALK_STREAM_A_B", "nats://u:p@host")
    assert address(Stream(name="a.b", broker="", topic="t")) == "nats://u:p@host"


def test_a_message_is_named_by_header_or_member_or_refused() -> None:
    assert identity(message(b'{"order": 7}'), "order") == "7"
    assert identity(message(order="x"), "header:order") == "x"
    for wanted in ("", "order", "header:order"):
        with pytest.raises(Invalid, match="same when it comes again"):
            identity(message(b"no JSON"), wanted)


@pytest.mark.parametrize("body", [b"{}", b"\xff\x00", b"base64:AA", "größe".encode(), b"a\0b"])
def test_a_body_is_kept_byte_for_byte(body: bytes) -> None:
    assert as_bytes(as_text(body)) == body
