"""Keys are private files, and an envelope holds only with the signature of the project."""

import base64
import json
import stat

import pytest

from ropewalk.errors import Corrupt, NotFound
from ropewalk.ledger.sign import Checker, Signer, seal, unseal

KIND = "application/vnd.in-toto+json"


@pytest.fixture
def signer(tmp_path):
    return Signer.create(tmp_path / "keys")


def test_the_private_key_is_readable_by_its_owner_alone(signer, tmp_path):
    assert stat.S_IMODE((tmp_path / "keys" / "ledger.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert (tmp_path / "keys" / "ledger.pub").read_text().strip() == signer.public


def test_making_the_key_again_keeps_the_one_that_is_there(signer, tmp_path):
    assert Signer.create(tmp_path / "keys").public == signer.public


def test_a_missing_key_is_named_with_what_to_do(tmp_path):
    with pytest.raises(NotFound) as caught:
        Signer(tmp_path / "ledger.key").sign(b"x")

    assert caught.value.code == "key-not-found"
    assert "copy" in caught.value.fix


def test_a_signature_holds_for_its_message_alone(signer):
    checker = Checker(signer.public)
    signature = signer.sign(b"message")

    assert checker.matches(signature, b"message")
    assert not checker.matches(signature, b"messagf")
    assert not checker.matches(f"{int(signature, 16) ^ 1:0128x}", b"message")
    assert not checker.matches(signature.upper(), b"message")
    assert not checker.matches(f" {signature}", b"message")
    assert not checker.matches("no hex", b"message")
    assert not checker.matches("", b"message")


def test_an_envelope_gives_its_statement_back(signer):
    statement = {"subject": [{"digest": "x"}], "ü": 1.5}

    assert unseal(Checker(signer.public), seal(signer, KIND, statement)) == (KIND, statement)


def test_the_signed_bytes_are_those_of_dsse(signer):
    """https://github.com/secure-systems-lab/dsse/blob/master/protocol.md#signature-definition"""
    whole = json.loads(seal(signer, KIND, {"a": 1}))
    payload = base64.b64decode(whole["payload"])
    message = (
        b"DSSEv1 " + str(len(KIND)).encode() + b" " + KIND.encode() + b" " + str(len(payload)).encode() + b" " + payload
    )
    signature = base64.b64decode(whole["signatures"][0]["sig"]).hex()

    assert Checker(signer.public).matches(signature, message)
    assert payload == b'{"a":1}'


@pytest.mark.parametrize("field", ["payloadType", "payload", "signatures"])
def test_an_envelope_with_a_changed_part_is_refused(signer, field):
    whole = json.loads(seal(signer, KIND, {"a": 1}))
    whole[field] = {
        "payloadType": "text/plain",
        "payload": base64.b64encode(b'{"a":2}').decode(),
        "signatures": [],
    }[field]

    with pytest.raises(Corrupt) as caught:
        unseal(Checker(signer.public), json.dumps(whole).encode())

    assert caught.value.code == "envelope-unsigned"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"null", b'{"payloadType":"a","payload":"!","signatures":[]}', b"\xff"]
)
def test_what_is_no_envelope_is_called_so(signer, data):
    with pytest.raises(Corrupt) as caught:
        unseal(Checker(signer.public), data)

    assert caught.value.code == "envelope-malformed"


@pytest.mark.parametrize("text", ["", "no hex", "ab" * 31, "ab" * 33])
def test_what_is_no_public_key_is_called_so(text):
    with pytest.raises(Corrupt) as caught:
        Checker(text)

    assert caught.value.code == "key-malformed"
