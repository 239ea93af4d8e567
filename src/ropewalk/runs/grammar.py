"""The grammar of searches, for runs and every other thing that is searched: comparisons joined by `and`, and orders.

A filter is `metrics.auc > 0.7 and params.depth = '8' and attributes.status != 'FAILED'`; an order is
`metrics.auc DESC`. What may be compared, and how, is a `Vocabulary`; the words are those of MLflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from ropewalk.errors import Invalid

CLAUSES_MAX = 100
ORDERS_MAX = 32
LETTERS_MAX = 100_000
LISTED_MAX = 1000
PATTERN_LETTERS_MAX = 10_000  # SQLite takes patterns of 50,000 bytes

Kind = Literal["text", "number", "whole", "either"]
Target = str | float | int | tuple[str, ...] | None

NUMBERS = frozenset({"=", "!=", "<", "<=", ">", ">="})
TEXTS = frozenset({"=", "!=", "LIKE", "ILIKE"})
LISTS = frozenset({"IN", "NOT IN"})
NULLS = frozenset({"IS NULL", "IS NOT NULL"})

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<op><=|>=|!=|<>|==|=|<|>)
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<text>'(?:''|\\'|[^'])*')
    | (?P<name>(?:`\w+`|\w+)(?:\.(?:`[^`]+`|"(?:[^"])+"|[\w./\-:]+))?)
    | (?P<quoted>"(?:""|\\"|[^"])*"|`[^`]*`)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_ORDER = re.compile(r"""\s*(?P<name>(?:[^\s"`]|"[^"]*"|`[^`]*`)+)(?:\s+(?P<way>\w+))?\s*""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a name stands for and how it may be compared.

    Attributes:
        name: what the code calls it; empty for whatever key was written, such as that of a metric.
        kind: `text`, `number`, `whole` (a number without a fraction) or `either` (more or less than a number, like a
            text).
        ops: the comparisons that it takes, of `NUMBERS`, `TEXTS`, `LISTS` and `NULLS`.
        orders: whether results may be ordered by it.
        quoted: whether a whole number may stand in quotes, too, as that of a model version does.
    """

    name: str = ""
    kind: Kind = "text"
    ops: frozenset[str] = TEXTS
    orders: bool = True
    quoted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a search may speak of.

    Attributes:
        thing: what is searched, for errors: `run`.
        entities: spelling before the dot -> entity, such as `metrics` -> `metric`.
        keyed: entity -> the field that any key of it is, such as each metric.
        fields: entity -> its names, such as `attribute` -> `status`; several names may stand for one field.
        bare: the entity of a name without a dot.
        example: a filter that is understood, for errors.
    """

    thing: str
    entities: Mapping[str, str]
    keyed: Mapping[str, Field]
    fields: Mapping[str, Mapping[str, Field]]
    bare: str = "attribute"
    example: str = "tags.team = 'ops'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One comparison.

    Attributes:
        entity: what is compared, such as `metric` or `attribute`.
        key: its name, as the code calls it.
        op: `=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE`, `ILIKE`, `RLIKE`, `IN`, `NOT IN`, `IS NULL` or
            `IS NOT NULL`.
        value: a float or int for numbers, a text, a tuple of texts for lists, None for `IS NULL` and `IS NOT NULL`.
    """

    entity: str
    key: str
    op: str
    value: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing that results are ordered by.

    Attributes:
        entity: what it is, such as `metric`.
        key: its name, as the code calls it.
        descending: whether the largest comes first; what is missing comes last both ways.
    """

    entity: str
    key: str
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word of a filter.

    Attributes:
        kind: `op`, `number`, `text`, `name`, `quoted` or `mark`.
        text: as it was written.
    """

    kind: str
    text: str

    def says(self, word: str) -> bool:
        """Whether it is this keyword, in any case."""
        return self.kind == "name" and self.text.upper() == word


def parse(text: str, vocabulary: Vocabulary) -> tuple[Clause, ...]:
    """Return the comparisons of a filter, all of which must hold.

    Args:
        text: the filter; an empty one has no comparisons.
        vocabulary: what it may speak of.

    Raises:
        Invalid: it is not understood, or compares more than 100 times; the error shows the place.
    """
    speech = _Speech(text, vocabulary)
    clauses: list[Clause] = []
    while speech.more():
        if clauses:
            word = speech.take()
            if not word.says("AND"):
                speech.refuse("comparisons are joined by AND", word.text)
        if len(clauses) == CLAUSES_MAX:
            speech.refuse(f"there are more than {CLAUSES_MAX} comparisons", "")
        clauses.append(speech.clause())
    return tuple(clauses)


def parse_order(texts: Sequence[str], vocabulary: Vocabulary) -> tuple[Order, ...]:
    """Return what results are ordered by, the first thing first.

    Args:
        texts: such as `metrics.auc DESC`; ascending where nothing is said.
        vocabulary: what they may speak of.

    Raises:
        Invalid: one is not understood, or names what another one names.
    """
    orders: list[Order] = []
    for text in texts:
        found = _ORDER.fullmatch(text) if len(text) <= LETTERS_MAX else None
        way = str(found["way"] or "ASC").upper() if found else ""
        if found is None or way not in ("ASC", "DESC"):
            _refuse(vocabulary, "order-invalid", "an order is NAME, NAME ASC or NAME DESC", text)
        entity, key, field = _named(found["name"], vocabulary, "order-invalid")
        if not field.orders:
            _refuse(vocabulary, "order-invalid", f"a {vocabulary.thing} cannot be ordered by this", text)
        if any((one.entity, one.key) == (entity, key) for one in orders):
            _refuse(vocabulary, "order-invalid", "it names the same thing twice", text)
        orders.append(Order(entity=entity, key=key, descending=way == "DESC"))
    if len(orders) > ORDERS_MAX:
        _refuse(vocabulary, "order-invalid", f"there are more than {ORDERS_MAX} orders", "")
    return tuple(orders)


class _Speech:
    """A filter, read word by word."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        if len(text) > LETTERS_MAX:
            self.refuse("it is too long", "")
        self._tokens = self._split(text)
        self._place = 0

    def refuse(self, why: str, found: str) -> NoReturn:
        """Say what is not understood, and where."""
        _refuse(self._vocabulary, "filter-invalid", why, found)

    def _split(self, text: str) -> list[Token]:
        place, end, tokens = 0, len(text.rstrip()), list[Token]()
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                self.refuse("this is no name, number, text or comparison", text[place : place + 20].strip())
            tokens.append(Token(kind=str(found.lastgroup), text=found.group().strip()))
            place = found.end()
        return tokens

    def more(self) -> bool:
        """Say whether words are left."""
        return self._place < len(self._tokens)

    def take(self) -> Token:
        """Return the next word."""
        if not self.more():
            self.refuse("a comparison is NAME OP VALUE", self._tokens[-1].text if self._tokens else "")
        self._place += 1
        return self._tokens[self._place - 1]

    def clause(self) -> Clause:
        """Read one comparison."""
        name = self.take()
        if name.kind not in ("name", "quoted"):
            self.refuse("a comparison begins with a name", name.text)
        entity, key, field = _named(name.text, self._vocabulary, "filter-invalid")
        op = self._op()
        if op not in field.ops:
            self.refuse(f"it is compared with {', '.join(sorted(field.ops))}", f"{name.text} {op}")
        return Clause(entity=entity, key=key, op=op, value=self._value(field, op))

    def _op(self) -> str:
        word = self.take()
        if word.kind == "op":
            return {"==": "=", "<>": "!="}.get(word.text, word.text)
        op = word.text.upper()
        while op in ("NOT", "IS", "IS NOT"):
            word = self.take()
            op = f"{op} {word.text.upper()}"
        if op not in ("LIKE", "ILIKE", "RLIKE", *LISTS, *NULLS):
            self.refuse(
                "a comparison is =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL", word.text
            )
        return op

    def _value(self, field: Field, op: str) -> Target:
        if op in NULLS:
            return None
        if op in LISTS:
            return self._list()
        word = self.take()
        if field.kind == "text" or (field.kind == "either" and op not in ("<", "<=", ">", ">=")):
            text = self._text(word)
            if op not in ("=", "!=") and len(text) > PATTERN_LETTERS_MAX:
                self.refuse(f"a pattern has at most {PATTERN_LETTERS_MAX:,} letters", word.text)
            return text
        if field.quoted:
            return self._whole(word)
        if word.kind != "number":
            self.refuse("a number is compared with a number", word.text)
        if re.fullmatch(r"-?\d+", word.text) and field.kind == "whole":
            return _held(int(word.text))
        return float(word.text)

    def _whole(self, word: Token) -> int:
        text = word.text if word.kind == "number" else self._text(word)
        if not re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
            self.refuse("a whole number is compared with a whole number", word.text)
        return _held(int(text))

    def _list(self) -> tuple[str, ...]:
        if self.take().text != "(":
            self.refuse("a list stands in parentheses: ('a', 'b')", self._tokens[self._place - 1].text)
        found: list[str] = []
        while True:
            found.append(self._text(self.take()))
            mark = self.take().text
            if mark == "," and self.more() and self._tokens[self._place].text == ")":
                mark = self.take().text
            if mark == ")":
                break
            if mark != ",":
                self.refuse("the texts of a list are parted by commas", mark)
        if len(found) > LISTED_MAX:
            self.refuse(f"a list has at most {LISTED_MAX} texts", "")
        return tuple(found)

    def _text(self, word: Token) -> str:
        mark = word.text[:1]
        if word.kind not in ("text", "quoted") or mark == "`":
            self.refuse("a text stands in quotes", word.text)
        return word.text[1:-1].replace(mark * 2, mark).replace("\\" + mark, mark)


def _held(value: int) -> int:
    """Return a whole number within the 64 bits that a database compares."""
    return max(-(1 << 63), min((1 << 63) - 1, value))


def _named(text: str, vocabulary: Vocabulary, code: str) -> tuple[str, str, Field]:
    """Return entity, key and field of a name."""
    first, dot, key = ("", "", text) if text[:1] in ('"', "`") and "`." not in text else text.partition(".")
    entity = vocabulary.entities.get(first.strip("`")) if dot else vocabulary.bare
    if entity is None:
        known = ", ".join(sorted(set(vocabulary.entities)))
        _refuse(vocabulary, code, f"names begin with one of {known}, or are the {vocabulary.thing}'s own", text)
    key = _bare(key if dot else key or first)
    if not key:
        _refuse(vocabulary, code, "the name has no key", text)
    if entity in vocabulary.keyed:
        return entity, key, vocabulary.keyed[entity]
    field = vocabulary.fields[entity].get(key)
    if field is None:
        known = ", ".join(sorted(vocabulary.fields[entity]))
        _refuse(vocabulary, code, f"a {vocabulary.thing}'s {entity} is one of {known}", text)
    return entity, field.name, field


def _bare(key: str) -> str:
    """Return a key without the quotes around it."""
    for mark in ("`", '"'):
        if len(key) > 1 and key.startswith(mark) and key.endswith(mark):
            return key[1:-1]
    return key


def _refuse(vocabulary: Vocabulary, code: str, why: str, found: str) -> NoReturn:
    word = "filter" if code == "filter-invalid" else "order"
    raise Invalid(
        code,
        f"The {word} of the search is not understood.",
        where=found[:80],
        why=why[:400],
        fix=vocabulary.example if code == "filter-invalid" else "write NAME ASC or NAME DESC",
    )


def like(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Say whether a text fits a pattern: `%` stands for any letters, `_` for one.

    Args:
        pattern: as in SQL, without an escape.
        text: what is looked at.
        fold: whether `A` and `a` are the same, as ILIKE has it (ASCII letters only, as SQLite compares).
    """
    if fold:
        pattern, text = _folded(pattern), _folded(text)
    parts = (".*" if one == "%" else "." if one == "_" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _folded(text: str) -> str:
    return "".join(one.lower() if one.isascii() else one for one in text)


def spellings(field: Field, names: Iterable[str]) -> dict[str, Field]:
    """Return names that all stand for one field."""
    return dict.fromkeys(names, field)
