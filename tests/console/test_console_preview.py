"""What a page shows of files, addresses and differences: never more than was meant, and never as markup."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from ropewalk.console.look import Wanted
from ropewalk.console.markdown import Block, Piece, blocks
from ropewalk.console.patch import between, lines_of
from ropewalk.console.preview import ROWS, TEXT_BYTES, Shown, image_kind, preview
from ropewalk.console.query import Asked
from ropewalk.console.tree import tree

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def shown(tmp_path: Path):
    def show(name: str, data: bytes) -> Shown:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return preview(name, file, len(data), f"/raw/{name}")

    return show


def test_text_is_text_and_json_is_indented(shown):
    assert shown("notes.txt", "grüße\n".encode()).text == "grüße\n"
    assert shown("a.json", b'{"a":[1]}').text == '{\n  "a": [\n    1\n  ]\n}'
    assert shown("broken.json", b"{").text == "{"


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "page.xhtml", "no_ending"])
def test_markup_is_shown_as_the_text_that_it_is(shown, name):
    found = shown(name, b"<svg onload=alert(1)></svg>")

    assert (found.kind, found.address) == ("text", "")


def test_an_image_is_drawn_only_when_its_bytes_are_one(shown):
    assert shown("roc.png", PNG) == Shown(kind="image", address="/raw/roc.png")
    assert shown("roc.png", b"<svg onload=alert(1)></svg>").kind == "text"
    assert image_kind("roc.png", PNG) == "image/png"
    assert image_kind("roc.png", b"<svg>") == ""
    assert image_kind("roc.svg", PNG) == ""


def test_tables_show_their_head_and_say_what_is_left_out(shown):
    rows = "a,b\n" + "".join(f"{number},x\n" for number in range(ROWS + 5))
    found = shown("t.csv", rows.encode())

    assert [column["name"] for column in found.columns] == ["a", "b"]
    assert len(found.rows) == ROWS
    assert "first 50 rows" in found.told
    assert shown("t.tsv", b"a\tb\n1\t2\n").rows == (("1", "2"),)


def test_parquet_shows_columns_with_their_types(tmp_path: Path):
    file = tmp_path / "t.parquet"
    pl.DataFrame({"age": [1, None], "name": ["x", "<b>"]}).write_parquet(file)
    found = preview("t.parquet", file, file.stat().st_size)

    assert found.columns == ({"name": "age", "kind": "Int64"}, {"name": "name", "kind": "String"})
    assert found.rows == (("1", "x"), ("", "<b>"))


def test_what_cannot_be_shown_says_so(shown):
    assert "no text" in shown("model.bin", b"\x00\x01").told
    assert "no text" in shown("model.pkl", b"\x80\x04\x95").told
    assert "Parquet" in shown("t.parquet", b"PAR0").told
    assert "empty" in shown("t.csv", b"").told
    assert "empty" in shown("t.txt", b"").told


def test_a_long_text_is_cut_between_letters(shown):
    found = shown("long.txt", "ü".encode() * TEXT_BYTES)

    assert found.text == "ü" * (TEXT_BYTES // 2)
    assert "first 256 KiB" in found.told


def test_a_look_at_the_table_comes_back_from_its_own_address():
    asked = Asked(
        experiments=("1", "2"), text="metrics.a > 1 & x", sort="metrics.f1 score", up=True, view="deleted",
        show=("params.lr", "metrics.a/b"), named="né", after="t=",
    )  # fmt: skip
    address = asked.address()

    assert Asked.read(QueryParams(address.partition("?")[2])) == asked
    assert asked.order_by() == ("metrics.`f1 score` ASC",)
    assert asked.but(view="active").after == ""
    assert Asked().address() == "/runs"


def test_an_address_that_says_nonsense_says_nothing():
    asked = Asked.read(QueryParams("sort=evil&show=no&show=metrics.&view=x&up=7"))

    assert asked == Asked()


@pytest.mark.parametrize(
    ("words", "smooth"), [("smooth=nan", 0), ("smooth=7", 0.99), ("smooth=-1", 0), ("smooth=x", 0)]
)
def test_smoothing_stays_between_its_ends(words, smooth):
    assert Wanted.read(QueryParams(words)).look.smooth == smooth


def test_a_look_at_curves_comes_back_from_its_own_words():
    wanted = Wanted.read(QueryParams("axis=clock&log=1&smooth=0.5&only=train%2Floss"))

    assert Wanted.read(QueryParams(wanted.words)) == wanted
    assert Wanted.read(QueryParams("axis=evil&log=2")).words == ""


def test_folders_come_first_and_count_their_files():
    items = tree([("b.txt", 10, "/b"), ("m/x/1", 2048, "/1"), ("m/y", 1, "/y"), ("m", 3, "/m")])

    assert [(item["name"], item["told"]) for item in items] == [("m", "2 files"), ("b.txt", "10 B"), ("m", "3 B")]
    assert items[0]["children"][0]["children"][0] == {
        "name": "1", "told": "2 KiB", "children": [], "files": 1, "address": "/1",
    }  # fmt: skip


def test_a_tree_of_any_depth_has_an_end():
    items = tree([("/".join(["d"] * 5000), 1, "/d")])

    depth = 0
    while items:
        items, depth = items[0]["children"], depth + 1
    assert depth == 41


def test_differences_are_lines_with_their_kind():
    lines = between("a\nb\n", "a\nc\n", ("version 1", "version 2"))

    assert ("minus", "-b") in lines
    assert ("plus", "+c") in lines
    assert between("a", "a", ("1", "2")) == []
    assert lines_of("+x\n" * 5000)[-1] == ("place", "and 1,000 more lines")


def test_a_table_that_mlflow_logged_is_shown_as_a_table_and_other_json_as_text(shown):
    found = shown("eval.json", b'{"columns": ["question", "score"], "data": [["why", 0.5], [null, {"a": 1}]]}')

    assert [column["name"] for column in found.columns] == ["question", "score"]
    assert found.rows == (("why", "0.5"), ("", '{"a": 1}'))
    for other in (
        b'{"columns": ["a"], "data": [[1, 2]]}',
        b'{"columns": [], "data": []}',
        b'{"columns": 1, "data": 2}',
    ):
        assert shown("other.json", other).kind == "text"


def test_markdown_becomes_pieces_and_never_markup():
    text = "# A *b*\n\ntwo\nlines `x` **y**\n\n- one\n- [two](https://e.example)\n\n1. first\n\n```py\n<b>\n```\n"
    text += "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n> said\n\n---\n\n<script>x</script>\n"
    found = blocks(text)

    kinds = ["heading", "paragraph", "list", "numbers", "code", "table", "quote", "rule", "paragraph"]
    assert [one.kind for one in found] == kinds
    assert found[0].level == 1
    assert [(one.kind, one.text) for one in found[1].pieces] == [
        ("text", "two lines "), ("code", "x"), ("text", " "), ("strong", "y"),
    ]  # fmt: skip
    assert found[2].items[1][0] == Piece(kind="link", text="two", link="https://e.example")
    assert found[4].text == "<b>"
    assert [[cell[0].text for cell in row] for row in found[5].rows] == [["a", "b"], ["1", "2"]]
    assert found[8].pieces[0].text == "<script>x</script>"


@given(st.text(alphabet="#*_-`[]()|> \n1.)~!ab"))
def test_any_markdown_ends_and_makes_nothing_up(text):
    written = "".join(one for block in blocks(text) for one in _letters(block))

    assert written.count("a") <= text.count("a")
    assert written.count("b") <= text.count("b")


def _letters(block: Block) -> list[str]:
    lines = [block.pieces, *block.items, *(cell for row in block.rows for cell in row)]
    return [block.text, *(piece.text for line in lines for piece in line)]


@pytest.mark.parametrize("line", ["# y{}x", "# {}#x", "a|b\n{}x-", "a|b\n-{}x", "a|b\n-|-\na|{}x", "-{}x", "[a](b{}x)"])
def test_a_line_of_many_spaces_is_read_in_one_pass(line):
    """Whose end no pattern looks for again from each of its letters: that would take hours, and the whole server."""
    found = blocks(line.format(" " * 50_000))

    assert found
    assert "x" in "".join(one for block in found for one in _letters(block))
