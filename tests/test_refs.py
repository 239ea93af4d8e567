"""Digests, canonical JSON and identifiers say the same everywhere."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.refs import canonical, digest_of, digest_of_file, is_digest, is_name, short, uuid7, uuid7_time_us

TIMES = st.integers(0, (1 << 48) * 1000 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(TIMES)
def test_a_uuid7_carries_its_time_to_the_microsecond(at_us):
    text = uuid7(at_us)

    assert uuid7_time_us(text) == at_us
    assert uuid.UUID(text).version == 7
    assert uuid.UUID(text).variant == uuid.RFC_4122
    assert str(uuid.UUID(text)) == text


@given(TIMES, TIMES, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_uuid7s_sort_by_time_whatever_is_random_in_them(one_us, other_us, one, other):
    if one_us == other_us:
        return
    assert (uuid7(one_us, lambda _: one) < uuid7(other_us, lambda _: other)) is (one_us < other_us)


def test_uuid7s_of_one_moment_differ():
    assert len({uuid7(1) for _ in range(1000)}) == 1000


@given(JSON)
def test_canonical_json_reads_back_equal_and_stays_the_same_bytes(value):
    data = canonical(value) if _speakable(value) else b"null"

    assert canonical(json.loads(data)) == data


def _speakable(value):
    try:
        canonical(value)
    except UnicodeEncodeError:
        return False
    return True


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": [True, None, "ü"]}) == '{"a":[true,null,"ü"],"b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_canonical_json_refuses_what_json_cannot_say(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical({"value": value})


@given(st.binary(max_size=64))
def test_a_digest_is_what_sha256sum_says(data):
    import hashlib

    assert digest_of(data) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert is_digest(digest_of(data))
    assert digest_of(data)[7:].startswith(short(digest_of(data)))


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)

    assert digest_of_file(tmp_path / "file") == digest_of(b"x" * 3_000_000)


@pytest.mark.parametrize(
    "text", ["", "a", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "g" * 64, "SHA256:" + "0" * 64]
)
def test_what_is_no_digest_is_not_called_one(text):
    assert not is_digest(text)
    assert not is_digest("sha256:" + "0" * 64 + "\n")


@pytest.mark.parametrize("text", ["flights", "a", "9.x_y-z", "A" * 128])
def test_a_name_may_have_letters_digits_and_three_signs(text):
    assert is_name(text)


@pytest.mark.parametrize("text", ["", ".hidden", "-x", "a/b", "a b", "..", "a\n", "A" * 129, "ü", "a\0"])
def test_nothing_else_is_a_name(text):
    assert not is_name(text)
