"""Gives the grammars of all searches random texts, led by what the code did with earlier ones, until time is over.

`fuzz_search.py SECONDS FOLDER` needs atheris, which is no dependency of ours: `pip install atheris` first. FOLDER takes
the texts that it finds worth keeping. Whatever is not `Invalid` ends it with the text that did it. It prints how many
texts it tried.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["ropewalk.runs", "ropewalk.traces", "ropewalk.models"]):
    from ropewalk.errors import Invalid
    from ropewalk.models import logged_search
    from ropewalk.models import search as models_search
    from ropewalk.runs import grammar
    from ropewalk.runs.vocabulary import EXPERIMENTS, RUNS
    from ropewalk.traces import patterns
    from ropewalk.traces import vocabulary as traces_words

WORDS = [
    value
    for room in (models_search, logged_search, traces_words)
    for value in vars(room).values()
    if isinstance(value, grammar.Vocabulary)
]
VOCABULARIES = (RUNS, EXPERIMENTS, *WORDS)
TRIED = [0, 0]


def one(data: bytes) -> None:
    """Try one text as a filter, as an order and as a regular expression."""
    TRIED[0] += 1
    provider = atheris.FuzzedDataProvider(data)
    vocabulary = VOCABULARIES[provider.ConsumeIntInRange(0, len(VOCABULARIES) - 1)]
    text = provider.ConsumeUnicode(4096)
    for work in (
        lambda: grammar.parse(text, vocabulary),
        lambda: grammar.parse_order([text], vocabulary),
        lambda: patterns.from_regex(text),
    ):
        try:
            work()
        except Invalid:
            TRIED[1] += 1


def main() -> None:
    """Fuzz for so many seconds."""
    seconds = int(sys.argv[1])
    began = time.monotonic()
    seeds = Path(sys.argv[2])
    for place, text in enumerate(vocabulary.example for vocabulary in VOCABULARIES):
        (seeds / str(place)).write_bytes(bytes([place]) + text.encode())
    words = [sys.argv[0], "-max_len=4096", "-timeout=5", "-print_final_stats=0"]

    def last(data: bytes) -> None:
        one(data)
        if time.monotonic() - began > seconds:
            print(f"{TRIED[0]} texts, {TRIED[1]} refusals, nothing else", flush=True)  # noqa: T201 - the figures
            os._exit(0)  # any other end counts as one of the code under test

    atheris.Setup([*words, str(seeds)], last)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
