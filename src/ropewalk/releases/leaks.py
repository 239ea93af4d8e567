"""Finds secrets in text files by a small set of rules, and never repeats one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FILE_BYTES_MAX = 2_000_000
LINE_CHARACTERS_MAX = 4_000
# A line that ends with this mark holds no secret, its author says; the scan's evidence counts such lines.
ACCEPTED_MARK = "ropewalk: not-a-secret"
RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("AWS access key id", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AGPA|AROA|AIPA|ANPA|ANVA)[A-Z2-7]{16}(?![A-Z0-9])")),
    (
        "AWS secret access key",
        re.compile(r"(?i)aws.{0,30}(?:secret|key).{0,30}[=:]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    ),
    ("GitHub token", re.compile(r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}")),
    ("GitLab token", re.compile(r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,}")),
    ("Slack token", re.compile(r"xox[abeprs]-[A-Za-z0-9-]{10,}")),
    ("Slack webhook", re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+")),
    ("Google API key", re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    ("Stripe key", re.compile(r"(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{20,}")),
    ("model hub token", re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}")),
    ("API key of a model service", re.compile(r"(?<![A-Za-z0-9])sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}")),
    ("package index token", re.compile(r"pypi-AgE[A-Za-z0-9_-]{50,}")),
    ("npm token", re.compile(r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}")),
    ("Azure storage key", re.compile(r"AccountKey=[A-Za-z0-9+/]{86}==")),
    ("JSON web token", re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("password in a URL", re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'{}$<>]{1,80}:([^\s:/@\"'{}$<>]{3,80})@")),
)
NAMED = re.compile(
    r"(?i)\b[\w.-]{0,40}(?:passw(?:or)?d|secret|token|api_?key|access_?key|private_?key|credential)s?[\w.-]{0,20}"
    r"[\"']?\s*[:=]\s*[\"']([^\"'\s]{12,200})[\"']"
)
ENTROPY_MIN = 3.5
PLACEHOLDERS = re.compile(
    r"(?i)example|changeme|change-me|placeholder|dummy|your[-_]|xxxx|\*\*\*\*|<.*>|\$\{|\{\{|os\.environ"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A secret that was found; the secret itself is not in here.

    Attributes:
        path: the file.
        line: from 1.
        kind: what it looks like.
    """

    path: str
    line: int
    kind: str


def find_leaks(files: Mapping[str, bytes]) -> tuple[Leak, ...]:
    """Return the secrets in a project's files, in order; files that are not text are left out.

    Args:
        files: contents by path.
    """
    return tuple(leak for path, data in sorted(files.items()) for leak in _in_file(path, data))


def accepted_lines(files: Mapping[str, bytes]) -> int:
    """Return how many lines their authors marked as holding no secret."""
    return sum(data.count(ACCEPTED_MARK.encode()) for data in files.values())


def _in_file(path: str, data: bytes) -> Iterator[Leak]:
    if b"\x00" in data[:8000]:
        return
    for number, line in enumerate(data[:FILE_BYTES_MAX].decode("utf-8", "replace").splitlines(), 1):
        kind = kind_of(line[:LINE_CHARACTERS_MAX])
        if kind and ACCEPTED_MARK not in line:
            yield Leak(path=path, line=number, kind=kind)


def kind_of(line: str) -> str:
    """Return what kind of secret a line seems to hold, or an empty text."""
    for kind, rule in RULES:
        found = rule.search(line)
        if found and not (found.groups() and PLACEHOLDERS.search(found.group(1))):
            return kind
    for found in NAMED.finditer(line):
        value = found.group(1)
        if not PLACEHOLDERS.search(value) and _entropy(value) >= ENTROPY_MIN and _mixed(value):
            return "value of a variable named like a secret"
    return ""


def _mixed(value: str) -> bool:
    """Say whether a value mixes letters and digits, as generated secrets do and words do not."""
    return any(letter.isdigit() for letter in value) and any(letter.isalpha() for letter in value)


def _entropy(value: str) -> float:
    """Return Shannon's entropy of a text, bits per character."""
    total = len(value)
    counts = [value.count(letter) for letter in set(value)]
    return -sum(count / total * math.log2(count / total) for count in counts)
