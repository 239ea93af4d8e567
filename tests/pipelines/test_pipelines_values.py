"""Values come back as they were, the same value has the same tree, and a changed pickle never acts."""

from __future__ import annotations

import collections
import datetime as dt
import math
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ropewalk.blobs.folder import FolderBucket
from ropewalk.errors import Corrupt, Invalid
from ropewalk.pipelines.graph import select
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.trees import digest_of_tree, libraries_of_tree
from ropewalk.pipelines.values import Shelf
from ropewalk.refs import canonical


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    folder = tmp_path_factory.mktemp("values")
    return Shelf(blobs=FolderBucket(folder / "blobs"), owned=Ownership(str(folder)), code_of=lambda named: {})


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.complex_numbers()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans(), inner, max_size=4)
        | st.sets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


def exactly(value):
    """Return something that is equal only for values of the same types and order."""
    if isinstance(value, dict):
        return ["dict", [[exactly(key), exactly(item)] for key, item in value.items()]]
    if isinstance(value, set):
        return ["set", sorted(repr(exactly(item)) for item in value)]
    if isinstance(value, list | tuple):
        return [type(value), [exactly(item) for item in value]]
    return [type(value), repr(value)]


@given(VALUES)
def test_plain_values_come_back_with_their_types_and_order(shelf, value):
    tree = shelf.encode(value)

    assert exactly(shelf.decode(tree)) == exactly(value)
    assert canonical(tree) == canonical(shelf.encode(shelf.decode(tree)))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), ([1], (1,)), ("1", 1), ({1: 2}, {"1": 2}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (0.0, -0.0)],
)
def test_values_that_python_calls_equal_but_code_can_tell_apart_have_other_digests(shelf, one, other):
    assert digest_of_tree(shelf.encode(one)) != digest_of_tree(shelf.encode(other))


def test_frames_arrays_and_what_holds_them_come_back(shelf):
    frame = pl.DataFrame({"a": [1, None, 3], "b": ["x", "y", None], "t": [dt.datetime.fromisoformat("2013-01-01")] * 3})
    array = np.arange(2000, dtype=np.float32).reshape(20, 100)
    value = {"rows": frame, "lazy": frame.lazy(), "column": frame["a"], "array": array, "one": np.float64(math.pi)}

    tree = shelf.encode(value)
    back = shelf.decode(tree)

    assert_frame_equal(back["rows"], frame)
    assert_frame_equal(back["lazy"].collect(), frame)
    assert back["column"].equals(frame["a"])
    assert back["column"].name == "a"
    assert back["array"].dtype == np.float32
    assert np.array_equal(back["array"], array)
    assert type(back["one"]) is np.float64
    assert back["one"] == math.pi
    assert libraries_of_tree(tree) == {"polars", "numpy"}
    assert digest_of_tree(tree) == digest_of_tree(shelf.encode(value))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b": [0.5, math.nan]}),
        pd.DataFrame({"a": ["x", "y"]}, index=[5, 7]),
        pd.DataFrame({"c": pd.Categorical(["x", "y", "x"], categories=["y", "x"], ordered=True)}),
        pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "o": [{"deep": 1}, [2]]}),
        pd.DataFrame({("a", 1): [1], ("a", 2): [2]}),
        pd.DataFrame({"when": pd.to_datetime(["2013-01-01", "2013-06-01"]).tz_localize("America/New_York")}),
    ],
)
def test_pandas_frames_lose_nothing(shelf, frame):
    back = shelf.decode(shelf.encode(frame))

    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_freq=True)


def test_an_estimator_comes_back_and_predicts_the_same_bits(shelf):
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(size=60), "w": random.choice(["a", "b"], 60)})
    label = (rows["x"] > 0).astype(int)
    for last in (RandomForestClassifier(5, random_state=0), HistGradientBoostingClassifier(max_iter=3)):
        columns = ColumnTransformer([("w", OneHotEncoder(sparse_output=False), ["w"]), ("x", StandardScaler(), ["x"])])
        model = make_pipeline(columns, FunctionTransformer(np.cbrt), last)
        rows["x"] = rows["x"].abs()
        model.fit(rows, label)

        tree = shelf.encode(model)
        back = shelf.decode(tree)

        assert list(tree) == ["$skops", "libraries"]
        assert np.array_equal(back.predict_proba(rows), model.predict_proba(rows))
        assert {"sklearn", "numpy"} <= libraries_of_tree(tree)
        assert shelf.encode(back) == tree


