"""A real server that speaks S3, one for all tests of a process, and a fresh prefix of its bucket for each test."""

import os

import pytest

from ropewalk.testing.blobs_objects import ObjectsUnderTest, azure_server, s3_server


@pytest.fixture(scope="session")
def s3():
    with s3_server() as environment:
        yield environment


@pytest.fixture
def objects(s3, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "own").mkdir()
    return ObjectsUnderTest(
        url=f"s3://kept/{tmp_path.name}", environment=s3, local=tmp_path / "objects", scratch=tmp_path / "own"
    )


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    command = os.environ.get("ROPEWALK_TEST_AZURITE", "")
    if not command:
        pytest.skip("npm install azurite, then ROPEWALK_TEST_AZURITE=node_modules/.bin/azurite-blob")
    with azure_server(command, tmp_path_factory.mktemp("azurite")) as environment:
        yield environment


@pytest.fixture
def azure_objects(azurite, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    for name, value in azurite.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "own").mkdir()
    return ObjectsUnderTest(
        url=f"az://kept/{tmp_path.name}", environment=azurite, local=tmp_path / "objects", scratch=tmp_path / "own"
    )
