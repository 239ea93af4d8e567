"""What ONNX Runtime answers is brought to the edge of what a probability may be, never further."""

from __future__ import annotations

import numpy as np
import pytest

from ropewalk.models.onnx import _within


def test_probabilities_a_hair_beyond_their_bounds_are_brought_back():
    beyond = np.array([[1.0000001192092896, -1e-8]], dtype=np.float32)

    assert _within(beyond).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("wrong", [1.01, -0.5, np.nan, np.inf])
def test_what_is_no_probability_stays_to_be_seen(wrong):
    found = _within(np.array([[0.5, wrong]]))

    assert str(found[0, 1]) == str(np.float64(wrong))
