"""The same rows give the same bytes, whatever made them, and come back as they were."""
# ruff: noqa: DTZ001 - times without a zone are what most tables hold

import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ropewalk.data import frames
from ropewalk.errors import Corrupt, Invalid, NotFound


def every_type():
    return pl.DataFrame(
        {
            "whole": [1, None, -(2**62)],
            "number": [0.1, float("nan"), -0.0],
            "flag": [True, None, False],
            "text": ["ü", "", None],
            "when": [dt.datetime(2013, 1, 1, 6), None, dt.datetime(1969, 12, 31)],
            "day": [dt.date(2013, 1, 1), None, dt.date(1900, 1, 1)],
            "zoned": pl.Series([dt.datetime(2013, 1, 1), None, None]).dt.replace_time_zone("America/New_York"),
            "list": [[1.0, 2.0], [], None],
            "small": pl.Series([1, 2, 255], dtype=pl.UInt8),
            "choice": pl.Series(["b", "a", None], dtype=pl.Enum(["a", "b"])),
        }
    )


def test_a_frame_comes_back_as_it_was(site):
    ref = frames.write(site.blobs, every_type())

    assert_frame_equal(frames.read(site.blobs, ref.digest), every_type())
    assert (ref.rows, ref.columns) == (3, 10)
    assert ref.bytes == site.blobs.size(ref.digest)
    assert ref.schema[0] == ("whole", "Int64")


def test_chunks_slices_and_laziness_do_not_change_the_digest(site):
    whole = pl.DataFrame({"a": range(10), "b": [f"t{n}" for n in range(10)]})
    chunked = pl.concat([whole[:4], whole[4:]], rechunk=False)
    sliced = pl.concat([whole, whole])[10:]

    digests = {frames.write(site.blobs, frame).digest for frame in (whole, chunked, sliced, whole.lazy())}

    assert len(digests) == 1


def test_uneven_chunks_of_many_rows_do_not_change_the_digest(site):
    whole = pl.DataFrame({"n": range(600_000)})
    chunked = pl.concat([whole[:7], whole[7:300_001], whole[300_001:]], rechunk=False)

    assert frames.write(site.blobs, whole).digest == frames.write(site.blobs, chunked).digest


def test_another_value_order_or_type_gives_another_digest(site):
    whole = pl.DataFrame({"a": [1, 2], "b": [1, 2]})
    others = [
        whole.with_columns(a=pl.Series([1, 3])),
        whole.reverse(),
        whole.select("b", "a"),
        whole.cast(pl.Int32),
        whole.rename({"a": "c"}),
    ]

    assert len({frames.write(site.blobs, frame).digest for frame in (whole, *others)}) == 6


SCRIPT = """
import sys
from pathlib import Path
import polars as pl
from ropewalk.blobs.folder import FolderBucket
from ropewalk.data.frames import write
seen = [pl.Series([text, "earlier"], dtype=pl.Categorical) for text in sys.argv[2]]
frame = pl.DataFrame({"n": range(70_000), "c": pl.Series(["x", "y", "z", "y", "x"] * 14_000, dtype=pl.Categorical)})
print(write(FolderBucket(Path(sys.argv[1])), frame).digest)
"""


def test_every_process_gives_the_same_bytes_even_for_categories_it_numbered_in_another_order(tmp_path):
    digests = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "blobs"), order],
            capture_output=True,
            text=True,
            check=True,
            env={"POLARS_MAX_THREADS": threads},
        ).stdout.strip()
        for order, threads in (("xyz", "1"), ("zyx", "2"))
    ]

    assert digests[0] == digests[1]
    assert digests[0].startswith("sha256:")


def test_a_pandas_frame_is_the_same_as_the_polars_frame_with_its_values(site):
    shuffled = pd.DataFrame(
        {
            "n": np.array([1, 2, 3]),
            "x": [0.5, np.nan, 1.5],
            "flag": [True, False, True],
            "text": ["a", None, "c"],
            "kind": pd.Categorical(["u", "v", "u"]),
            "when": pd.to_datetime(["2013-01-01", None, "2013-01-03"]).astype("datetime64[us]"),
            "zoned": pd.to_datetime(["2013-01-01", None, "2013-01-03"]).tz_localize("UTC"),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
        },
        index=[7, 3, 5],
    )

    found = frames.as_polars(shuffled)

    assert found.to_dict(as_series=False) == {
        "n": [1, 2, 3],
        "x": [0.5, None, 1.5],
        "flag": [True, False, True],
        "text": ["a", None, "c"],
        "kind": ["u", "v", "u"],
        "when": [dt.datetime(2013, 1, 1), None, dt.datetime(2013, 1, 3)],
        "zoned": [dt.datetime(2013, 1, 1, tzinfo=dt.UTC), None, dt.datetime(2013, 1, 3, tzinfo=dt.UTC)],
        "maybe": [1, None, 3],
    }
    assert frames.write(site.blobs, shuffled).digest == frames.write(site.blobs, found).digest


def test_pandas_gets_back_what_it_gave():
    given = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "flag": [True, False], "text": ["a", None]})

    found = frames.to_pandas(frames.as_polars(given))

    assert found["n"].dtype == "int64"
    assert found["x"].dtype == "float64"
    assert found["flag"].dtype == "bool"
    assert found["text"].tolist()[0] == "a"
    assert found["text"].isna().tolist() == [False, True]
    found.loc[0, "n"] = 9  # the arrays are the caller's own


def test_a_pandas_column_of_mixed_values_is_named(site):
    with pytest.raises(Invalid) as caught:
        frames.write(site.blobs, pd.DataFrame({"good": [1, 2], "bad": pd.Series([1, "a"], dtype=object)}))

    assert caught.value.code == "frame-column-mixed"
    assert caught.value.where == "bad"
    assert list(site.blobs.digests()) == []


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(Invalid) as caught:
        frames.as_polars(pd.DataFrame([[1, 2]], columns=["a", "a"]))

    assert caught.value.code == "frame-names-double"


@pytest.mark.parametrize("value", [None, [1, 2], {"a": [1]}, "frame"])
def test_what_is_no_frame_is_refused(site, value):
    with pytest.raises(Invalid) as caught:
        frames.write(site.blobs, value)

    assert caught.value.code == "frame-expected"
    assert not frames.is_frame(value)


def test_python_objects_are_refused(site):
    with pytest.raises(Invalid) as caught:
        frames.write(site.blobs, pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}))

    assert caught.value.code == "frame-not-kept"


def test_a_changed_or_foreign_blob_is_not_read(site):
    ref = frames.write(site.blobs, every_type())
    path = site.blobs.path_of(ref.digest)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)

    with pytest.raises(Corrupt, match="no longer"):
        frames.read(site.blobs, ref.digest)
    with pytest.raises(Corrupt, match="not a Parquet"):
        frames.read(site.blobs, site.blobs.put(b"no parquet"))
    with pytest.raises(NotFound):
        frames.scan(site.blobs, "sha256:" + "0" * 64)


def test_an_empty_frame_keeps_its_types(site):
    empty = every_type().clear()

    assert_frame_equal(frames.read(site.blobs, frames.write(site.blobs, empty).digest), empty)
    assert frames.write(site.blobs, pl.DataFrame()).rows == 0
