"""What an object store alone promises: deadlines, parts, links, and no trust in what lies there."""

import os
import socket
import sys
import time
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from ropewalk.blobs.clear import clear
from ropewalk.blobs.objects import WHOLE_BYTES_MAX, ObjectBucket
from ropewalk.blobs.unfinished import Uploads, uploads_of
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


def begun_upload(url, name):
    """Begin S3's own multipart upload of an object, send one part of it, and leave it so."""
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    key = f"{prefix}/{name}"
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"half")
    return key, upload


def left(url):
    import boto3

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    found = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return {(one["Key"], one["UploadId"]) for one in found}


def test_what_a_killed_writer_left_in_parts_is_given_up(objects):
    bucket = objects.open()
    blob = begun_upload(objects.url, f"ab/{'0' * 62}")
    other = begun_upload(objects.url, "workspaces/0123/somebody-else")
    uploads = uploads_of(objects.url)

    young = uploads.tidy(0)  # moto says of each upload that it was begun in 2010
    before = left(objects.url)
    bucket.tidy()

    assert young == 0
    assert before == {blob, other}
    assert left(objects.url) == {other}
    assert [one.upload for one in uploads.listed()] == []


def test_uploads_are_the_stores_own_where_the_environment_holds_no_secret(objects, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert uploads_of(objects.url) is None
    assert uploads_of("az://kept/x") is None


@pytest.mark.parametrize("url", ["s3://kept/a b/c+d", "s3://kept"])
@pytest.mark.parametrize("within", ["", "true"])
def test_requests_are_signed_as_the_library_signs_its_own(monkeypatch, url, within):
    import obstore
    from obstore.store import from_url

    for name in ("ENDPOINT_URL", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "s/e+c"), ("REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", within or "false")
    sample = urlsplit(obstore.sign(from_url(url), "GET", "x", timedelta(seconds=9)))
    query, _, signature = sample.query.partition("&X-Amz-Signature=")
    prefix = f"{url.removeprefix('s3://kept').strip('/')}/".lstrip("/")

    uploads = Uploads(sample, prefix, "s/e+c")

    assert uploads.signature("GET", sample.path, query) == signature
    assert uploads._bucket == ("/" if within else "/kept/")


def test_a_store_that_does_not_let_uploads_be_listed_is_told_and_the_rest_is_tidied(objects, monkeypatch, caplog):
    monkeypatch.setattr("ropewalk.blobs.unfinished.Uploads._send", lambda *_: (403, b""))

    objects.open().tidy()

    assert "answered with 403" in caplog.text


def test_a_prefix_is_cleared_and_nothing_beside_it(objects, tmp_path):
    gone = ObjectBucket(f"{objects.url}/workspaces/one", tmp_path / "one")
    stays = ObjectBucket(f"{objects.url}/workspaces/one2", tmp_path / "two")
    for bucket in (gone, stays):
        bucket.put(b"x")
        bucket.put(b"y")
    begun_upload(gone.url, f"ab/{'0' * 62}")

    assert clear(gone.url) == 2
    assert clear(gone.url) == 0
    assert left(gone.url + "/") == set()
    assert list(gone.digests()) == []
    assert len(list(stays.digests())) == 2
