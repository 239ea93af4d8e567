from __future__ import annotations

import gzip
import json
import struct
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints.live import ROW, Caller, add_release, serving, split
from ropewalk.endpoints import arrow, capture
from ropewalk.endpoints.flatbuffer import Table
from ropewalk.errors import Invalid
from ropewalk.site import Site

PREDICT = "/endpoints/flights/predict"
STREAM, FILE = arrow.STREAM.decode(), arrow.FILE.decode()


def stream(frame: pl.DataFrame, **more: Any) -> bytes:
    out = BytesIO()
    frame.write_ipc_stream(out, **{"compression": "uncompressed", **more})
    return out.getvalue()


def file(frame: pl.DataFrame, **more: Any) -> bytes:
    out = BytesIO()
    frame.write_ipc(out, **{"compression": "uncompressed", **more})
    return out.getvalue()


TABLE = pl.DataFrame({"x": [0.5, 3.0, -2.5], "city": ["EWR", None, "a name longer than twelve letters"]})


def test_a_table_is_answered_as_its_rows_in_json_are(flights: Caller, real: Site) -> None:
    status, headers, body = flights.ask("POST", PREDICT, stream(TABLE), Content_Type=STREAM, Accept=STREAM)
    filed = flights.ask("POST", PREDICT, file(TABLE), Content_Type=FILE, Accept=FILE)

    table = pl.read_ipc_stream(BytesIO(body))
    plain = flights.predict(*TABLE.to_dicts())[1]["predictions"]
    assert (status, headers["content-type"]) == (200, STREAM)
    assert (filed[0], filed[1]["content-type"]) == (200, FILE)
    assert pl.read_ipc(BytesIO(filed[2])).drop("id").equals(table.drop("id"))
    assert table.columns == ["id", "release", "probability", "label", "warnings", "error"]
    assert table["probability"].to_list() == [one["probability"] for one in plain]
    assert table["release"].to_list() == ["flights/1"] * 3
    assert [said is not None for said in table["warnings"]] == ["warnings" in one for one in plain]
    assert capture.find(real, table["id"][2])["in.city"] == "a name longer than twelve letters"


def test_json_may_be_answered_with_a_table_and_a_table_in_gzip_with_json(flights: Caller) -> None:
    _, headers, body = flights.ask("POST", PREDICT, {"records": [ROW]}, Accept=STREAM)
    body_in_gzip = gzip.compress(stream(TABLE.head(1)))
    _, _, told = flights.ask("POST", PREDICT, body_in_gzip, Content_Type=STREAM, Content_Encoding="gzip")

    assert headers["content-type"] == STREAM
    assert pl.read_ipc_stream(BytesIO(body))["label"].to_list() == [1]
    assert json.loads(told)["predictions"][0]["label"] == 1


def test_keys_and_times_may_be_columns(flights: Caller, real: Site) -> None:
    at = datetime(2013, 9, 1, 6, tzinfo=UTC)
    table = TABLE.head(2).with_columns(pl.Series("$key", ["a", None]), pl.Series("$time", [at, None]))

    status, _, _ = flights.ask("POST", PREDICT, stream(table), Content_Type=STREAM)

    rows = capture.read(real, "flights")
    assert (status, rows["key"].to_list()) == (200, ["a", None])
    assert rows["event_us"][0] == at.timestamp() * 1_000_000
    wrong = flights.ask("POST", PREDICT, stream(table.with_columns(pl.lit(7).alias("$key"))), Content_Type=STREAM)
    assert (wrong[0], json.loads(wrong[2])["where"]) == (400, "$key")


def test_rows_are_held_against_the_contract_and_caps(real: Site) -> None:
    split(real, add_release(real, 1))
    with serving(real, body_bytes_max=1 << 18) as flights:

        def asked(table: pl.DataFrame) -> tuple[int, dict[str, Any]]:
            status, _, body = flights.ask("POST", PREDICT, stream(table), Content_Type=STREAM)
            return status, json.loads(body)

        unfit = asked(pl.DataFrame({"x": [0.5, None], "wings": [1, 2]}))
        empty = asked(TABLE.head(0))
        long = asked(pl.DataFrame({"x": [0.5] * 10_001}))
        large = asked(pl.DataFrame({"x": [0.5] * 40_000}))

    assert unfit[0] == 422
    assert {(one["record"], one["field"], one["rule"]) for one in unfit[1]["problems"]} == {
        (0, "wings", "unknown"), (1, "wings", "unknown"), (1, "x", "null"),
    }  # fmt: skip
    assert (empty[0], long[0], large[0]) == (400, 400, 413)


