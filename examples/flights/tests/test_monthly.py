"""Tests what the monthly schedule counts, by the table itself."""

import monthly
import polars as pl
import tables


def test_a_month_is_counted_as_the_table_has_it() -> None:
    july = tables.flights(7, 7)

    found = monthly.monthly("2013-07-01T04:00:00Z")

    late = july.filter(pl.col("arr_delay") > 15).height / july["arr_delay"].count()
    assert found["departures"] == july.height == 29_425
    assert found["never_landed"] == july["arr_delay"].null_count()
    assert abs(found["share_late"] - late) < 1e-12
    assert 0.29 < late < 0.32


def test_the_interval_of_the_last_month_is_december() -> None:
    assert monthly.monthly("2013-12-01T05:00:00Z")["departures"] == tables.flights(12, 12).height
