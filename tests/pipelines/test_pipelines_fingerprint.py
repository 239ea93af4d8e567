"""Ways in which code reaches code: an edit at the far end of each changes the fingerprint, one beside it does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fingerprint_cases import BESIDE as FIRST_BESIDE
from fingerprint_cases import REACHED as FIRST_REACHED
from fingerprint_hunt import HUNT_BESIDE, HUNT_REACHED
from fingerprint_more import MORE_BESIDE, MORE_REACHED

# All that is read is read once: in one of the gate's processes.
pytestmark = pytest.mark.xdist_group("fingerprint")
# Each folder is read in a fork of one process that has imported everything: a few milliseconds each. polars among it:
# where its bytecode is not there yet, the fork that compiles it packs a function into other bytes than all after it.
READER = """
import json, os, sys
import asyncio, dataclasses, decimal, functools, logging, polars, random, typing
from ropewalk.pipelines.session import Session

for folder in sys.stdin.read().split():
    if not os.fork():
        os.environ["ROOT"] = folder
        session = Session({"code": folder, "root": folder, "blobs": folder + "-blobs", "target": "pipeline.py:train",
                           "args": {}, "tree": str("/after/" in folder), "globals": []})
        code = next(iter(session.graph(with_codes=True).codes.values()))
        print(json.dumps([folder, code.digest, dict(code.parts)]), flush=True)
        os._exit(0)
    os.wait()
"""
HEAD = "from ropewalk import pipeline, step\n"
TAIL = "\n\n@pipeline\ndef train():\n    return work(1)\n"
REACHED = {**FIRST_REACHED, **MORE_REACHED, **HUNT_REACHED}
BESIDE = {**FIRST_BESIDE, **MORE_BESIDE, **HUNT_BESIDE}


@pytest.fixture(scope="module")
def digests(tmp_path_factory) -> dict[str, tuple[str, dict[str, str]]]:
    root = tmp_path_factory.mktemp("fingerprints")
    for number, case in enumerate([*REACHED.values(), *BESIDE.values()]):
        for version in ("before", "again", "after"):
            for name, text in {**case.files, "pipeline.py": HEAD + case.body + TAIL}.items():
                path = root / version / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                edited = version == "after" and name == case.file
                assert not edited or case.old in text, case
                path.write_text(text.replace(case.old, case.new) if edited else text)
    folders = [str(path) for version in ("before", "again", "after") for path in sorted((root / version).iterdir())]
    told = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", READER],
        input="\n".join(folders),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "0", "PATH": "/usr/bin"},
    ).stdout
    found = [json.loads(line) for line in told.splitlines()]
    return {folder.removeprefix(f"{root}/"): (digest, parts) for folder, digest, parts in found}


NUMBERS = {name: number for number, name in enumerate([*REACHED, *BESIDE])}


@pytest.mark.parametrize("name", [*REACHED, *BESIDE])
def test_the_same_code_in_another_folder_has_the_same_fingerprint(digests, name):
    number = NUMBERS[name]

    assert digests[f"before/{number}"] == digests[f"again/{number}"]


@pytest.mark.parametrize("name", REACHED)
def test_an_edit_that_is_reached_changes_the_fingerprint_and_a_part_that_people_can_read(digests, name):
    number = NUMBERS[name]

    before, after = digests[f"before/{number}"], digests[f"after/{number}"]

    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("name", BESIDE)
def test_an_edit_beside_what_is_reached_changes_nothing(digests, name):
    number = NUMBERS[name]

    assert digests[f"before/{number}"] == digests[f"after/{number}"]
