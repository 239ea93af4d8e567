"""What an object store alone promises: deadlines, parts, links, and no trust in what lies there."""

import socket
import sys
import time
import urllib.request

import pytest

from ropewalk.blobs.objects import WHOLE_BYTES_MAX, ObjectBucket
from ropewalk.errors import Invalid, Missing, NotFound, Unavailable
from ropewalk.refs import digest_of
from ropewalk.testing.fakes import SetClock

FAR_US = 4_000_000_000_000_000


ASKED = (lambda bucket: bucket.has(digest_of(b"x")), lambda bucket: bucket.put(b"x"), lambda bucket: [*bucket.held()])


@pytest.fixture
def silent():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def seconds_until_told(bucket, ask):
    begun = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        ask(bucket)
    assert caught.value.code == "blobs-unreachable"
    return time.monotonic() - begun


@pytest.mark.parametrize("ask", ASKED)
def test_a_store_that_is_not_there_is_told_at_once(objects, monkeypatch, tmp_path, ask):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert seconds_until_told(ObjectBucket("s3://kept/x", tmp_path / "objects"), ask) < 5


@pytest.mark.slow
@pytest.mark.parametrize("ask", ASKED)
def test_a_store_that_says_nothing_is_told_within_five_seconds(objects, monkeypatch, tmp_path, silent, ask):
    monkeypatch.setenv("AWS_ENDPOINT_URL", silent)

    assert seconds_until_told(ObjectBucket("s3://kept/x", tmp_path / "objects"), ask) < 5


def test_a_large_blob_goes_in_parts_and_is_there_whole(objects):
    data = bytes(range(251)) * 100_000
    assert len(data) > 2 * WHOLE_BYTES_MAX

    digest = objects.open().put(data)

    assert objects.open().get(digest) == data
    assert b"".join(objects.open().pieces(digest, 9_000_000, 9_000_700)) == data[9_000_000:9_000_700]


def test_a_link_gives_the_bytes_without_our_keys(objects):
    bucket = objects.open()
    digest = bucket.put(b"shown")

    with urllib.request.urlopen(bucket.link(digest, seconds=60)) as answer:
        found = answer.read()

    assert found == b"shown"
    assert "X-Amz-Expires=60" in bucket.link(digest, seconds=60)


def test_an_object_that_grew_old_counts_as_new_when_it_is_put_or_kept_again(objects, tmp_path):
    digest = objects.open().put(b"x")
    before = next(objects.open().held())
    late = ObjectBucket(objects.url, tmp_path / "late", SetClock(FAR_US))
    time.sleep(1.1)  # the store tells time in whole seconds

    assert late.put(b"x") == digest

    put = next(objects.open().held())
    assert put.kept_us > before.kept_us
    time.sleep(1.1)
    assert late.keep(digest)
    assert next(objects.open().held()).kept_us > put.kept_us


def test_a_fetched_copy_is_not_trusted_when_the_object_has_changed(objects):
    bucket = objects.open()
    digest = bucket.put(b"x" * 1000)
    path = bucket.fetch(digest)
    assert bucket.fetch(digest) == path

    bucket.remove(digest)

    with pytest.raises(NotFound):
        bucket.fetch(digest)


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "ftp://kept/x", "/tmp/kept", "s3://key:hunter2@kept", "s3://kept?x=1", "file:///tmp", "s3:kept"],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url, tmp_path):
    with pytest.raises(Invalid) as caught:
        ObjectBucket(url, tmp_path)

    assert caught.value.code == "blobs-url-invalid"
    assert "hunter2" not in str(caught.value.record())


def test_without_the_library_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "obstore.store", None)

    with pytest.raises(Missing) as caught:
        ObjectBucket("s3://kept/x", tmp_path)

    assert caught.value.fix == 'pip install "ropewalk[s3]"'


def test_a_bucket_that_is_not_there_takes_nothing_and_says_so(objects, tmp_path):
    bucket = ObjectBucket("s3://nobody-made-this/x", tmp_path / "objects")

    with pytest.raises(Unavailable) as caught:
        bucket.put(b"x")

    assert "test" not in caught.value.why.split()
