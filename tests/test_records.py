"""Records are what dataclasses would make of them, though nothing is compiled before the first is made."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping

import pytest

from ropewalk.records import fields_of, frozen, made, replace, usual_of, values_of


@frozen
class Ours:
    """A record.

    Attributes:
        name: what it is called.
        size: how large it is.
        tags: what else is said.
    """

    name: str
    size: int = 1
    tags: Mapping[str, str] = made(default_factory=dict[str, str], repr=False)

    def twice(self) -> int:
        return self.size * 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    name: str
    size: int = 1
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)


@frozen
class Checked:
    least: int

    def __post_init__(self) -> None:
        if self.least < 0:
            raise ValueError(self.least)


@frozen
class Empty:
    pass


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_a_record_behaves_as_a_dataclass(kind):
    one = kind(name="a", size=2)

    assert (one.name, one.size, one.tags) == ("a", 2, {})
    assert repr(one) == f"{kind.__name__}(name='a', size=2)"
    assert one == kind(name="a", size=2)
    assert one != kind(name="b", size=2)
    assert one != "a"
    assert kind(name="x").tags is not kind(name="x").tags
    assert not hasattr(one, "__dict__")
    assert kind.__slots__ == ("name", "size", "tags")
    assert kind.__match_args__ == ()
    assert dataclasses.replace(one, size=3) == kind(name="a", size=3)
    assert dataclasses.asdict(one) == {"name": "a", "size": 2, "tags": {}}
    assert [(item.name, item.type, item.repr) for item in dataclasses.fields(kind)] == [
        ("name", "str", True), ("size", "int", True), ("tags", "Mapping[str, str]", False)
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.copy(one) == copy.deepcopy(one) == one


@pytest.mark.parametrize("kind", [Ours, Theirs])
@pytest.mark.parametrize("given", [{}, {"name": "a", "weight": 1}, {"size": 1}])
def test_what_does_not_fit_is_a_type_error(kind, given):
    with pytest.raises(TypeError):
        kind(**given)
    with pytest.raises(TypeError):
        kind("a")


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_nobody_changes_one(kind):
    one = kind(name="a")

    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    assert one.name == "a"


def test_equal_records_are_one_in_a_set():
    assert len({Checked(least=1), Checked(least=1), Checked(least=2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours(name="a"))


def test_another_one_is_made_with_replace():
    one = Ours(name="a", size=2, tags={"k": "v"})

    assert replace(one, name="b") == Ours(name="b", size=2, tags={"k": "v"})
    assert values_of(one) == {"name": "a", "size": 2, "tags": {"k": "v"}}
    assert fields_of(Ours) == ("name", "size", "tags")
    assert usual_of(Ours) == {"size": 1}
    assert one.twice() == 4


def test_a_record_checks_itself_first_and_last():
    with pytest.raises(ValueError, match="-1"):
        Checked(least=-1)
    assert Checked(least=0).least == 0
    with pytest.raises(ValueError, match="-2"):
        Checked(least=-2)


def test_a_record_may_be_empty():
    assert Empty() == Empty()
    assert repr(Empty()) == "Empty()"


def test_what_a_record_cannot_be_is_refused_where_it_is_declared():
    with pytest.raises(TypeError, match="has a base"):
        frozen(type("Below", (Checked,), {}))
    with pytest.raises(TypeError, match="can be changed"):
        frozen(type("Shared", (), {"__annotations__": {"items": "list[int]"}, "items": []}))


def test_the_way_to_a_run_makes_no_dataclass_and_reads_no_code():
    loaded = "import ropewalk.cli.run, ropewalk.pipelines.execute, sys; print(*sys.modules)"

    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # the counter imports too
    done = subprocess.run([sys.executable, "-c", loaded], env=plain, capture_output=True, text=True, check=True)
    said = done.stdout.split()

    assert "ropewalk.pipelines.turns" in said
    ours = {"ropewalk.pipelines.bytecode", "ropewalk.pipelines.values", "ropewalk.compute.cluster"}
    assert not {"dataclasses", "shutil", "pickle", "random", *ours} & set(said)
