"""Past predictions are answered again by the same bundle with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evidence.delivered import Delivered, opened
from evidence.test_evidence_trace import journaled
from ropewalk import house
from ropewalk.endpoints.capture import read
from ropewalk.errors import NotFound, Refused
from ropewalk.evidence.replay import replay, replay_many, same_bits
from ropewalk.house import House

Score = Callable[[str, pl.DataFrame], pl.DataFrame]


def rows_of(site: Any, count: int) -> list[dict[str, Any]]:
    return read(site, "flights").head(count).to_dicts()


def test_a_thousand_recorded_predictions_give_the_same_bits(reading: House, delivered: Delivered) -> None:
    rows = rows_of(reading.site, 1000)

    again = replay_many(reading.site, rows, house.score(reading))

    assert len(again) == 1000
    assert [one.differs for one in again if not one.equal] == []
    assert [one.id for one in again] == [row["id"] for row in rows]
    assert {one.release for one in again} == {"flights/1"}
    assert len({one.then["probability"] for one in again}) > 100


def test_alone_is_as_in_a_batch(reading: House, delivered: Delivered) -> None:
    score = house.score(reading)

    for prediction in (delivered.predictions[0], delivered.predictions[-1]):
        found = replay(reading.site, prediction, score)
        assert found.equal
        assert found.now.keys() == found.then.keys() == {"probability", "label"}


def test_threads_change_no_bit(reading: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        monkeypatch.setenv(name, "3")

    again = replay_many(reading.site, rows_of(reading.site, 200), house.score(reading))

    assert all(one.equal for one in again)


def test_a_bit_that_differs_is_named(reading: House) -> None:
    score = house.score(reading)

    def off_by_one_bit(bundle: str, frame: pl.DataFrame) -> pl.DataFrame:
        return score(bundle, frame).with_columns(pl.col("probability") * (1 + 2**-52))

    unsure = next(row["id"] for row in rows_of(reading.site, 1000) if 0.2 < row["out.probability"] < 0.8)
    found = replay(reading.site, unsure, off_by_one_bit)

    assert not found.equal
    assert found.differs == ("probability",)


def test_each_release_is_asked_once(reading: House) -> None:
    asked: list[tuple[str, int]] = []
    score = house.score(reading)

    def counting(bundle: str, frame: pl.DataFrame) -> pl.DataFrame:
        asked.append((bundle, frame.height))
        return score(bundle, frame)

    replay_many(reading.site, rows_of(reading.site, 50), counting)

    assert [height for _, height in asked] == [50]


def test_a_value_that_was_not_given_is_null_again(copied: Path) -> None:
    frames: list[pl.DataFrame] = []

    def answer(_bundle: str, frame: pl.DataFrame) -> pl.DataFrame:
        frames.append(frame)
        return pl.DataFrame({"probability": [0.5], "label": [0]})

    with opened(copied) as open_:
        prediction = journaled(open_.site, **{"in": {"hour": [1.5], "wind": [None]}})
        assert replay(open_.site, prediction, answer).equal

    assert frames[0].to_dicts() == [{"hour": 1.5, "wind": None}]


def test_an_answer_that_was_an_error_cannot_be_made_again(copied: Path) -> None:
    def never(_bundle: str, _frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError

    with opened(copied) as open_:
        failed = journaled(open_.site, status="invalid_output", error="NaN", out={})
        with pytest.raises(Refused) as caught:
            replay(open_.site, failed, never)

    assert caught.value.code == "replay-of-error"
    assert failed in caught.value.fix


def test_an_id_that_nobody_was_answered_with_is_not_found(reading: House) -> None:
    with pytest.raises(NotFound):
        replay(reading.site, "nobody", house.score(reading))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1, 0.1, True),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (1, 1.0, False),
        (1, True, False),
        ("late", "late", True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_bits_are_compared_and_not_numbers(one: object, other: object, same: bool) -> None:
    assert same_bits(one, other) is same
