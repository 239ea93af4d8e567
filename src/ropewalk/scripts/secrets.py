"""What must not be recorded of a command line, an environment and a log: what is named, or looks, like a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from ropewalk.compute.hide import spellings

MASK = "***"
LETTERS_MIN = 6
_NAMED = re.compile(
    r"(?i)(?:^|[-_.])(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|api[-_]?key|access[-_]?key|private[-_]?key)s?"
    r"(?:$|[-_.])"
)
_LOOKS = re.compile(
    r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[A-Z2-7]{16}"
    r"|AIza[\w-]{30,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|npm_[A-Za-z0-9]{30,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
)
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s/@]+)(?=@)")


def is_secret_name(name: str) -> bool:
    """Say whether a name is one that secrets have: `--api-key`, `DB_PASSWORD`; `--tokenizer` is none."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.lstrip("-"))
    return bool(_NAMED.search(spaced))


class Secrets:
    """Knows the secrets of one command and takes them out of what is kept.

    Args:
        words: the command line.
        environment: the variables that it is started with.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        # `PWD` is a folder; so is what most other names say that begin like this.
        named = {value for name, value in environment.items() if is_secret_name(name) and not value.startswith("/")}
        self._values = {value for value in (*named, *_values_in(words)) if len(value) >= LETTERS_MIN}
        self.words = tuple(self._word(word, before) for word, before in zip(words, ("", *words), strict=False))

    def _word(self, word: str, before: str) -> str:
        name, sign, value = word.partition("=")
        if before.startswith("-") and "=" not in before and is_secret_name(before) and not word.startswith("-"):
            return MASK
        if sign and value and is_secret_name(name):
            return f"{name}={MASK}"
        return self.clean(word)

    def learn(self, values: Mapping[str, str]) -> None:
        """Note the values of parameters that are named like secrets, so that they are taken out of everything."""
        self._values |= {value for name, value in values.items() if is_secret_name(name) and len(value) >= LETTERS_MIN}

    def clean(self, text: str) -> str:
        """Return a text without the secrets."""
        spelled = {one for value in self._values for one in spellings(value)}
        for one in sorted(spelled, key=len, reverse=True):
            text = text.replace(one, MASK)
        return _LOOKS.sub(MASK, _IN_URL.sub(rf"\1:{MASK}", text))

    def parameters(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return parameters with the values masked that are named, or look, like secrets."""
        return {
            name: MASK if is_secret_name(name) and value not in ("", "None") else self.clean(value)
            for name, value in values.items()
        }

    def facts(self, value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return a JSON-able value without the secrets."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {key: self.facts(one) for key, one in cast("dict[str, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [self.facts(one) for one in cast("Iterable[Any]", value)]
        return value


def _values_in(words: Sequence[str]) -> Iterable[str]:
    for place, word in enumerate(words):
        name, sign, value = word.partition("=")
        if sign and is_secret_name(name):
            yield value
        elif word.startswith("-") and is_secret_name(word) and place + 1 < len(words):
            following = words[place + 1]
            if not following.startswith("-"):
                yield following


def options_in(words: Sequence[str]) -> dict[str, str]:
    """Return the options in a command line that no argparse explains: `--lr 0.1`, `--lr=0.1`, `--fast`, `lr=0.1`."""
    found: dict[str, str] = {}
    place = 0
    while place < len(words):
        word = words[place]
        name, sign, value = word.lstrip("+~").partition("=")  # Hydra's `+key=value`
        if sign and name.lstrip("-").replace("-", "_").replace(".", "_").isidentifier():
            found[name.lstrip("-")] = value
        elif word.startswith("--") and word != "--":
            following = words[place + 1] if place + 1 < len(words) else "-"
            takes = not following.startswith("-") or following[1:2].isdigit()
            found[word.lstrip("-")] = following if takes else "True"
            place += takes
        place += 1
    return found
