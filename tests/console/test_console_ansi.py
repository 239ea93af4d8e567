"""What programs write for terminals comes to a page as words and colours, and moves nothing."""

from __future__ import annotations

import pytest

from ropewalk.console.ansi import LETTERS_MAX, runs_of


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("plain <b>", [("", "plain <b>")]),
        ("\x1b[1;31merror\x1b[0m: x", [("bold ansi-red", "error"), ("", ": x")]),
        ("\x1b[92mok\x1b[39m more", [("ansi-green", "ok"), ("", " more")]),
        ("\x1b[38;5;196mred\x1b[38;2;1;2;3mrgb\x1b[m!", [("", "red"), ("", "rgb"), ("", "!")]),
        ("a\x1b[2Jb\x1b[10;10Hc\x1b]0;title\x07d", [("", "a"), ("", "b"), ("", "c"), ("", "d")]),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", [("", "click")]),
        (" 10%\r 50%\r100%\r", [("", "100%")]),
        ("bell\x07 nul\x00 turn\u202eback", [("", "bell\\x07 nul\\x00 turn\\u202eback")]),
        ("\x1b[1mbold\x1b[22m not", [("bold", "bold"), ("", " not")]),
        ("broken \x1b[", [("", "broken ")]),
        ("", []),
    ],
)
def test_a_line_keeps_its_words_and_colours_alone(line: str, wanted: list[tuple[str, str]]) -> None:
    assert runs_of(line) == wanted


def test_a_line_without_end_is_cut() -> None:
    shown = "".join(text for _, text in runs_of("x" * (LETTERS_MAX + 1234)))

    assert shown.startswith("x" * LETTERS_MAX)
    assert shown.endswith("1,234 more letters")
