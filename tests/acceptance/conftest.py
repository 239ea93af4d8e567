"""What runs inside `.venv-mlflow` is not collected here: these environments do not know each other."""

from __future__ import annotations

collect_ignore = ["suite", "plugin"]
