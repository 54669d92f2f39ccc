"""Search for hyper-parameters and for a learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .lr_finder import LRCurve as LRCurve
    from .lr_finder import find_lr as find_lr
    from .search import PRUNERS as PRUNERS
    from .search import Recipe as Recipe
    from .search import Space as Space
    from .search import Trial as Trial
    from .search import TuneResult as TuneResult
    from .search import default_space as default_space
    from .search import tune as tune

_HOMES = {
    "LRCurve": "lr_finder",
    "PRUNERS": "search",
    "Recipe": "search",
    "Space": "search",
    "Trial": "search",
    "TuneResult": "search",
    "default_space": "search",
    "find_lr": "lr_finder",
    "tune": "search",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
