"""Compiles an exported pipeline and runs it by Kubeflow's subprocess runner, in `.venv-orchestrators`."""

import importlib.util
import os
import sys
from pathlib import Path

import yaml
from kfp import compiler, local

file, folder, times = sys.argv[1:]


def loaded():
    spec = importlib.util.spec_from_file_location("exported", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compiler.Compiler().compile(loaded().plain, package_path=f"{folder}/plain.yaml")
whole = next(iter(yaml.safe_load_all(Path(f"{folder}/plain.yaml").read_text())))
steps = whole["components"]["comp-exit-handler-1"]["dag"]["tasks"]
sys.stdout.write("compiled " + ",".join(sorted(task["taskInfo"]["name"] for task in steps.values())) + "\n")
os.environ["ROPEWALK_LOCAL"] = "1"
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=f"{folder}/root", raise_on_error=False)
for _ in range(int(times)):
    loaded().plain()
