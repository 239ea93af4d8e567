"""What README.md tells a newcomer to type exists: commands, targets, links, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ropewalk.cli import commands

ROOT = Path(__file__).parent.parent
DOCUMENTS = [path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"]


def lines_to_type(text: str) -> list[str]:
    """Return the lines of fenced blocks and the inline code, without prompts and comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [line.strip().removeprefix("$ ").partition(" #")[0].strip() for line in lines]


def commands_in(text: str) -> set[str]:
    found = [re.match(r"(?:\.venv/bin/)?ropewalk +(?:--?\w+ +)*([a-z][a-z-]*)", line) for line in lines_to_type(text)]
    return {match[1] for match in found if match}


def targets_in(text: str) -> set[str]:
    found = [re.match(r"make +([a-z][a-z ]*)$", line) for line in lines_to_type(text)]
    return {target for match in found if match for target in match[1].split()}


def test_what_is_to_be_typed_is_found_in_blocks_and_in_code():
    block = "```\n$ ropewalk --json ship x  # go\nropewalk is fine\nmake test check\n```\n"
    text = f"Type `make demo`.\n{block}`ropewalk.toml`\n"

    assert commands_in(text) == {"ship", "is"}
    assert targets_in(text) == {"demo", "test", "check"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_named_in_a_document_exists(path):
    known = {command.name for command in commands.COMMANDS} | {"help"}

    assert commands_in(path.read_text()) - known == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_named_in_a_document_exists(path):
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert targets_in(path.read_text()) - known == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_of_a_document_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text())

    assert [link for link in links if ":" not in link and not (ROOT / link).exists()] == []


def test_every_make_target_says_what_it_is_for():
    text = (ROOT / "Makefile").read_text()

    phony = set(re.findall(r"^\.PHONY: (\w+)$", text, re.MULTILINE))
    told = set(re.findall(r"^(\w+):.*## .+\.$", text, re.MULTILINE))
    assert phony == told
