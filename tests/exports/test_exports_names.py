"""Names that a target refuses are made legal, and stay different from each other."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.exports.names import AIRFLOW, KUBERNETES, PREFECT, PYTHON, unique


def test_legal_names_stay_and_the_others_make_way_for_them():
    found = unique(["Größe", "fit", "Fit", "fit-2", "_load"], KUBERNETES)

    assert found == {"Größe": "groe", "fit": "fit", "Fit": "fit-3", "fit-2": "fit-2", "_load": "load"}


def test_a_name_without_any_letter_that_the_target_knows_is_a_step():
    assert unique(["步骤", "二"], KUBERNETES) == {"步骤": "step", "二": "step-2"}


def test_long_names_are_cut_and_numbered_within_their_length():
    long = "a" * 60

    found = unique([long, long + "b"], KUBERNETES)

    assert found == {long: "a" * 52, long + "b": "a" * 50 + "-2"}


def test_names_that_the_file_itself_uses_are_not_given():
    assert unique(["flow", "class_"], PYTHON, taken={"flow"}) == {"flow": "flow_2", "class_": "class"}


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=12))
def test_every_name_is_legal_and_none_is_given_twice(texts):
    legal = {
        KUBERNETES: r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?",
        AIRFLOW: r"[A-Za-z0-9._-]{1,250}",
        PREFECT: r"[A-Za-z0-9._ -]{1,250}",
        PYTHON: r"[A-Za-z_][A-Za-z0-9_]*",
    }
    for rule, pattern in legal.items():
        found = unique(texts, rule)

        assert len(set(found.values())) == len(texts)
        assert [name for name in found.values() if not re.fullmatch(pattern, name)] == []
