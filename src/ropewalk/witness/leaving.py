"""What a process leaves when it ends: the one model that is meant, the rows that it saw, and why it was chosen."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from ropewalk.witness.fits import Fit, Fits, is_whole
from ropewalk.witness.networks import Networks
from ropewalk.witness.notes import Notes, said
from ropewalk.witness.saves import Save, Saves

PROTOCOL = 5


class Leaving:
    """Chooses and writes.

    Args:
        notes: of this process.
        fits: the fits that were seen.
        saves: the saves that were seen.
        networks: the torch modules that were seen.
        variable: name of the variable that is meant; empty for the rule.
    """

    def __init__(self, notes: Notes, fits: Fits, saves: Saves, networks: Networks, *, variable: str) -> None:
        self._notes = notes
        self._fits = fits
        self._saves = saves
        self._networks = networks
        self._variable = variable

    def leave(self) -> None:
        """Note which model is meant and write it; never raises."""
        try:
            self._notes.facts["saved"] = [[one.form, one.path, _name(one.model)] for one in self._saves.saves]
            found = self._chosen()
            if found is not None:
                self._notes.facts["model"] = self._written(*found)
        except Exception as error:  # noqa: BLE001 - the script has done its work; it must not fail for ours
            self._notes.facts["model"] = {"kind": "", "rule": "", "why": said(error)}

    def _chosen(self) -> tuple[Any, str] | None:
        """Return the model and the rule that chose it; None where the script has made none.

        In this order: the variable that was named; the last pipeline, or search, that the script fitted itself; the
        model that it wrote to a file last; the network that it trained last; the estimator that it fitted last.
        """
        if self._variable:
            return self._named(), f"the variable {self._variable!r}, as --model says"
        if self._fits.whole is not None:
            words = (
                "best estimator of the last search" if hasattr(self._fits.whole, "best_estimator_") else "last pipeline"
            )
            return self._fits.whole, f"the {words} that the script fitted{_variable_of(self._fits.whole)}"
        saved = next((one for one in reversed(self._saves.saves) if self._is_known(one)), None)
        if saved is not None:
            network = saved.model is self._networks.last or not hasattr(saved.model, "predict")
            words = f"the model that the script wrote to {os.path.basename(saved.path)}"
            return (self._networks.last, words) if network else (saved.model, words)
        if self._networks.last is not None and self._networks.loss:
            return self._networks.last, f"the network that the script trained last{_variable_of(self._networks.last)}"
        if self._fits.last is not None:
            return self._fits.last, f"the estimator that the script fitted last{_variable_of(self._fits.last)}"
        last = self._saves.saves[-1] if self._saves.saves else None
        return (
            None if last is None else (last.model, f"the model that the script wrote to {os.path.basename(last.path)}")
        )

    def _named(self) -> Any:  # noqa: ANN401
        values = vars(sys.modules["__main__"])
        if self._variable not in values:
            fitted = [
                name for name, value in values.items() if hasattr(value, "predict") and not isinstance(value, type)
            ]
            raise LookupError(
                f"the script leaves no variable {self._variable!r}; it leaves {', '.join(fitted[:10]) or 'no model'}"
            )
        return values[self._variable]

    def _is_known(self, save: Save) -> bool:
        """Say whether what was saved was seen being trained, so that its rows are known."""
        if self._networks.last is not None and (save.model is self._networks.last or isinstance(save.model, dict)):
            return bool(self._networks.loss)
        return self._fit_of(save.model) is not None

    def _fit_of(self, model: object) -> Fit | None:
        """Return the fit of a model; that of the search, for the best estimator of one."""
        for fit in reversed(self._fits.fits):
            fitted = fit.model()
            if fitted is not None and (fitted is model or getattr(fitted, "best_estimator_", None) is model):
                return fit
        return None

    def _written(self, model: Any, rule: str) -> dict[str, Any]:  # noqa: ANN401
        found: dict[str, Any] = {"kind": type(model).__name__, "rule": rule}
        if model is self._networks.last:
            return {**found, **self._networks.write(os.path.join(self._notes.folder, f"{self._notes.pid}-network"))}
        fit = self._fit_of(model)
        if fit is None:
            return {**found, "why": "the script did not fit it itself, so the rows that it takes are not known"}
        if fit.odd:
            return {**found, "why": fit.odd}
        inner = getattr(model, "best_estimator_", model)
        stem = f"{self._notes.pid}"
        try:
            data = pickle.dumps(inner, protocol=PROTOCOL)
        except Exception as error:  # noqa: BLE001 - a model may hold anything; then it cannot be kept
            return {**found, "why": f"it cannot be pickled: {said(error)}"}
        with open(os.path.join(self._notes.folder, f"{stem}.model"), "wb") as file:
            file.write(data)
        held = fit.held if fit.held is not None else (None, None)
        rows = {"x": fit.x, "y": fit.y, "held_x": held[0], "held_y": held[1]}
        with open(os.path.join(self._notes.folder, f"{stem}.rows"), "wb") as file:
            pickle.dump(rows, file, protocol=PROTOCOL)
        made_of = [] if is_whole(model) else list(self._fits.transformers)
        seen = {"rows": fit.rows, "names": _feature_names(fit.x), "transformers": made_of}
        return {**found, "kind": type(inner).__name__, "pickle": f"{stem}.model", "sample": f"{stem}.rows", **seen}


def _name(model: object) -> str:
    return "" if model is None else type(model).__name__


def _variable_of(model: object) -> str:
    """Return the variable that holds a model, in words, or nothing."""
    names = [name for name, value in vars(sys.modules["__main__"]).items() if value is model]
    return f" ({names[0]})" if names else ""


def _feature_names(x: Any) -> list[str]:  # noqa: ANN401
    """Return the names that the script's one data set of scikit-learn gives to the columns of a plain array."""
    shape = getattr(x, "shape", (0, 0))
    bunches = [one for one in vars(sys.modules["__main__"]).values() if type(one).__name__ == "Bunch"]
    if len(bunches) != 1 or hasattr(x, "columns"):
        return []
    names = [str(name) for name in bunches[0].get("feature_names", ())]
    return names if len(names) == shape[1] else []
