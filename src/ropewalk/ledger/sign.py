"""Ed25519 keys of a project and DSSE envelopes signed with them."""

from __future__ import annotations

import base64
import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.errors import Corrupt, NotFound
from ropewalk.refs import canonical, digest_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer:
    """Signs with the private key in a file of mode 0600, read at the first signature.

    Args:
        path: the key file, 32 raw bytes as hex.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def create(cls, folder: Path) -> Signer:
        """Make a key pair in the folder unless there is one: `ledger.key` (0600) and `ledger.pub`."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "ledger.key"
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            (folder / "ledger.pub").write_text(key.public_key().public_bytes_raw().hex() + "\n")
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(key.private_bytes_raw().hex() + "\n")
        return cls(path)

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            text = self._path.read_text()
        except FileNotFoundError:
            raise NotFound(
                "key-not-found",
                "The project's signing key is not there.",
                where=self._path.name,
                fix="copy .ropewalk/keys from where the project was made",
            ) from None
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))

    @cached_property
    def public(self) -> str:
        """The public key as 64 hex digits."""
        return self._key.public_key().public_bytes_raw().hex()

    @cached_property
    def key_id(self) -> str:
        """The sha256 digest of the raw public key."""
        return digest_of(bytes.fromhex(self.public))

    def sign(self, message: bytes) -> str:
        """Return the signature as 128 hex digits."""
        return self._key.sign(message).hex()


class Checker:
    """Checks signatures with a public key given as 64 hex digits.

    Raises:
        Corrupt: this is no such key.
    """

    def __init__(self, public: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            raw = bytes.fromhex(public.strip())
            self._key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError as error:
            raise Corrupt(
                "key-malformed",
                "This is not a public key.",
                where="keys/ledger.pub",
                why=str(error),
                fix="copy .ropewalk/keys/ledger.pub from where the project was made",
            ) from error
        self.key_id = digest_of(raw)

    def matches(self, signature: str, message: bytes) -> bool:
        """Say whether the signature (hex, small letters alone) is this key's over the message."""
        from cryptography.exceptions import InvalidSignature

        try:
            raw = bytes.fromhex(signature)
            if raw.hex() != signature:  # capitals and spaces would be another spelling of the same bytes
                return False
            self._key.verify(raw, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def _encoded(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (https://github.com/secure-systems-lab/dsse, protocol.md)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def seal(signer: Signer, kind: str, statement: object) -> bytes:
    """Return a DSSE envelope, as JSON, over a statement.

    Args:
        signer: the key to sign with.
        kind: payload type, such as `application/vnd.in-toto+json`.
        statement: JSON-able.
    """
    payload = canonical(statement)
    signature = bytes.fromhex(signer.sign(_encoded(kind, payload)))
    return canonical(
        {
            "payloadType": kind,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def _exact(text: str) -> bytes:
    """Decode base64 that has one spelling alone: a flipped spare bit at the end is an error too."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 with spare bits set")
    return data


def unseal(checker: Checker, envelope: bytes) -> tuple[str, Any]:
    """Return payload type and statement of an envelope whose signature holds.

    Raises:
        Corrupt: it is no envelope, or nobody of ours signed it.
    """
    try:
        whole = json.loads(envelope)
        kind = str(whole["payloadType"])
        payload = _exact(whole["payload"])
        signatures = [_exact(item["sig"]).hex() for item in whole["signatures"] if item["keyid"] == checker.key_id]
        statement = json.loads(payload)
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("envelope-malformed", "This is not a DSSE envelope.", why=str(error)) from error
    if not any(checker.matches(signature, _encoded(kind, payload)) for signature in signatures):
        raise Corrupt("envelope-unsigned", "No signature of this envelope is the project's.", fix="ropewalk verify")
    return kind, statement