def test_an_estimator_fitted_twice_has_one_tree(shelf):
    from sklearn.ensemble import RandomForestClassifier

    rows = np.random.default_rng(0).normal(size=(60, 3))

    trees = [shelf.encode(RandomForestClassifier(9, random_state=0).fit(rows, rows[:, 0] > 0)) for _ in range(3)]

    assert trees[0] == trees[1] == trees[2]


def test_an_estimator_that_skops_would_change_is_a_pickle(shelf):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression()
    model.note = collections.deque([1, 2], maxlen=2)

    tree = shelf.encode(model)

    assert "$pickle" in tree
    assert shelf.decode(tree).note == model.note


def test_a_skops_file_that_names_what_it_may_not_is_not_loaded(shelf):
    from skops.io import dumps

    digest = shelf.blobs.put(dumps(Path("/etc").joinpath))

    with pytest.raises(Corrupt) as caught:
        shelf.decode({"$skops": digest, "libraries": []})

    assert caught.value.code == "value-untrusted"


def test_a_skops_file_that_is_none_says_so(shelf):
    digest = shelf.blobs.put(b"PK nothing")

    with pytest.raises(Corrupt) as caught:
        shelf.decode({"$skops": digest, "libraries": []})

    assert caught.value.code in ("value-unreadable", "value-untrusted")


def test_decoding_twice_gives_two_objects(shelf):
    tree = shelf.encode({"rows": [1]})

    one, other = shelf.decode(tree), shelf.decode(tree)
    one["rows"].append(2)

    assert other == {"rows": [1]}


@pytest.mark.parametrize("value", [lambda: 1, sys.stderr, iter([1]), os.system, type("Local", (), {})()])
def test_what_cannot_be_kept_is_refused_when_it_is_made(shelf, value):
    with pytest.raises(Invalid) as caught:
        shelf.encode(value)

    assert caught.value.code == "value-unsupported"


def test_a_value_within_itself_is_refused(shelf):
    value: list[object] = []
    value.append(value)

    with pytest.raises(Invalid, match="nested"):
        shelf.encode(value)


class Evil:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch {}",)),
        (eval, ("__import__('os').system('touch {}')",)),
        (getattr, (Path("{}"), "touch")),
        (Path.touch, (Path("{}"),)),
        (np.fromfile, ("{}",)),
        (__import__("importlib").import_module, ("antigravity",)),
        (pd.read_pickle, ("{}",)),
        (__import__("builtins").exec, ("import os",)),
    ],
)
def test_a_pickle_that_names_what_it_may_not_is_not_loaded(shelf, tmp_path, call):
    mark = tmp_path / "touched"
    function, words = call
    words = tuple(word.format(mark) if isinstance(word, str) else word for word in words)
    digest = shelf.blobs.put(pickle.dumps(Evil((function, words))))

    with pytest.raises(Corrupt) as caught:
        shelf.decode({"$pickle": digest, "code": {}, "libraries": []})

    assert caught.value.code == "value-untrusted"
    assert not mark.exists()


def test_a_changed_blob_is_never_decoded(shelf):
    tree = shelf.encode(pl.DataFrame({"a": [1]}))
    path = shelf.blobs.path_of(tree["$frame"])
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(Corrupt):
        shelf.decode(tree)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers()), max_size=4))
def test_a_part_of_a_tree_is_the_tree_of_the_part(shelf, items):
    value = dict(items)
    tree = shelf.encode({"all": (value, [items])})

    for key, part in value.items():
        assert shelf.decode(select(tree, ["all", 0, key])) == part
    with pytest.raises(LookupError):
        select(tree, ["all", 2])
    with pytest.raises(LookupError):
        select(tree, ["none"])


def test_a_polars_frame_is_the_same_value_however_its_memory_lies(shelf):
    whole = pl.DataFrame({"k": list(range(100)), "s": [f"a text of many letters {k % 7}" for k in range(100)]})
    pieces = pl.concat([whole[:30], whole[30:]], rechunk=False)
    even = pl.col("k") % 2 == 0
    made = [
        whole.filter(even),
        pieces.filter(even),
        pieces.lazy().filter(even).collect(),
        pl.DataFrame(whole.filter(even).to_dicts()),
        whole.filter(even).set_sorted("k"),
    ]

    assert len({digest_of_tree(shelf.encode(frame)) for frame in made}) == 1
    assert digest_of_tree(shelf.encode(whole.filter(~even))) != digest_of_tree(shelf.encode(made[0]))
