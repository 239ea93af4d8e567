"""The allow-list: which globals a model file may name; whatever is not here is refused."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = """
numpy.ndarray numpy.dtype numpy.matrix numpy.bool numpy.bool_
numpy.float16 numpy.float32 numpy.float64 numpy.int8 numpy.int16 numpy.int32 numpy.int64
numpy.uint8 numpy.uint16 numpy.uint32 numpy.uint64 numpy.str_ numpy.bytes_ numpy.datetime64 numpy.timedelta64
numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct
numpy.core.multiarray.scalar numpy._core.multiarray.scalar
numpy.core.numeric._frombuffer numpy._core.numeric._frombuffer
numpy.random._pickle.__randomstate_ctor numpy.random._pickle.__bit_generator_ctor
numpy.random._pickle.__generator_ctor numpy.random._mt19937.MT19937 numpy.random._pcg64.PCG64
numpy.random._generator.Generator numpy.random.mtrand.RandomState
numpy.random.bit_generator.SeedSequence numpy.random.bit_generator.__pyx_unpickle_SeedSequence
numpy.log numpy.log1p numpy.log2 numpy.log10 numpy.exp numpy.expm1 numpy.sqrt numpy.square numpy.cbrt
numpy.absolute numpy.sign numpy.reciprocal numpy.sin numpy.cos numpy.tan
scipy.interpolate._interpolate.interp1d scipy.interpolate._bsplines.BSpline
"""
_PLAIN = """
builtins.set builtins.frozenset builtins.slice builtins.bytearray builtins.complex builtins.object builtins.range
builtins.list builtins.dict builtins.tuple builtins.int builtins.float builtins.bool builtins.str builtins.bytes
collections.OrderedDict collections.defaultdict copyreg._reconstructor _codecs.encode
datetime.date datetime.datetime datetime.timedelta datetime.timezone dill._dill._create_array
"""
_SKLEARN = """
sklearn.utils._bunch.Bunch sklearn.utils.deprecation.Bunch sklearn.utils._metadata_requests.MetadataRequest
sklearn.compose._column_transformer.make_column_selector
sklearn.neighbors._kd_tree.newObj sklearn.neighbors._ball_tree.newObj sklearn.metrics._dist_metrics.newObj
"""
EXACT = frozenset((_NUMBERS + _PLAIN + _SKLEARN).split())

_ROOMS = (
    "_loss|calibration|cluster|compose|covariance|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|"
    "feature_extraction|feature_selection|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|linear_model|"
    "manifold|mixture|model_selection|multiclass|multioutput|naive_bayes|neighbors|neural_network|pipeline|preprocessing|"
    "random_projection|semi_supervised|svm|tree"
)
# Estimators, losses and trees are classes; sklearn writes classes in capitals, and none of these does anything when it
# is made but keep its arguments. What a name really is gets looked at again when it is resolved (formats.py).
_CLASSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"sklearn\.(?:{_ROOMS})(?:\.\w+)*\._?[A-Z]\w*",
        rf"sklearn\.(?:{_ROOMS})(?:\.\w+)*\.__pyx_unpickle_[A-Z]\w*",
        r"sklearn\.metrics\._dist_metrics\.[A-Z]\w*",
        r"scipy\.sparse\._(?:csr|csc|coo|bsr|dia|dok|lil)\.(?:csr|csc|coo|bsr|dia|dok|lil)_(?:matrix|array)",
        r"xgboost\.sklearn\.XGB[A-Z]\w*|xgboost\.core\.Booster",
        r"lightgbm\.sklearn\.LGBM[A-Z]\w*|lightgbm\.basic\.Booster",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What one project allows beyond the defaults.

    Attributes:
        names: whole globals, as `package.module.name`.
        modules: modules, with what lies below them, whose own names are allowed: those of the project's code.
    """

    names: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()

    def allows(self, module: str, name: str) -> bool:
        """Say whether the global may be imported; a dotted name would walk through attributes and never may."""
        if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            return False
        whole = f"{modern(module)}.{name}"
        if whole in EXACT or whole in self.names or any(pattern.fullmatch(whole) for pattern in _CLASSES):
            return True
        return self.is_own(module)

    def is_own(self, module: str) -> bool:
        """Say whether the module belongs to the project's code."""
        return any(module == own or module.startswith(f"{own}.") for own in self.modules)


def modern(module: str) -> str:
    """Return today's name of a module that protocols 0 to 2 call by its name in Python 2."""
    return {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)


def trust_in(allowed: Iterable[str]) -> Trust:
    """Return the trust that texts describe: `package.module.name`, or `module.*` for a module of the project."""
    texts = frozenset(allowed)
    return Trust(
        names=frozenset(text for text in texts if not text.endswith(".*")),
        modules=frozenset(text.removesuffix(".*") for text in texts if text.endswith(".*")),
    )


def project_modules(folder: Path) -> tuple[str, ...]:
    """Return `module.*` for each module at the top of a folder of code, never for names of the standard library."""
    found = {item.stem for item in folder.glob("*.py")}
    found |= {item.parent.name for item in folder.glob("*/__init__.py")}
    return tuple(f"{name}.*" for name in sorted(found) if name.isidentifier() and name not in sys.stdlib_module_names)
