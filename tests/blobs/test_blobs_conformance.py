"""A folder and an object store behave as every bucket must."""

import pytest

from ropewalk.testing.blobs import BucketCheck, FolderUnderTest, bucket_checks


@pytest.mark.parametrize("check", bucket_checks(), ids=lambda check: check.name)
def test_folder(check: BucketCheck, tmp_path):
    (tmp_path / "own").mkdir()
    check.run(FolderUnderTest(root=tmp_path / "blobs", scratch=tmp_path / "own"))


@pytest.mark.parametrize("check", bucket_checks(), ids=lambda check: check.name)
def test_objects(check: BucketCheck, objects):
    check.run(objects)
