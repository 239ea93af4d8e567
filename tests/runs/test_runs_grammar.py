"""The grammar takes what MLflow's takes, says what it does not understand, and never fails otherwise."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import Invalid
from ropewalk.runs.grammar import (
    LISTS,
    NULLS,
    NUMBERS,
    TEXTS,
    Clause,
    Field,
    Order,
    Vocabulary,
    like,
    parse,
    parse_order,
    spellings,
)

WORDS = Vocabulary(
    thing="boat",
    entities={"metric": "metric", "metrics": "metric", "tags": "tag", "attributes": "attribute"},
    keyed={"metric": Field(kind="number", ops=NUMBERS), "tag": Field(ops=TEXTS | NULLS)},
    fields={
        "attribute": {
            "id": Field(name="id", ops=TEXTS | LISTS),
            "berth": Field(name="berth", orders=False),
            **spellings(Field(name="launched", kind="whole", ops=NUMBERS), ("launched", "Launched at")),
        }
    },
)


def one(text):
    (clause,) = parse(text, WORDS)
    return clause.entity, clause.key, clause.op, clause.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.knots > 1", ("metric", "knots", ">", 1.0)),
        ("metrics.knots>-.5", ("metric", "knots", ">", -0.5)),
        ("metric.knots <= 1e-3", ("metric", "knots", "<=", 0.001)),
        ("metrics.`a b` == 2", ("metric", "a b", "=", 2.0)),
        ('metrics."a/b" <> 2', ("metric", "a/b", "!=", 2.0)),
        ("`metrics`.val/loss = 2", ("metric", "val/loss", "=", 2.0)),
        ("tags.mlflow.runName = 'x'", ("tag", "mlflow.runName", "=", "x")),
        ('tags.a = "it\'s"', ("tag", "a", "=", "it's")),
        ("tags.a = 'it''s'", ("tag", "a", "=", "it's")),
        ("tags.a = 'it\\'s'", ("tag", "a", "=", "it's")),
        ("tags.a = ' \n%_\\ '", ("tag", "a", "=", " \n%_\\ ")),
        ("tags.a like '%x'", ("tag", "a", "LIKE", "%x")),
        ("tags.a iLike '%x'", ("tag", "a", "ILIKE", "%x")),
        ("tags.a is null", ("tag", "a", "IS NULL", None)),
        ("tags.a IS  NOT\tNULL", ("tag", "a", "IS NOT NULL", None)),
        ("id IN ('a', \"b\")", ("attribute", "id", "IN", ("a", "b"))),
        ("attributes.id not in ('a',)", ("attribute", "id", "NOT IN", ("a",))),
        ("launched > 5", ("attribute", "launched", ">", 5)),
        ("attributes.`Launched at` > 1.5", ("attribute", "launched", ">", 1.5)),
        ("`launched` < 99999999999999999999", ("attribute", "launched", "<", (1 << 63) - 1)),
        ('"id" = "x"', ("attribute", "id", "=", "x")),
    ],
)
def test_a_comparison_says_what_is_written(text, expected):
    assert one(text) == expected
    assert type(one(text)[3]) is type(expected[3])


def test_comparisons_are_joined_by_and_in_any_case():
    found = parse("metrics.a > 1 AND tags.and = 'and' and id = 'x'", WORDS)

    assert [clause.key for clause in found] == ["a", "and", "id"]
    assert parse(" \n ", WORDS) == ()


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a", "metrics.a >", "> 0.5", "metrics.a > 'a'", "metrics.a like 3", "tags.a > '8'", "tags.a = eight",
        "tags.a = 8", "speed > 3", "what.a > 3", "metrics.a > 1 or metrics.a < 1", "metrics.a > 1,",
        "and metrics.a > 1", "metrics.a > 1 and",
        "metrics.a > 1 and and metrics.a > 1", "metrics.a ~ 3", "'a' = 'a'", "tags.a = `x`",
        "id = 'a'; drop table boats", "tags.a = 'x", "metrics.a > 1 metrics.b > 1", "id in ()", "id in 'a'",
        "id in ('a' 'b')", "id in ('a', 5)", "id in ('a'", "tags.a in ('a')", "id is null", "metrics.a is null",
        "tags.a is not", "tags.a not like 'x'", "(id = 'a')", "launched > '5'", "launched like '5'", "metrics. > 1",
        "tags.`` = 'x'", "attributes.knots > 1", "metrics.a > 1__2", "metrics.a > nan", "tags.a = 'a' -- x",
        "Metrics.a > 1", " and ".join(["id = 'a'"] * 101), "x" * 100_001, f"tags.a LIKE '{'x' * 10_001}'",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_an_example(text):
    with pytest.raises(Invalid) as caught:
        parse(text, WORDS)

    assert caught.value.code == "filter-invalid"
    assert caught.value.why
    assert caught.value.fix == WORDS.example


def test_a_hundred_comparisons_are_not_too_many():
    assert len(parse(" and ".join(["id = 'a'"] * 100), WORDS)) == 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.a", ("metric", "a", False)),
        ("metrics.a asc", ("metric", "a", False)),
        (" metrics.`a b`  DESC ", ("metric", "a b", True)),
        ('tags."a b"', ("tag", "a b", False)),
        ("attributes.launched Desc", ("attribute", "launched", True)),
        ("`Launched at`", ("attribute", "launched", False)),
    ],
)
def test_an_order_says_what_comes_first(text, expected):
    entity, key, descending = expected

    assert parse_order([text], WORDS) == (Order(entity=entity, key=key, descending=descending),)


@pytest.mark.parametrize(
    "texts",
    [["metrics.a down"], ["metrics.a desc desc"], [""], ["what.a"], ["knots"], ["berth"], ["id", "id desc"], ["'a'"],
     ["launched", "`Launched at` desc"], ["metrics.a; drop"], ["x" * 100_001], [f"metrics.a{n}" for n in range(33)]],
)  # fmt: skip
def test_an_order_that_is_not_understood_is_refused(texts):
    with pytest.raises(Invalid) as caught:
        parse_order(texts, WORDS)

    assert caught.value.code == "order-invalid"


@given(st.text(max_size=200) | st.text("metrics.ag`\"'()=<>!,1-e ANDLIKEINOTUS\\", max_size=60))
def test_no_text_whatever_makes_the_parser_fail_otherwise(text):
    for work in (lambda: parse(text, WORDS), lambda: parse_order([text], WORDS)):
        try:
            found, code = work(), ""
        except Invalid as error:
            found, code = (), error.code
        assert code in ("", "filter-invalid", "order-invalid")
        assert all(isinstance(one, Clause | Order) for one in found)


@given(st.text("ab%_\n", max_size=6), st.text("abA\n", max_size=8))
def test_like_is_what_a_regular_expression_says(pattern, text):
    wanted = pattern.replace("%", ".*").replace("_", ".")

    assert like(pattern, text) is bool(re.fullmatch(wanted, text, re.DOTALL))
    assert like(pattern, text, fold=True) is bool(re.fullmatch(wanted, text, re.DOTALL | re.IGNORECASE))
