"""A folder and an object store behave as every bucket must."""

import urllib.request

import pytest

from ropewalk.testing.blobs import BucketCheck, FolderUnderTest, bucket_checks


@pytest.mark.parametrize("check", bucket_checks(), ids=lambda check: check.name)
def test_folder(check: BucketCheck, tmp_path):
    (tmp_path / "own").mkdir()
    check.run(FolderUnderTest(root=tmp_path / "blobs", scratch=tmp_path / "own"))


@pytest.mark.parametrize("check", bucket_checks(), ids=lambda check: check.name)
def test_objects(check: BucketCheck, objects):
    check.run(objects)


@pytest.mark.parametrize("check", bucket_checks(), ids=lambda check: check.name)
def test_azure(check: BucketCheck, azure_objects):
    check.run(azure_objects)


def test_azure_takes_a_large_blob_in_blocks_and_signs_links(azure_objects):
    data = bytes(range(251)) * 100_000
    bucket = azure_objects.open()

    digest = bucket.put(data)

    assert azure_objects.open().get(digest) == data
    link = bucket.link(digest, seconds=60)
    assert link is not None
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == data
