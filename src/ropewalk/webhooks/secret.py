"""Keeps the secrets of webhooks: encrypted in rows, with a key in a file that only its owner reads."""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk.errors import Corrupt
from ropewalk.site import Site

FILE = "keys/webhooks.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


def encrypt(site: Site, webhook: str, secret: str) -> bytes:
    """Return a secret as it is kept: a nonce, and AES-256-GCM over the text, bound to its webhook."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_key(site.hidden / FILE)).encrypt(nonce, secret.encode(), webhook.encode())


def decrypt(site: Site, webhook: str, kept: bytes) -> str:
    """Return the secret that was kept.

    Raises:
        Corrupt: the bytes were changed, are another webhook's, or the key file is another one.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, sealed = kept[:_NONCE_BYTES], kept[_NONCE_BYTES:]
    try:
        return AESGCM(_key(site.hidden / FILE)).decrypt(nonce, sealed, webhook.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise Corrupt(
            "webhook-secret-unreadable",
            "The secret of this webhook cannot be read.",
            where=webhook,
            why=f"{FILE} is not the key that it was encrypted with, or the row was changed",
            fix="set it anew: client.update_webhook(WEBHOOK_ID, secret=...)",
        ) from error


def _key(path: Path) -> bytes:
    """Return the key, made when there is none; two processes that make it at once agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, os.urandom(_KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