WIDE: dict[str, list[Any]] = {
    **{f"i{bits}": [1, None, -7] for bits in (8, 16, 32, 64)},
    **{f"u{bits}": [1, None, 7] for bits in (8, 16, 32, 64)},
    "f32": [0.5, None, -1.0],
    "f64": [0.5, None, -1.0],
    "nan": [float("nan"), None, 1.0],
    "flag": [True, None, False],
    "short": ["a", None, "é"],
    "long": ["a name longer than twelve letters", "", None],
    "word": ["EWR", "JFK", None],
    "day": [date(2013, 9, 1), None, date(1969, 12, 31)],
    "at": [datetime(2013, 9, 1, 6, 0, 0, 7, UTC), None, datetime(1969, 12, 31, tzinfo=UTC)],
    "none": [None, None, None],
}


def wide() -> pl.DataFrame:
    kinds: dict[str, Any] = {
        **{f"i{bits}": getattr(pl, f"Int{bits}") for bits in (8, 16, 32, 64)},
        **{f"u{bits}": getattr(pl, f"UInt{bits}") for bits in (8, 16, 32, 64)},
        "f32": pl.Float32,
        "word": pl.Categorical,
        "none": pl.Null,
    }
    return pl.DataFrame([pl.Series(name, values, kinds.get(name)) for name, values in WIDE.items()])


@pytest.mark.parametrize("level", ["oldest", "newest"])
def test_every_type_is_read_as_what_json_would_say(level: str) -> None:
    how = {"compat_level": getattr(pl.CompatLevel, level)()}
    wanted = dict(WIDE)
    wanted["nan"] = [None, None, 1.0]
    wanted["day"] = ["2013-09-01T00:00:00+00:00", None, "1969-12-31T00:00:00+00:00"]
    wanted["at"] = ["2013-09-01T06:00:00.000007+00:00", None, "1969-12-31T00:00:00+00:00"]

    for write in (stream, file):
        assert arrow.read(write(wide(), **how), WIDE, 10) == wanted
        assert arrow.read(write(wide(), **how), ["f64"], 10)["i8"] == [None] * 3


def test_times_of_every_unit_are_the_same_instant() -> None:
    at = pl.Series("at", [datetime(2013, 9, 1, 6, tzinfo=UTC)])
    table = pl.DataFrame([at.dt.cast_time_unit(unit).alias(unit) for unit in ("ms", "us", "ns")])

    assert set(map(tuple, arrow.read(stream(table), table.columns, 10).values())) == {("2013-09-01T06:00:00+00:00",)}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no schema"),
        (b"ARROW1\0\0", "leads out"),
        (file(TABLE)[:-3], "too early"),
        (b"PAR1" * 20, "does not begin"),
        (stream(TABLE, compression="zstd"), "compressed"),
        (stream(pl.DataFrame({"x": [[1.0]]})), "lists"),
        (stream(pl.DataFrame({"x": [b"1"]})), "of a type"),
        (stream(TABLE)[:-200], "too early"),
    ],
)
def test_what_is_not_read_here_says_why(body: bytes, why: str) -> None:
    with pytest.raises(Invalid) as told:
        arrow.read(body, ["x", "city"], 10)

    assert told.value.code == "arrow-malformed"
    assert why in told.value.why


def test_columns_of_nothing_hold_no_more_than_was_sent() -> None:
    nothing = pl.DataFrame({f"c{at}": pl.Series([None] * 10_000, dtype=pl.Null) for at in range(200)})

    assert len(stream(nothing)) < 1 << 14
    with pytest.raises(Invalid) as told:
        arrow.read(stream(nothing), ["x"], 10_000)
    assert len(arrow.read(stream(nothing.head(1000)), ["x"], 10_000)["c7"]) == 1000
    assert "far more than was sent" in told.value.why


@pytest.mark.parametrize(("field", "wanted"), [(2, "city"), (3, "x")])
def test_a_footer_names_no_bytes_twice(field: int, wanted: str) -> None:
    body = file(TABLE.with_columns(pl.col("city").cast(pl.Categorical)), compat_level=pl.CompatLevel.oldest())
    tail = len(body) - 10
    begin = tail - struct.unpack_from("<i", body, tail)[0]
    footer = bytearray(body[begin:tail])
    table = Table.root(bytes(footer))
    place = table._place(field)
    struct.pack_into("<I", footer, place, len(footer) - place)
    footer += struct.pack("<I", 50) + 50 * struct.pack("<3q", *table.numbers(field, 3, 1)[0])
    again = body[:begin] + footer + struct.pack("<i", len(footer)) + b"ARROW1"

    assert arrow.read(body, [wanted], 1000)[wanted]
    with pytest.raises(Invalid) as told:
        arrow.read(again, [wanted], 1000)
    assert "overlap" in told.value.why


SEEDS = (stream(wide()), file(wide()), stream(wide(), compat_level=pl.CompatLevel.newest()), stream(TABLE))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_changed_byte_anywhere_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(body)))

    try:
        columns = arrow.read(bytes(body[:cut]), [*WIDE, "x", "city"], 1000)
    except Invalid:
        return
    assert len({len(values) for values in columns.values()}) <= 1
