"""Page tokens: the place after which the next page begins, sealed with the search that they belong to."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.refs import PREFIX, canonical, digest_of

Position = tuple[str | int | float, ...]
LETTERS_MAX = 20_000
_SEAL_LETTERS = 16
_INT_BITS = 63


def token(search: object, position: Sequence[str | int | float]) -> str:
    """Return the token for what follows a position.

    Args:
        search: everything that decides which results there are and in which order, JSON-able.
        position: the values by which the last result of the page was ordered.
    """
    said = [one.hex() if isinstance(one, float) else one for one in position]
    kinds = "".join(_kind(one) for one in position)
    return base64.urlsafe_b64encode(canonical([_seal(search), kinds, said])).decode()


def after(text: str, search: object, kinds: str) -> Position | None:
    """Return the position that a token names, None for no token.

    Args:
        text: the token, as it came.
        search: as for `token`.
        kinds: what the position is made of, a letter each: `s` text, `i` whole number, `f` float.

    Raises:
        Invalid: it is none of ours, or belongs to another search.
    """
    if not text:
        return None
    try:
        if len(text) > LETTERS_MAX:
            raise _invalid("it is too long")
        found = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
        seal, said_kinds, said = cast("tuple[Any, Any, list[Any]]", found)
        position = tuple(_read(one, kind) for one, kind in zip(said, said_kinds, strict=True))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise _invalid("it is not one of ours") from error
    if seal != _seal(search) or said_kinds != kinds:
        raise _invalid("it belongs to another search")
    return position


def _seal(search: object) -> str:
    return digest_of(canonical(search)).removeprefix(PREFIX)[:_SEAL_LETTERS]


def _kind(value: str | float) -> str:
    return "s" if isinstance(value, str) else "f" if isinstance(value, float) else "i"


def _read(value: object, kind: str) -> str | int | float:
    if kind == "f" and isinstance(value, str):
        return float.fromhex(value)
    if kind == "i" and isinstance(value, int) and -(1 << _INT_BITS) <= value < 1 << _INT_BITS:
        return value
    if kind == "s" and isinstance(value, str) and "\0" not in value:
        value.encode()
        return value
    raise ValueError(kind)


def _invalid(why: str) -> Invalid:
    return Invalid("token-invalid", "The page token is not valid.", why=why, fix="search again without a token")
