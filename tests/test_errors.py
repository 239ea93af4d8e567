"""Errors carry four lines and survive every way they travel."""

import copy
import json
import pickle
import re
from pathlib import Path

import pytest

import ropewalk
from ropewalk import errors
from ropewalk.errors import Conflict, RopewalkError, missing_extra

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RopewalkError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_a_pickle_and_a_copy(kind):
    error = kind("some-code", "It happened.", where="here", why="because", fix="type this")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert again.record() == error.record()
        assert str(again) == "It happened."


def test_the_record_is_json_with_the_code_and_the_four_lines():
    record = Conflict("some-code", "It happened.", where="here").record()

    assert json.loads(json.dumps(record)) == record
    assert list(record) == ["code", "what", "where", "why", "fix"]


def test_each_kind_has_a_word_of_its_own():
    words = [kind.kind for kind in KINDS]

    assert len(set(words)) == len(words) == 9


def test_a_missing_library_names_the_extra_to_install():
    assert missing_extra("onnxruntime", "onnx").fix == 'pip install "ropewalk[onnx]"'


def codes_raised(folder):
    """Return code -> file of every error that the source raises by a literal code."""
    source = Path(ropewalk.__file__).parent / folder
    files = source.rglob("*.py") if source.is_dir() else [source]
    names = "|".join(kind.__name__ for kind in KINDS)
    found = {}
    for file in files:
        for code in re.findall(rf"\b(?:{names})\(\s*\"([a-z][a-z0-9-]+)\"", file.read_text()):
            found[code] = file.name
    return found


@pytest.mark.parametrize("room", ["runs", "data", "store", "blobs", "ledger", "leases.py", "settings.py", "errors.py"])
def test_every_code_of_these_rooms_is_explained(room):
    told = (Path(ropewalk.__file__).parent / "errors.md").read_text()
    headings = set(re.findall(r"^## (\S+)$", told, re.MULTILINE))
    unexplained = {code: file for code, file in codes_raised(room).items() if code not in headings}

    assert not unexplained
