"""Wrap anything as a model: a class with `predict` and a file that it needs."""

import json
import pathlib
import tempfile

import mlflow
import pandas as pd


class Lookup(mlflow.pyfunc.PythonModel):
    """Answers from a table that travels with it."""

    def load_context(self, context):
        """Read the table that was logged beside the class."""
        with open(context.artifacts["table"], encoding="utf-8") as file:  # noqa: PTH123 - as users write it
            self.table = json.load(file)

    def predict(self, context, model_input, params=None):  # noqa: ARG002 - the client's own signature
        """Return the word in the other language, or what stands for missing ones."""
        missing = (params or {}).get("missing", "unknown")
        return [self.table.get(word, missing) for word in model_input["word"]]


mlflow.set_experiment("own model")
frame = pd.DataFrame({"word": ["hello", "ship"]})
with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
    path = pathlib.Path(folder) / "table.json"
    path.write_text(json.dumps({"hello": "hallo", "rope": "Seil"}))
    info = mlflow.pyfunc.log_model(
        name="lookup",
        python_model=Lookup(),
        artifacts={"table": str(path)},
        signature=mlflow.models.infer_signature(frame, ["hallo", "-"], params={"missing": "-"}),
        pip_requirements=["pandas"],
    )

model = mlflow.pyfunc.load_model(info.model_uri)
assert list(model.predict(frame)) == ["hallo", "-"]
assert list(model.predict(frame, params={"missing": "?"})) == ["hallo", "?"]
print("the table travelled with the model")
