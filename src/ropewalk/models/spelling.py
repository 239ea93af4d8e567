"""What may be called how in the registry: names of models, of aliases and of tags, by MLflow's rules."""

from __future__ import annotations

import re

from ropewalk.errors import Invalid
from ropewalk.runs import keys

NAME_LETTERS_MAX = 256
ALIAS_LETTERS_MAX = 255
VALUE_LETTERS_MAX = 100_000
TEXT_LETTERS_MAX = 100_000
URI_LETTERS_MAX = 2000
ID_LETTERS_MAX = 256
LATEST = "latest"
_ALIAS = re.compile(r"[\w-]+")
_VERSION = re.compile(r"[vV]\d+")
check_key = keys.check_key


def check_name(name: str) -> None:
    """Pass only what may name a registered model.

    Raises:
        Invalid: it is empty, too long, holds `/` or `:`, or reads as a path.
    """
    if not name.strip():
        why = "a name must be given"
    elif len(name) > NAME_LETTERS_MAX:
        why = f"it has {len(name)} characters, {NAME_LETTERS_MAX} at most"
    elif "/" in name or ":" in name:
        why = "a name holds neither '/' nor ':'"
    elif not keys.stays(name):
        why = "it reads as a path"
    else:
        return
    raise Invalid("model-name-invalid", "This cannot name a model.", where=name[:80], why=why)


def check_alias(alias: str) -> None:
    """Pass only what may be an alias: letters, digits, `_` and `-`; not `latest` and not `v1`.

    Raises:
        Invalid: it is none.
    """
    if len(alias) > ALIAS_LETTERS_MAX or not _ALIAS.fullmatch(alias):
        why = f"an alias is letters, digits, '_' and '-', {ALIAS_LETTERS_MAX} at most"
    elif alias.lower() == LATEST or _VERSION.fullmatch(alias):
        why = "latest and v1, v2 and so on mean versions already"
    else:
        return
    raise Invalid("alias-invalid", "This cannot be an alias.", where=alias[:80], why=why)


def check_tag(key: str, value: str) -> None:
    """Pass only a tag whose key is one and whose value is no longer than it may be.

    Raises:
        Invalid: it is none.
    """
    check_key(key)
    if len(value) > VALUE_LETTERS_MAX:
        why = f"its value has {len(value)} characters, {VALUE_LETTERS_MAX} at most"
        raise Invalid("tag-invalid", "This cannot be a tag.", where=key[:80], why=why)


def check_text(text: str, what: str, letters_max: int = TEXT_LETTERS_MAX) -> None:
    """Pass only a text that is no longer than it may be.

    Raises:
        Invalid: it is longer.
    """
    if len(text) > letters_max:
        raise Invalid(
            "text-too-long",
            "This text is too long.",
            where=what,
            why=f"it has {len(text)} characters, {letters_max} at most",
            fix="log it as an artifact",
        )


def check_bytes(text: str, what: str, bytes_max: int) -> None:
    """Pass only a text that fits an index: PostgreSQL's rows of an index end at 2,704 bytes.

    Raises:
        Invalid: it is longer.
    """
    count = len(text.encode())
    if count > bytes_max:
        why = f"it has {count:,} bytes, {bytes_max:,} at most"
        raise Invalid("text-too-long", "This text is too long.", where=what, why=why, fix="take a shorter one")
