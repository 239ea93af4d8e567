"""Keep files of every kind with a run: text, JSON, tables, figures, images, folders."""

import pathlib
import tempfile

import matplotlib as mpl
import mlflow
import numpy as np
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot as plt

mlflow.set_experiment("gallery")

with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
    mlflow.log_text("# Notes\n\nwritten by hand", "notes.md")
    mlflow.log_dict({"classes": ["setosa", "virginica"], "threshold": 0.5}, "config/classes.json")
    mlflow.log_table(pd.DataFrame({"prompt": ["2 + 2", "3 + 3"], "answer": [4, 6]}), "tables/sums.json")

    figure, axes = plt.subplots()
    axes.plot(np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2)
    mlflow.log_figure(figure, "plots/square.png")
    mlflow.log_image(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8), "noise.png")

    report = pathlib.Path(folder) / "report"
    (report / "parts").mkdir(parents=True)
    (report / "index.html").write_text("<h1>Report</h1>")
    (report / "parts" / "one.csv").write_text("a,b\n1,2\n")
    mlflow.log_artifacts(str(report), artifact_path="report")

names = {one.path for one in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
assert names == {"notes.md", "config", "tables", "plots", "noise.png", "report"}
assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config/classes.json")["threshold"] == 0.5
assert len(mlflow.load_table("tables/sums.json", run_ids=[run.info.run_id])) == 2
with tempfile.TemporaryDirectory() as folder:
    here = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="report", dst_path=folder)
    assert (pathlib.Path(here) / "parts" / "one.csv").read_text() == "a,b\n1,2\n"
print(f"{len(names)} kinds of files came back as they were")
