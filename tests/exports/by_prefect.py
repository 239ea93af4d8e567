"""Runs an exported flow twice, as a script that runs in `.venv-orchestrators`: FILE."""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
exported = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exported)
for _ in range(2):
    exported.plain()
