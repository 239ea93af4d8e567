"""Reads an exported file as Argo's own models do (Hera's, made from Argo's schema), in `.venv-orchestrators`: FILE."""

import sys
from pathlib import Path

import yaml
from hera.workflows import models

for document in yaml.safe_load_all(Path(sys.argv[1]).read_text()):
    kind = getattr(models, document["kind"])
    plain = kind.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True)
    sys.stdout.write(f"{document['kind']} {'whole' if plain == document else plain}\n")
