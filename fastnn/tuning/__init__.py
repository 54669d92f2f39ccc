"""Search for hyper-parameters and for a learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .lr_finder import LRCurve as LRCurve
    from .lr_finder import find_lr as find_lr
    from .recipe import Recipe as Recipe
    from .result import TuneResult as TuneResult
    from .search import tune as tune
    from .space import Space as Space
    from .space import default_space as default_space
    from .study import PRUNERS as PRUNERS
    from .trial import Trial as Trial

_HOMES = {
    "LRCurve": "lr_finder",
    "PRUNERS": "study",
    "Recipe": "recipe",
    "Space": "space",
    "Trial": "trial",
    "TuneResult": "result",
    "default_space": "space",
    "find_lr": "lr_finder",
    "tune": "search",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
