"""Luigi: a chain or a fan of tasks, each with a file as its outcome. `luigi_steps.py FOLDER SHAPE STEPS`."""

import sys
from pathlib import Path

import luigi

FOLDER, SHAPE, STEPS = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class More(luigi.Task):
    at = luigi.IntParameter()

    def requires(self):
        return [More(at=self.at - 1)] if SHAPE == "chain" and self.at else []

    def output(self):
        return luigi.LocalTarget(FOLDER / f"{SHAPE}-{self.at}.txt")

    def run(self):
        before = int(self.input()[0].open().read()) if self.requires() else self.at
        with self.output().open("w") as file:
            file.write(str(before + 1))


class All(luigi.WrapperTask):
    def requires(self):
        return [More(at=at) for at in range(STEPS)]


done = luigi.build([All()], local_scheduler=True, log_level="ERROR", workers=1)
assert done
