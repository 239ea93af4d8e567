"""Checking a whole frame against a contract: one fused pass, and a second look only at what is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from ropewalk.data.contract import Column, Contract, parse_time
from ropewalk.data.frames import as_polars
from ropewalk.data.kinds import comparable_column, empty, kind_of

SAMPLES = 5
Level = Literal["error", "warning"]
Schema = dict[str, pl.DataType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One place where it is broken.

    Attributes:
        row: number of the row, from 0.
        value: what stands there, as text; both values for a rule.
    """

    row: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule of the contract that a frame breaks.

    Attributes:
        column: which column; the rule's left one for a rule between columns.
        rule: `missing`, `unknown`, `type`, `null`, `null_share`, `finite`, `min`, `max`, `category`, `unique`, or the
            text of a rule between columns such as `sched_dep <= sched_arr`.
        level: `error` or `warning`.
        count: how many rows break it; all rows where the column itself is wrong.
        wanted: what was wanted, in words.
        samples: the first places.
    """

    column: str
    rule: str
    level: Level
    count: int
    wanted: str
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        rows: how many rows were looked at.
        violations: what is broken, in the contract's order.
    """

    rows: int
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Violation, ...]:
        """What may not be."""
        return tuple(item for item in self.violations if item.level == "error")

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """What should not be."""
        return tuple(item for item in self.violations if item.level == "warning")

    def record(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """One thing to look at: a cheap look for the pass over all rows, and the exact rows for where it fails."""

    column: str
    rule: str
    level: Level
    wanted: str
    look: pl.Expr
    broken: pl.Expr
    value: pl.Expr
    limit: float | str | None = None  # the look breaks it beyond this: above for counts and max, below for min


def check(contract: Contract, frame: object) -> Report:
    """Return where a frame breaks a contract.

    Args:
        contract: what is wanted.
        frame: a polars DataFrame, a LazyFrame (streamed, for Parquet larger than memory) or a pandas DataFrame.
    """
    lazy = frame if isinstance(frame, pl.LazyFrame) else as_polars(frame).lazy()
    schema: Schema = dict(lazy.collect_schema())
    tests = [*_column_tests(contract, schema), *_rule_tests(contract, schema)]
    looks = [test.look.alias(str(place)) for place, test in enumerate(tests)]
    seen = lazy.select(pl.len().alias("rows"), *looks).collect(engine="streaming").row(0, named=True)
    rows = int(seen["rows"])
    broken = [test for place, test in enumerate(tests) if _beyond(test, seen[str(place)], rows)]
    return Report(rows=rows, violations=(*_misfits(contract, schema, rows), *_second_look(lazy, broken)))


def _beyond(test: _Test, value: Any, rows: int) -> bool:  # noqa: ANN401 - whatever the column holds
    if value is None:
        return False
    if test.rule == "min":
        return value < test.limit
    if test.rule == "null_share":
        return value > float(test.limit or 0) * rows
    return value > (test.limit if test.rule == "max" else 0)


def _misfits(contract: Contract, schema: Schema, rows: int) -> Iterator[Violation]:
    """Yield columns that are not there, not known, or of another type."""
    for column in contract.columns:
        dtype = schema.get(column.name)
        if dtype is None:
            if column.name != contract.target:
                yield Violation(
                    column=column.name, rule="missing", level="error", count=rows, wanted=f"a column of {column.type}"
                )
        elif not _fits(column, dtype):
            yield Violation(
                column=column.name, rule="type", level="error", count=rows, wanted=f"{column.type}, found {dtype}"
            )
    if contract.closed:
        known = {column.name for column in contract.columns}
        for name in schema:
            if name not in known:
                yield Violation(column=name, rule="unknown", level="error", count=rows, wanted="no column of this name")


def _fits(column: Column, dtype: pl.DataType) -> bool:
    kind = kind_of(dtype)
    return kind == column.type or {kind, column.type} == {"int", "float"} or isinstance(dtype, pl.Null)


def _column_tests(contract: Contract, schema: Schema) -> Iterator[_Test]:
    for column in contract.columns:
        dtype = schema.get(column.name)
        if dtype is None or not _fits(column, dtype):
            continue
        yield from _presence(column, dtype)
        if isinstance(dtype, pl.Null):
            continue
        yield from _numbers(column, dtype)
        yield from _values(column, dtype)


def _presence(column: Column, dtype: pl.DataType) -> Iterator[_Test]:
    gone = empty(column.name, dtype)
    # null_count is known without a look at the rows; NaN has to be counted.
    look = pl.col(column.name).null_count() + (
        pl.col(column.name).is_nan().sum() if dtype.is_float() else pl.lit(0, dtype=pl.UInt32)
    )
    if not column.nullable:
        yield _Test(
            column=column.name,
            rule="null",
            level="error",
            wanted="a value in every row",
            look=look,
            broken=gone,
            value=pl.col(column.name),
        )
    elif column.max_null_share is not None:
        yield _Test(
            column=column.name,
            rule="null_share",
            level="error" if column.strict else "warning",
            wanted=f"at most {column.max_null_share:.2%} empty",
            look=look,
            broken=gone,
            value=pl.col(column.name),
            limit=column.max_null_share,
        )


def _numbers(column: Column, dtype: pl.DataType) -> Iterator[_Test]:
    value = comparable_column(column.name, dtype)
    level: Level = "error" if column.strict else "warning"
    if dtype.is_float():
        infinite = pl.col(column.name).is_infinite()
        yield _Test(
            column=column.name,
            rule="finite",
            level="error",
            wanted="finite numbers",
            look=infinite.sum(),
            broken=infinite,
            value=value,
        )
        if column.type == "int":
            part = pl.col(column.name).is_finite() & (pl.col(column.name) != pl.col(column.name).floor())
            yield _Test(
                column=column.name,
                rule="type",
                level="error",
                wanted="whole numbers",
                look=part.sum(),
                broken=part,
                value=value,
            )
    for rule, bound in (("min", column.min), ("max", column.max)):
        if bound is None:
            continue
        limit = parse_time(column.name, bound) if isinstance(bound, str) else bound
        outside = value < limit if rule == "min" else (value > limit)
        if dtype.is_float():
            outside &= value.is_not_nan()  # polars calls NaN greater than all numbers
        yield _Test(
            column=column.name,
            rule=rule,
            level=level,
            wanted=f"at {'least' if rule == 'min' else 'most'} {bound}",
            look=value.min() if rule == "min" else value.max(),
            broken=outside,
            value=pl.col(column.name),
            limit=limit,
        )


def _values(column: Column, dtype: pl.DataType) -> Iterator[_Test]:
    level: Level = "error" if column.strict else "warning"
    value = comparable_column(column.name, dtype)
    if column.categories is not None:
        other = ~value.is_in(list(column.categories))
        yield _Test(
            column=column.name,
            rule="category",
            level=level,
            wanted=f"one of {len(column.categories)} known texts",
            look=other.sum(),
            broken=other,
            value=value,
        )
    if column.unique:
        yield _Test(
            column=column.name,
            rule="unique",
            level=level,
            wanted="every value once",
            look=value.drop_nulls().len() - value.drop_nulls().n_unique(),
            broken=value.is_duplicated() & value.is_not_null(),
            value=value,
        )


def _rule_tests(contract: Contract, schema: Schema) -> Iterator[_Test]:
    kinds = {column.name: column for column in contract.columns}
    for rule in contract.rules:
        dtypes = [schema.get(name) for name in (rule.left, rule.right)]
        if not all(
            dtype is not None and _fits(kinds[name], dtype)
            for name, dtype in zip((rule.left, rule.right), dtypes, strict=True)
        ):
            continue
        left, right = (comparable_column(name, schema[name]) for name in (rule.left, rule.right))
        holds = {
            "<": left < right,
            "<=": left <= right,
            "==": left == right,
            "!=": left != right,
            ">=": left >= right,
            ">": left > right,
        }[rule.op]
        gone = empty(rule.left, schema[rule.left]) | empty(rule.right, schema[rule.right])
        broken = ~holds & ~gone
        yield _Test(
            column=rule.left,
            rule=rule.text,
            level="error" if rule.strict else "warning",
            wanted=rule.text,
            look=broken.sum(),
            broken=broken,
            value=pl.format("{} and {}", pl.col(rule.left), pl.col(rule.right)),
        )


def _second_look(lazy: pl.LazyFrame, broken: list[_Test]) -> Iterator[Violation]:
    """Yield the violations with exact counts and the first rows; costs nothing where nothing is broken."""
    if not broken:
        return
    counts = [test.broken.fill_null(value=False).sum().alias(str(place)) for place, test in enumerate(broken)]
    places = [
        lazy.with_row_index("row ")
        .filter(test.broken)
        .select("row ", test.value.cast(pl.String).alias("value "))
        .head(SAMPLES)
        for test in broken
    ]
    found, *samples = pl.collect_all([lazy.select(counts), *places], engine="streaming")
    for place, (test, sample) in enumerate(zip(broken, samples, strict=True)):
        yield Violation(
            column=test.column,
            rule=test.rule,
            level=test.level,
            count=int(found.item(0, place)),
            wanted=test.wanted,
            samples=tuple(Sample(row=row, value="" if value is None else value) for row, value in sample.iter_rows()),
        )


def describe(violation: Violation) -> str:
    """Return a violation as one sentence for people."""
    where = ", ".join(f"row {sample.row}: {sample.value[:40] or 'empty'}" for sample in violation.samples[:3])
    tail = f" ({where})" if where else ""
    return f"{violation.column}: {violation.rule}, {violation.count:,} rows; wanted {violation.wanted}{tail}"
