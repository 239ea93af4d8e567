"""Artifacts of every kind: logged, listed, downloaded, big ones in parts, and paths that lead elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException


def names(client, run, path=None) -> list[str]:
    return [one.path for one in client.list_artifacts(run, path)]


def test_a_file_is_logged_and_comes_back_byte_for_byte(client, run, tmp_path):
    data = os.urandom(200_000)
    (tmp_path / "weights.bin").write_bytes(data)

    client.log_artifact(run, str(tmp_path / "weights.bin"))
    client.log_artifact(run, str(tmp_path / "weights.bin"), "deep/er")

    assert sorted(names(client, run)) == ["deep", "weights.bin"]
    (found,) = client.list_artifacts(run, "deep/er")
    assert (found.path, found.is_dir, found.file_size) == ("deep/er/weights.bin", False, 200_000)
    assert Path(client.download_artifacts(run, "deep/er/weights.bin")).read_bytes() == data


def test_a_folder_is_logged_as_it_stands(client, run, tmp_path):
    for name in ("a.txt", "below/b.txt", "below/much/c.txt", "empty.txt"):
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_text("" if name == "empty.txt" else name)

    client.log_artifacts(run, str(tmp_path / "all"), "out")

    here = Path(client.download_artifacts(run, "out", str(tmp_path)))
    assert {str(one.relative_to(here)) for one in here.rglob("*.txt")} == {
        "a.txt",
        "below/b.txt",
        "below/much/c.txt",
        "empty.txt",
    }
    assert (here / "below/much/c.txt").read_text() == "below/much/c.txt"
    assert (here / "empty.txt").read_bytes() == b""
    assert sorted(one.is_dir for one in client.list_artifacts(run, "out")) == [False, False, True]


def test_texts_and_dictionaries_are_files(experiment):
    with mlflow.start_run() as run:
        mlflow.log_text("<b>hällo</b>", "page.html")
        mlflow.log_dict({"a": [1, {"b": None}]}, "deep/a.json")
        mlflow.log_dict({"a": 1}, "a.yaml")

        assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/page.html") == "<b>hällo</b>"
        assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/deep/a.json") == {"a": [1, {"b": None}]}
        assert mlflow.artifacts.load_text(mlflow.get_artifact_uri("a.yaml")).strip() == "a: 1"


def test_figures_and_images_are_files(client, experiment):
    import matplotlib as mpl
    import numpy as np
    from PIL import Image

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([0, 1], [2, 3])
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)

    with mlflow.start_run() as run:
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(pixels, "black.png")
        mlflow.log_image(Image.fromarray(pixels), key="seen", step=3)
        mlflow.flush_artifact_async_logging()
    plt.close(figure)

    assert mlflow.artifacts.load_image(f"runs:/{run.info.run_id}/black.png").size == (8, 8)
    assert names(client, run.info.run_id, "plots") == ["plots/line.png"]
    stepped = names(client, run.info.run_id, "images")
    assert len(stepped) == 2
    assert all("seen" in one and "step" in one for one in stepped)


def test_a_table_grows_with_every_call(client, experiment):
    import pandas as pd

    with mlflow.start_run() as run:
        mlflow.log_table({"asked": ["a", "b"], "answer": ["x", "y"]}, "answers.json")
        mlflow.log_table(pd.DataFrame({"asked": ["c"], "answer": ["z"]}), "answers.json")

    table = mlflow.load_table("answers.json", run_ids=[run.info.run_id], extra_columns=["run_id"])
    assert list(table["asked"]) == ["a", "b", "c"]
    assert set(table["run_id"]) == {run.info.run_id}
    tag = json.loads(client.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"])
    assert tag == [{"path": "answers.json", "type": "table"}]


def test_a_stream_is_a_file(client, run, tmp_path):
    import io

    client.log_stream(run, io.BytesIO(b"flowing" * 1000), "stream.bin")

    assert Path(client.download_artifacts(run, "stream.bin", str(tmp_path))).read_bytes() == b"flowing" * 1000


def test_a_file_that_is_logged_again_is_replaced(client, run, tmp_path):
    client.log_text(run, "first", "a.txt")
    client.log_text(run, "second, and longer", "a.txt")

    assert Path(client.download_artifacts(run, "a.txt", str(tmp_path))).read_text() == "second, and longer"
    assert client.list_artifacts(run)[0].file_size == 18


@pytest.mark.parametrize("name", ["with space.txt", "größe ✓.txt", "a+b&c=d.txt", "quo'te.txt"])
def test_odd_names_stay_what_they_are(client, run, tmp_path, name):
    client.log_text(run, "x", f"odd folder/{name}")

    assert names(client, run, "odd folder") == [f"odd folder/{name}"]
    assert Path(client.download_artifacts(run, f"odd folder/{name}", str(tmp_path))).read_text() == "x"


def test_a_big_file_goes_in_parts(client, run, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(5 << 20))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 << 20))
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(1 << 20) * 12)

    client.log_artifact(run, str(big), "models")

    assert client.list_artifacts(run, "models")[0].file_size == 12 << 20
    here = Path(client.download_artifacts(run, "models/big.bin", str(tmp_path / "there" / "..")))
    assert hashlib.sha256(here.read_bytes()).digest() == hashlib.sha256(big.read_bytes()).digest()


def test_an_artifact_that_is_not_there_is_said_to_be_missing(client, run, tmp_path):
    assert client.list_artifacts(run, "never") == []
    with pytest.raises((MlflowException, OSError)):
        client.download_artifacts(run, "never/there.txt", str(tmp_path))


@pytest.mark.parametrize("path", ["../up", "/etc", "a/../../up", "..%2f..%2fup"])
def test_a_path_that_leads_elsewhere_is_refused(client, run, path, tmp_path):
    (tmp_path / "a.txt").write_text("x")

    with pytest.raises(Exception):  # noqa: B017, PT011 - the client refuses some with its own errors, the server the rest
        client.list_artifacts(run, path)
    with pytest.raises(Exception):  # noqa: B017, PT011 - as above
        client.log_artifact(run, str(tmp_path / "a.txt"), path)


def test_a_run_of_a_location_of_its_own_keeps_its_artifacts_there(client, unique, tmp_path):
    made = client.create_experiment(unique("located"), artifact_location=f"mlflow-artifacts:/{unique('shelf')}")
    run = client.create_run(made).info

    client.log_text(run.run_id, "x", "a.txt")

    assert "shelf-" in run.artifact_uri
    assert Path(client.download_artifacts(run.run_id, "a.txt", str(tmp_path))).read_text() == "x"


def test_artifacts_are_deleted_through_the_repository(client, run):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run, "x", "a.txt")
    client.log_text(run, "x", "below/b.txt")
    shelf = get_artifact_repository(client.get_run(run).info.artifact_uri)

    shelf.delete_artifacts("a.txt")
    assert names(client, run) == ["below"]
    shelf.delete_artifacts("below")
    assert names(client, run) == []
