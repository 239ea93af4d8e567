"""Imports a source into a project and says each step, a line each, so that somebody can kill it there.

Words: the project, the source.
"""

import sys
from pathlib import Path

from ropewalk.exchange.arrive import Arrival
from ropewalk.exchange.opened import open_source
from ropewalk.house import open_house


def say(text: str) -> None:
    """Print a step at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


with open_house(Path(sys.argv[1])) as house:
    Arrival(house.site, open_source(sys.argv[2]), dry=False, on_step=say).run()
say("whole")
