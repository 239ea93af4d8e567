from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.fault
def test_no_row_is_lost_or_doubled_wherever_a_compaction_is_killed(tmp_path: Path) -> None:
    step = 1 if int(os.environ.get("ROPEWALK_KILLS", "0")) else 11
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("compact_kills.py")), str(tmp_path), str(step)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 50 // step
