"""Names that a target takes: what it refuses is made legal, and no two are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a target allows in a name.

    Attributes:
        refused: what matches a letter that it does not take.
        joint: what stands for such letters.
        lower: whether capitals are refused.
        length_max: letters at most.
        first: what is put before a name that does not begin with a letter.
    """

    refused: str
    joint: str = "-"
    lower: bool = False
    length_max: int = 250
    first: str = "step"

    def made(self, text: str) -> str:
        """Return a legal name that is as near to a text as can be; two texts may give the same."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        plain = plain.lower() if self.lower else plain
        plain = re.sub(f"(?:{self.refused})+", self.joint, plain).strip("-_.")
        if not plain[:1].isalpha():
            plain = f"{self.first}{self.joint}{plain}".rstrip("-_.")
        return plain[: self.length_max].rstrip("-_.")


# Airflow: letters, digits, `-`, `_` and `.` in ids of DAGs and tasks.
AIRFLOW = Rule(refused=r"[^A-Za-z0-9._-]")
# Kubernetes: RFC 1123 labels; of a CronWorkflow's name eleven letters fewer than 63, for the time that is added.
KUBERNETES = Rule(refused=r"[^a-z0-9-]", lower=True, length_max=52)
# Kubeflow: names of pipelines become names in Kubernetes; those of tasks too, and longer ones are cut there.
KUBEFLOW = KUBERNETES
# Prefect: any text but / and %, in which its addresses are written.
PREFECT = Rule(refused=r"[^A-Za-z0-9._ -]")
# Functions of Python.
PYTHON = Rule(refused=r"[^A-Za-z0-9_]", joint="_", first="pipeline")


def unique(texts: Iterable[str], rule: Rule, taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a legal name for each text; those that are legal already keep theirs.

    Args:
        texts: different from each other, in the order that decides who is numbered.
        rule: what is legal.
        taken: names that are not to be given.
    """
    every = list(texts)
    used = {*taken}
    found: dict[str, str] = {}
    for text in every:
        if rule.made(text) == text and text not in used:
            found[text] = text
            used.add(text)
    for text in every:
        if text in found:
            continue
        stem, name, number = rule.made(text), rule.made(text), 2
        while name in used:
            tail = f"{rule.joint}{number}"
            name, number = stem[: rule.length_max - len(tail)] + tail, number + 1
        found[text] = name
        used.add(name)
    return {text: found[text] for text in every}
