"""Names that everybody uses: digests, identifiers and the canonical JSON they are made of."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return `sha256:` and 64 hex digits of the bytes, the form that OCI and in-toto use."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the digest of a file, read in pieces of constant memory."""
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def is_digest(text: str) -> bool:
    """Say whether the text is a whole digest."""
    return _DIGEST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Say whether the text may name a model, endpoint or project: letters, digits, `.`, `_`, `-`; 128 at most."""
    return _NAME.fullmatch(text) is not None


def name_clause(name: str) -> str:
    """Return what finds a name in MLflow's filters: they know no escape, and a text is in one kind of quotes.

    A name that holds both kinds is found with others that differ in one letter; the caller compares what comes.
    """
    if "'" not in name:
        return f"name = '{name}'"
    if '"' not in name:
        return f'name = "{name}"'
    return f"name LIKE '{name.replace(chr(39), '_')}'"


def short(digest: str) -> str:
    """Return the twelve hex digits that people read."""
    return digest.removeprefix(PREFIX)[:12]


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces and UTF-8: the same value gives the same bytes on every machine.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON cannot say.
        TypeError: the value holds something that JSON has no word for.
    """
    return _encode(value).encode()


def uuid7(now_us: int, randomness: Callable[[int], bytes] = os.urandom) -> str:
    """Return a UUID version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of the rest of them, 62 random bits."""
    millis, rest = divmod(now_us, 1000)
    fraction = rest * 4096 // 1000
    tail = int.from_bytes(randomness(8)) & ((1 << 62) - 1)
    number = ((millis & ((1 << 48) - 1)) << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | tail
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid7_time_us(text: str) -> int:
    """Return the microseconds since the epoch that a UUID version 7 of ours carries.

    Raises:
        ValueError: the text is not a UUID.
    """
    number = int(text.replace("-", ""), 16)
    return (number >> 80) * 1000 + -(-((number >> 64 & 0xFFF) * 1000) // 4096)
