"""Markdown as pieces that a page writes itself: headings, paragraphs, lists, tables, code and links, and never markup.

Not the whole of CommonMark: what is not one of these stays a paragraph, word for word, and where a link or an image
leads is written out, since pages lead to no other server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["heading", "paragraph", "code", "quote", "list", "numbers", "table", "rule"]
LINES_MAX = 5000
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*)")
_RULE = re.compile(r" {0,3}([-*_])\s*(?:\1\s*){2,}$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)")
_DASHES = re.compile(r":?-+:?")
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|!?\[(?P<word>[^\[\]]*)\]\((?P<link>[^()\s]+)(?:\s+\"[^\"]*\")?\)"
    r"|\*\*(?P<strong>[^*]+)\*\*|__(?P<strong2>[^_]+)__"
    r"|(?<![\w*])\*(?P<em>[^*\s][^*]*)\*|(?<![\w_])_(?P<em2>[^_\s][^_]*)_(?!\w)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of text of one kind: `text`, `code`, `strong`, `em` or `link`, which says where it leads."""

    kind: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Attributes:
        kind: what it is.
        level: of a heading, 1 to 6.
        text: of code.
        pieces: of a heading, a paragraph or a quote.
        items: of a list.
        rows: of a table, its head first.
    """

    kind: Kind
    level: int = 0
    text: str = ""
    pieces: tuple[Piece, ...] = ()
    items: tuple[tuple[Piece, ...], ...] = ()
    rows: tuple[tuple[tuple[Piece, ...], ...], ...] = field(default=())


def blocks(text: str) -> list[Block]:
    """Return the blocks of a text, of its first 5,000 lines."""
    lines = text.expandtabs(4).splitlines()[:LINES_MAX]
    found: list[Block] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        block, at = _block(lines, at)
        found.append(block)
    return found


def _block(lines: list[str], at: int) -> tuple[Block, int]:
    line = lines[at]
    if fence := _FENCE.match(line):
        return _code(lines, at, fence.group(1))
    if heading := _HEADING.match(line):
        said = heading.group(2).rstrip().rstrip("#").rstrip()
        return Block(kind="heading", level=len(heading.group(1)), pieces=pieces(said)), at + 1
    if _RULE.match(line):
        return Block(kind="rule"), at + 1
    if at + 1 < len(lines) and "|" in line and all(map(_DASHES.fullmatch, _cells(lines[at + 1]))):
        return _table(lines, at)
    if _ITEM.match(line):
        return _list(lines, at)
    return _said(lines, at)


def _said(lines: list[str], at: int) -> tuple[Block, int]:
    if lines[at].lstrip().startswith(">"):
        end = _until(lines, at, lambda one: one.lstrip().startswith(">"))
        said = " ".join(one.lstrip()[1:].strip() for one in lines[at:end])
        return Block(kind="quote", pieces=pieces(said)), end
    end = _until(lines, at + 1, lambda one: bool(one.strip()) and not _begins(one))
    return Block(kind="paragraph", pieces=pieces(" ".join(one.strip() for one in lines[at:end]))), end


def _begins(line: str) -> bool:
    return bool(
        _FENCE.match(line) or _HEADING.match(line) or _RULE.match(line) or _ITEM.match(line) or line.startswith(">")
    )


def _until(lines: list[str], at: int, holds: Callable[[str], bool]) -> int:
    while at < len(lines) and holds(lines[at]):
        at += 1
    return at


def _code(lines: list[str], at: int, fence: str) -> tuple[Block, int]:
    end = at + 1
    while end < len(lines) and not lines[end].strip().startswith(fence):
        end += 1
    return Block(kind="code", text="\n".join(lines[at + 1 : end])), end + 1


def _list(lines: list[str], at: int) -> tuple[Block, int]:
    items: list[str] = []
    first = _ITEM.match(lines[at])
    kind: Kind = "numbers" if first and first.group(2) else "list"
    while at < len(lines):
        if item := _ITEM.match(lines[at]):
            items.append(item.group(3))
        elif lines[at].strip() and lines[at].startswith("  "):
            items[-1] += f" {lines[at].strip()}"
        else:
            break
        at += 1
    return Block(kind=kind, items=tuple(pieces(one) for one in items)), at


def _table(lines: list[str], at: int) -> tuple[Block, int]:
    end = _until(lines, at + 2, lambda one: "|" in one)
    rows = [_cells(one) for one in (lines[at], *lines[at + 2 : end])]
    return Block(kind="table", rows=tuple(tuple(pieces(cell) for cell in row) for row in rows)), end


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def pieces(text: str) -> tuple[Piece, ...]:
    """Return a line's stretches of text."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    at = 0
    for found in _INLINE.finditer(text):
        if found.start() > at:
            yield Piece(kind="text", text=text[at : found.start()])
        at = found.end()
        said = found.groupdict()
        if said["code"] is not None:
            yield Piece(kind="code", text=said["code"])
        elif said["link"] is not None:
            yield Piece(kind="link" if said["word"] else "code", text=said["word"] or said["link"], link=said["link"])
        else:
            strong = said["strong"] or said["strong2"]
            yield Piece(kind="strong" if strong else "em", text=strong or said["em"] or said["em2"] or "")
    if at < len(text):
        yield Piece(kind="text", text=text[at:])
