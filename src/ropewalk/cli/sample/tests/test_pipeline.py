"""The project's own tests; stage 3 of a delivery runs them."""

import pipeline


def test_the_target_is_known_for_every_row() -> None:
    rows = pipeline.load()

    assert set(rows[pipeline.TARGET]) == {0, 1}
