"""Secrets of a job: they are in its environment while it runs, and stars where it prints them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

STARS = "*****"
LETTERS_MIN = 4
# Shorter pieces of base64 are in many texts.
CODED_MIN = 8


def hidden(tree: Any, secrets: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with stars for each secret in it."""
    if isinstance(tree, str):
        for value in _values(secrets):
            tree = tree.replace(value, STARS)
        return tree
    if isinstance(tree, list):
        return [hidden(item, secrets) for item in cast("list[Any]", tree)]
    if isinstance(tree, dict):
        return {key: hidden(item, secrets) for key, item in cast("dict[str, Any]", tree).items()}
    return tree


def _values(secrets: Mapping[str, str]) -> list[str]:
    """Return what is hidden, the longest first: one may be within another. Each line of a long one is hidden too."""
    found = {
        spelled
        for value in secrets.values()
        for line in (value, *value.splitlines())
        if len(line) >= LETTERS_MIN
        for spelled in spellings(line)
    }
    return sorted(found, key=len, reverse=True)


def spellings(value: str) -> Iterator[str]:
    """Yield a secret as programs write it: as it is, for JSON and addresses, in hex, in base64 at any place.

    Of base64 that is what the secret alone decides: `user:secret` is hidden but for what its neighbours share in.
    """
    import base64  # a worker without secrets has no use for these
    import json
    from urllib.parse import quote, quote_plus

    yield value
    yield from {json.dumps(value)[1:-1], quote(value, safe=""), quote(value), quote_plus(value)} - {value}
    data = value.encode(errors="surrogateescape")
    if len(data) * 2 >= CODED_MIN:
        yield from (data.hex(), data.hex().upper())
    for before in range(3):
        bits = before * 8
        first, last = -(-bits // 6), (bits + len(data) * 8) // 6
        if last - first >= CODED_MIN:
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                yield encode(b"\0" * before + data).decode()[first:last]


class Veil:
    """Lies over standard output and error while a job with secrets runs; native code prints through it too.

    Args:
        secrets: by name.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets
        self._words = [word.encode() for word in _values(secrets)]
        self._before = {name: os.environ.get(name) for name in secrets}
        self._out = os.dup(1)
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.environ.update(secrets)
        self._thread = threading.Thread(target=self._pump, args=(reading,), daemon=True)
        self._thread.start()

    def lift(self) -> None:
        """Take the secrets away; returns when all that was printed is in the log."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        os.dup2(self._out, 1)
        os.dup2(self._out, 2)
        # A process that the job left behind may hold the other end for ever.
        self._thread.join(timeout=1.0)

    def _pump(self, reading: int) -> None:
        kept = b""
        while piece := os.read(reading, 1 << 16):
            kept += piece
            for word in self._words:
                kept = kept.replace(word, STARS.encode())
            cut = _begun(kept, self._words)
            os.write(self._out, kept[:cut])
            kept = kept[cut:]
        os.write(self._out, kept)
        os.close(reading)
        os.close(self._out)


def _begun(data: bytes, words: list[bytes]) -> int:
    """Return where a secret may have begun that the data does not end, or the data's length."""
    first = len(data)
    for word in words:
        for length in range(min(len(word) - 1, len(data)), 0, -1):
            if data.endswith(word[:length]):
                first = min(first, len(data) - length)
                break
    return first
