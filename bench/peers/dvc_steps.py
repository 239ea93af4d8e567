"""DVC: a chain or a fan of stages of one shell command each. `dvc_steps.py FOLDER SHAPE STEPS`."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER, SHAPE, STEPS = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
DVC = [sys.executable, "-m", "dvc"]
os.environ["DVC_NO_ANALYTICS"] = "1"

if not (FOLDER / "dvc.yaml").exists():
    lines = ["stages:"]
    for at in range(STEPS):
        lines += [f"  s{at}:", f"    cmd: echo {at} > o{at}.txt", "    outs:", f"      - o{at}.txt"]
        if SHAPE == "chain" and at:
            lines += ["    deps:", f"      - o{at - 1}.txt"]
    (FOLDER / "dvc.yaml").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q"], cwd=FOLDER, check=True)
    subprocess.run([*DVC, "init", "-q"], cwd=FOLDER, check=True)
subprocess.run([*DVC, "repro", "-q"], cwd=FOLDER, check=True)
