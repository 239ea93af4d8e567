"""`python -m ropewalk` is `ropewalk`."""

from __future__ import annotations

import sys

from ropewalk.cli import main

if __name__ == "__main__":
    sys.exit(main())
