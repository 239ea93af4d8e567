"""Metaflow: a chain of steps, or a foreach. `metaflow_steps.py FOLDER SHAPE STEPS`."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER, SHAPE, STEPS = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
CHAIN = "    @step\n    def s{at}(self):\n        self.x += 1\n        self.next(self.{after})\n"
lines = [
    "from metaflow import FlowSpec, step\n\nclass Walk(FlowSpec):\n    @step\n    def start(self):\n        self.x = 0"
]
if SHAPE == "chain":
    lines.append("        self.next(self.s0)\n")
    lines += [CHAIN.format(at=at, after=f"s{at + 1}" if at + 1 < STEPS else "end") for at in range(STEPS)]
else:
    lines.append(f"        self.items = list(range({STEPS}))\n        self.next(self.more, foreach='items')\n")
    lines.append("    @step\n    def more(self):\n        self.y = self.input + 1\n        self.next(self.join)\n")
    lines.append("    @step\n    def join(self, inputs):\n        self.next(self.end)\n")
lines.append("    @step\n    def end(self):\n        pass\n\nif __name__ == '__main__':\n    Walk()\n")
flow = FOLDER / "walk.py"
flow.write_text("\n".join(lines))
environ = {**os.environ, "USERNAME": "bench", "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(FOLDER), "METAFLOW_USER": "bench"}
words = [sys.executable, str(flow), "run", "--max-workers", "2", "--max-num-splits", "1000"]
subprocess.run(words, cwd=FOLDER, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
