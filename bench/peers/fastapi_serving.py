"""FastAPI on uvicorn as its tutorial has it: one process, the pickled model, pydantic's checks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from serving_model import keep, load


class Rows(BaseModel):
    """A request's body."""

    inputs: list[list[float]]


def serve(folder: Path, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    app, model = FastAPI(), load(folder)

    @app.post("/predict")
    async def predict(rows: Rows) -> dict[str, list[float]]:
        return {"probability": model.predict_proba(np.array(rows.inputs))[:, 1].tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    where = Path(sys.argv[2])
    keep(where) if sys.argv[1] == "prepare" else serve(where, int(sys.argv[3]))
