"""A profile tells the figures of a frame, adds up over parts, and draws a page that nothing breaks out of."""
# ruff: noqa: DTZ001 - times without a zone are what most tables hold

import datetime as dt
import html.parser
import json
import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.data.page import to_html
from ropewalk.data.profile import BINS_MAX, TOP_MAX, Profile, count_bins, from_json, profile, to_json
from ropewalk.errors import Invalid


def column(values, **kwargs):
    return profile(pl.DataFrame({"x": pl.Series(values, **kwargs)})).columns[0]


def test_the_figures_of_a_number_column_are_the_known_ones():
    found = column([*range(1, 101), None, None])

    assert (found.rows, found.nulls, found.distinct) == (102, 2, 100)
    assert (found.min, found.max, found.mean) == (1, 100, 50.5)
    assert found.std == pytest.approx(29.011491975882)
    assert found.quantiles == (2, 6, 26, 51, 76, 96, 100)
    assert sum(found.counts) == 100
    assert len(found.counts) == len(found.edges) + 1 <= BINS_MAX


def test_a_column_of_few_values_has_a_bin_for_each():
    found = column([3, 1, 1, 7, 7, 7])

    assert found.edges == (3, 7)
    assert found.counts == (2, 1, 3)
    assert found.distinct == 3


def test_a_heavy_value_takes_one_bin_and_the_others_keep_theirs():
    found = column([0.0] * 900 + [float(n) for n in range(1, 101)])

    assert found.counts[0] == 900
    assert sum(found.counts) == 1000
    assert BINS_MAX - 2 <= len(found.counts) <= BINS_MAX
    assert max(found.counts[1:]) <= 2
    assert list(found.edges) == sorted(set(found.edges))


@given(st.lists(st.integers(0, 200) | st.sampled_from([0, 7, 150]), min_size=1, max_size=400))
def test_no_column_has_more_bins_than_allowed_or_loses_a_row(values):
    found = column(values)

    assert sum(found.counts) == len(values)
    assert len(found.counts) == len(found.edges) + 1 <= BINS_MAX
    assert list(found.edges) == sorted(set(found.edges))


def test_nan_is_empty_and_an_infinity_is_counted_apart():
    found = column([1.0, 2.0, math.nan, None, math.inf, -math.inf])

    assert (found.nulls, found.infinite, found.min, found.max, found.mean) == (2, 2, 1.0, 2.0, 1.5)
    assert sum(found.counts) == 4
    assert from_json(to_json(Profile(rows=6, columns=(found,)))).columns[0] == found


@pytest.mark.parametrize(
    "values",
    [[], [None, None], [math.nan], [math.inf] * 3, [5], [1e308, -1e308], [2**63 - 1, -(2**63)]],
)
def test_strange_columns_still_have_a_profile_that_json_can_say(values):
    series = pl.Series(values, dtype=pl.Int64 if values and isinstance(values[0], int) else pl.Float64)

    found = profile(pl.DataFrame({"x": series}))

    assert from_json(to_json(found)) == found
    assert "NaN" not in to_json(found).decode()
    assert to_html(found).endswith("</html>\n")


def test_texts_are_counted_with_the_rest_named():
    found = column([f"v{n:03d}" for n in range(100) for _ in range(n + 1)])

    assert found.top[0] == ("v099", 100)
    assert len(found.top) == TOP_MAX
    assert found.other == sum(range(1, 101 - TOP_MAX))
    assert found.distinct == 100


def test_equally_frequent_texts_come_in_the_order_of_the_alphabet():
    assert column(["b", "a", "c", None, "a", "b", "c"]).top == (("a", 2), ("b", 2), ("c", 2))


def test_booleans_and_times_have_profiles_too():
    assert column([True, False, True, None]).top == (("true", 2), ("false", 1))
    found = column([dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 2), None])

    assert (found.type, found.min, found.max) == ("datetime", "2013-01-01T00:00:00.000Z", "2013-01-02T00:00:00.000Z")
    assert found.edges == (1_357_084_800_000_000,)
    assert found.nulls == 1
    assert column([[1], None]).type == "other"


@given(st.lists(st.floats(allow_nan=False) | st.none(), max_size=60), st.integers(0, 60))
def test_the_bins_of_two_parts_add_up_to_those_of_the_whole(values, cut):
    whole = pl.Series("x", values, dtype=pl.Float64)
    edges = column(values, dtype=pl.Float64).edges

    parts = [count_bins(part, edges) for part in (whole[:cut], whole[cut:])]

    assert tuple(map(sum, zip(*parts, strict=True))) == count_bins(whole, edges)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=80), st.lists(st.integers(-60, 60), unique=True, max_size=8))
def test_bins_count_as_a_plain_loop_does(values, cuts):
    edges = [float(cut) for cut in sorted(cuts)]
    bounds = [-math.inf, *edges, math.inf]

    expected = tuple(sum(low <= value < high for value in values) for low, high in pairwise(bounds))

    assert count_bins(pl.Series(values), edges) == expected


def test_the_distribution_at_the_edges_is_the_exact_one():
    values = np.random.default_rng(7).lognormal(size=20_000)
    found = column(values)

    shares = np.cumsum(found.counts)[:-1] / len(values)
    exact = [(values < edge).mean() for edge in found.edges]

    assert np.abs(shares - exact).max() == 0
    assert max(found.counts) < 2 * len(values) / BINS_MAX


def test_the_same_frame_gives_the_same_bytes():
    frame = pl.DataFrame({"a": [3.5, 1.25, None] * 50, "b": ["x", "y", "z"] * 50})

    assert to_json(profile(frame)) == to_json(profile(frame.clone()))
    assert json.loads(to_json(profile(frame)))["rows"] == 150


def test_what_is_no_profile_is_refused():
    with pytest.raises(Invalid) as caught:
        from_json(b'{"rows": "many"}')

    assert caught.value.code == "profile-invalid"


class Seen(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_texts_of_the_data_as_text_and_loads_nothing():
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    frame = pl.DataFrame({evil: [evil, "<b>", ""], "n": [1, 2, 30]})

    page = to_html(profile(frame), title=evil)
    seen = Seen()
    seen.feed(page)

    assert not {"script", "img", "b", "link", "iframe"} & set(seen.tags)
    assert seen.links == []
    assert seen.tags.count("svg") == 2
    assert evil in seen.texts
    assert "(empty text)" in seen.texts


def test_the_page_of_a_wide_frame_stays_small():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({f"c{n}": rng.normal(size=2000) for n in range(20)})

    assert len(to_html(profile(frame))) < 300_000


def test_the_drawn_bars_have_the_area_of_their_share():
    found = profile(pl.DataFrame({"x": [float(n) for n in range(1000)]}))
    heights = [float(piece.split('"')[0]) for piece in to_html(found).split(' height="')[2:]]

    assert len(heights) == BINS_MAX
    assert min(heights) > 0.8 * max(heights), "equal shares over equal widths are equally tall"
