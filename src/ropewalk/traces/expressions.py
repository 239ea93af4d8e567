"""Regular expressions that a search may run: the language that both engines read alike, and match in bounded time."""

from __future__ import annotations

import re

from ropewalk.errors import Invalid
from ropewalk.store.regexp import fits

LETTERS_MAX = 1000
REPEATS_MAX = 255
DEPTH_MAX = 50
# What an engine may have to keep in mind at each letter of a text: those of the expression, as often as they repeat. It
# is the sum of all expressions of one search, for each is compiled before the first row is read.
WIDTH_MAX = 1000
# `\w` and `\d` are hundreds and dozens of ranges of Unicode: compiled and matched they take as long as so many letters.
WORD_WIDTH, DIGIT_WIDTH = 20, 5
_IN_SET = r"\\[^A-Za-z0-9\s]|\\[dwsnrt]|[A-Za-z0-9]-[A-Za-z0-9]|[^\\\[\]^&~-]"
_TOKEN = re.compile(
    rf"""
    (?P<open>\((?:\?:)?)            # a group, whether it is kept does not matter
    | (?P<close>\))
    | (?P<either>\|)
    | (?P<anchor>[\^$])
    | (?P<repeat>(?:[*+?]|\{{(?P<least>\d{{1,3}})(?:,(?P<most>\d{{0,3}}))?\}})\??)
    | (?P<atom>\\[^A-Za-z0-9\s] | \\[dDwWsSnrt] | \[\^?(?:{_IN_SET})+\] | [^\\^$*+?()\[\]{{}}|])
    """,
    re.VERBOSE,
)


def checked(expression: str, width: int = 0) -> int:
    r"""Pass a regular expression that SQLite's function and PostgreSQL read alike; return how wide it makes a search.

    It may hold letters, `.`, sets such as `[a-z]`, groups, `|`, `*`, `+`, `?`, `{2,3}`, `\d`, `\w`, `\s`, escapes, `^`
    and `$`; nothing that looks around or back.

    Args:
        expression: as it was written.
        width: of those before it in the same search.

    Raises:
        Invalid: it says more than that, or nothing that can be matched, or all of them together ask too much.
    """
    if len(expression) > LETTERS_MAX:
        raise _refused(expression, f"it has {len(expression)} letters, {LETTERS_MAX} at most")
    place = depth = 0
    repeatable = False
    tokens: list[re.Match[str]] = []
    while place < len(expression):
        found = _TOKEN.match(expression, place)
        if found is None:
            raise _refused(expression[place:], "it says more than both engines understand alike")
        if found["repeat"] and (not repeatable or _most(found) > REPEATS_MAX):
            raise _refused(expression[place:], f"something is to be repeated, {REPEATS_MAX} times at most")
        depth += bool(found["open"]) - bool(found["close"])
        if not 0 <= depth <= DEPTH_MAX:
            raise _refused(expression[place:], f"groups end where they began, {DEPTH_MAX} inside each other at most")
        repeatable = bool(found["atom"] or found["close"])
        tokens.append(found)
        place = found.end()
    if depth:
        raise _refused(expression, "a group has no end")
    width += _width(tokens)
    if width > WIDTH_MAX:
        why = f"with what they repeat a search's expressions have {WIDTH_MAX} letters at most, found {width}"
        raise _refused(expression, rf"{why}; \w counts as {WORD_WIDTH}")
    fits(expression, "")  # the engine has the last word
    return width


def _most(repeat: re.Match[str]) -> int:
    return int(repeat["most"] or repeat["least"] or 1)


def _width(tokens: list[re.Match[str]]) -> int:
    """Return how many letters an expression has when its repeats are written out."""
    widths, last = [0], 0
    for one in tokens:
        if one["open"]:
            widths.append(0)
        elif one["repeat"]:
            widths[-1] += last * max(_most(one) - 1, 0)
        elif one["atom"] or one["close"]:
            last = _atom(one["atom"]) if one["atom"] else widths.pop()
            widths[-1] += last
    return widths[0]


def _atom(text: str) -> int:
    text = text.lower()
    return WORD_WIDTH * text.count(r"\w") + DIGIT_WIDTH * text.count(r"\d") or 1


def _refused(where: str, why: str) -> Invalid:
    return Invalid(
        "filter-invalid",
        "The regular expression of the search says more than is understood.",
        where=where[:40],
        why=why,
        fix="compare with LIKE or ILIKE: '%' stands for any letters, '_' for one",
    )
