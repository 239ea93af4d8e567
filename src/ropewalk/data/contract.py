"""A contract: what each column of the data must be, as records that are read and written as JSON and TOML."""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from ropewalk.errors import Invalid

ColumnType = Literal["int", "float", "bool", "string", "datetime"]
Comparison = Literal["<", "<=", "==", "!=", ">=", ">"]
Bound = int | float | str | None


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one column must be.

    Type, presence and finiteness are always errors; range, categories and uniqueness are errors where `strict` is set
    and warnings where not, so that an unseen category or a hot day is recorded and not refused.

    Attributes:
        name: the column.
        type: `int`, `float` (whole numbers too), `bool`, `string` or `datetime` (ISO 8601 in requests).
        nullable: whether it may be empty; NaN counts as empty.
        max_null_share: share of empty values that a whole frame may have, 0 to 1.
        min: lowest value; ISO 8601 for a datetime.
        max: highest value; ISO 8601 for a datetime.
        categories: the texts that may stand here.
        unique: whether no value may come twice in a frame.
        strict: whether a broken range, category or uniqueness is an error.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    max_null_share: float | None = None
    min: Bound = None
    max: Bound = None
    categories: tuple[str, ...] | None = None
    unique: bool = False
    strict: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What two columns must be to each other; rows where either is empty are not looked at.

    Attributes:
        left: a column.
        op: the comparison.
        right: another column of the same kind.
        strict: whether a broken rule is an error.
    """

    left: str
    op: Comparison
    right: str
    strict: bool = False

    @property
    def text(self) -> str:
        """The rule as people read it."""
        return f"{self.left} {self.op} {self.right}"


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a frame, or a request that will become one, must be.

    Attributes:
        columns: every column, in order.
        rules: what columns must be to each other.
        target: the column that is predicted: checked in frames that have it, unknown in requests; empty for none.
        closed: whether columns that are not named here are errors.
    """

    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    target: str = ""
    closed: bool = True

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that a request has: all but the target."""
        return tuple(column for column in self.columns if column.name != self.target)

    def column(self, name: str) -> Column | None:
        """Return a column by name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def without_target(self) -> Contract:
        """Return the contract of the inputs alone."""
        names = {column.name for column in self.inputs}
        rules = tuple(rule for rule in self.rules if rule.left in names and rule.right in names)
        return Contract(columns=self.inputs, rules=rules, closed=self.closed)


def to_json(contract: Contract) -> bytes:
    """Return the contract as JSON that is the same for the same contract."""
    return msgspec.json.encode(contract, order="deterministic")


def from_json(data: bytes | str) -> Contract:
    """Return the contract that JSON says.

    Raises:
        Invalid: it is no contract; the error names the place.
    """
    try:
        return _sound(msgspec.json.decode(data, type=Contract))
    except msgspec.DecodeError as error:
        raise _invalid(str(error)) from error


def from_toml(text: str) -> Contract:
    """Return the contract that a TOML file says; `to_toml` writes one to begin from.

    Raises:
        Invalid: it is no contract; the error names the place.
    """
    try:
        return _sound(msgspec.toml.decode(text, type=Contract))
    except msgspec.DecodeError as error:
        raise _invalid(str(error)) from error


def to_toml(contract: Contract) -> str:
    """Return the contract as TOML for people to edit; `from_toml` reads it back equal."""
    lines = ["# What the data must be. Ranges, categories and rules are warnings unless strict = true.", ""]
    if contract.target:
        lines.append(f"target = {_toml(contract.target)}")
    lines.append(f"closed = {_toml(contract.closed)}")
    for table, items in (("columns", contract.columns), ("rules", contract.rules)):
        for item in items:
            lines += ["", f"[[{table}]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in msgspec.to_builtins(item).items()]
    if not contract.columns:
        lines.append("columns = []")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """Return a value in TOML's words; JSON's strings, whole numbers, lists and booleans are TOML's too."""
    if isinstance(value, float):
        return repr(value)
    # TOML wants DEL escaped, JSON leaves it.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _sound(contract: Contract) -> Contract:
    """Return the contract if its parts fit each other."""
    kinds = {column.name: column.type for column in contract.columns}
    if len(kinds) != len(contract.columns):
        raise _invalid("two columns have the same name")
    if contract.target and contract.target not in kinds:
        raise _invalid(f"the target {contract.target!r} is not among the columns")
    for column in contract.columns:
        _sound_column(column)
    for rule in contract.rules:
        for name in (rule.left, rule.right):
            if name not in kinds:
                raise _invalid(f"the rule {rule.text!r} names {name!r}, which is not among the columns")
        if not comparable(kinds[rule.left], kinds[rule.right]):
            raise _invalid(f"the rule {rule.text!r} compares {kinds[rule.left]} with {kinds[rule.right]}")
    return contract


def _sound_column(column: Column) -> None:
    for name, bound in (("min", column.min), ("max", column.max)):
        if bound is None:
            continue
        wanted = {"int": int | float, "float": int | float, "datetime": str}.get(column.type)
        if wanted is None or not isinstance(bound, wanted):
            raise _invalid(f"column {column.name!r} is {column.type}: its {name} cannot be {bound!r}")
        if column.type == "datetime":
            parse_time(column.name, str(bound))
    if column.categories is not None and column.type != "string":
        raise _invalid(f"column {column.name!r} is {column.type}: only strings have categories")
    if column.max_null_share is not None and not 0 <= column.max_null_share <= 1:
        raise _invalid(f"column {column.name!r}: max_null_share is a share between 0 and 1")


def parse_time(name: str, text: str) -> int:
    """Return a datetime bound as microseconds since the epoch, UTC where it has no zone.

    Raises:
        Invalid: it is not ISO 8601.
    """
    from ropewalk.clock import from_iso

    try:
        return from_iso(text)
    except ValueError as error:
        raise _invalid(f"column {name!r}: {text!r} is not an ISO 8601 time") from error


def comparable(left: str, right: str) -> bool:
    """Say whether values of two types have an order among each other."""
    return left == right or {left, right} == {"int", "float"}


def _invalid(why: str) -> Invalid:
    return Invalid("contract-invalid", "This is not a valid contract.", why=why, fix="edit the contract")
