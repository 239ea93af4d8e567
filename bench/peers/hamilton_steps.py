"""Hamilton with its cache: a chain or a fan of nodes in one process. `hamilton_steps.py FOLDER SHAPE STEPS`."""

import sys
import types

from hamilton import ad_hoc_utils, driver

FOLDER, SHAPE, STEPS = sys.argv[1], sys.argv[2], int(sys.argv[3])
LINES = ["def n0() -> int:\n    return 1\n"]
for at in range(1, STEPS):
    before = f"n{at - 1}: int" if SHAPE == "chain" else ""
    LINES.append(f"def n{at}({before}) -> int:\n    return {f'n{at - 1}' if before else at} + 1\n")
module: types.ModuleType = ad_hoc_utils.module_from_source("\n".join(LINES))
built = driver.Builder().with_modules(module).with_cache(path=f"{FOLDER}/cache").build()
last = [f"n{STEPS - 1}"] if SHAPE == "chain" else [f"n{at}" for at in range(STEPS)]
assert built.execute(last)
