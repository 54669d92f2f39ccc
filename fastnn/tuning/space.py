"""Search spaces: which settings a search chooses, from which values, and which it leaves fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import _checks
from ..losses import Loss, as_loss

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# The settings that can be searched, with the values they have unless the search says otherwise. A search that
# resumes compares them with those of its storage, so their order matters.
DEFAULTS: dict[str, Any] = {
    "n_layers": 1,
    "width": 128,
    "activation": "relu",
    "dropout": 0.0,
    "input_dropout": 0.0,
    "norm": None,
    "residual": False,
    "init": None,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "schedule": "constant",
    "batch_size": 32,
    "l1": 0.0,
    "l2": 0.0,
    "clip_norm": None,
    "class_weight": None,
    "label_smoothing": 0.0,
}
COUNTS = tuple(name for name, value in DEFAULTS.items() if type(value) is int)


def default_space(loss: str | Loss | Callable[[float, float], float], n_rows: int) -> dict[str, Any]:
    """Return the space that :func:`tune` searches by default.

    Parameters
    ----------
    loss : str, Loss or callable
        Label smoothing is searched if the loss supports it.
    n_rows : int
        Number of training rows; a batch holds at most an eighth of them.

    Returns
    -------
    dict
        For each name a list of choices, ``(low, high)`` or ``(low, high, "log")``.

    Examples
    --------
    >>> default_space("mse", n_rows=1000)["batch_size"]
    [16, 32, 64]
    """
    space: dict[str, Any] = {
        "n_layers": (1, 4),
        "width": (32, 512, "log"),
        "activation": ["relu", "silu", "gelu", "tanh"],
        "dropout": (0.0, 0.5),
        "norm": [None, "layer", "batch"],
        "lr": (1e-4, 3e-2, "log"),
        "weight_decay": (1e-4, 1.0, "log"),
        "schedule": ["constant", "one_cycle", "cosine"],
        "batch_size": [2**k for k in range(4, 10) if 2**k <= max(32, n_rows // 8)],
    }
    if "label_smoothing" in as_loss(loss).parameters:
        space["label_smoothing"] = (0.0, 0.2)
    return space


class Space:
    """A search space as Optuna takes it, with the values of the settings that are not searched.

    Parameters
    ----------
    given : mapping
        For each name of DEFAULTS a list of choices, a tuple ``(low, high)`` or ``(low, high, "log")``, or a
        single value.

    Attributes
    ----------
    searched : dict
        Optuna's distribution of each setting that is searched.
    fixed : dict
        Values of the others.
    initial : dict
        The searched settings of the first trial: the defaults, or the values closest to them.
    probes : dict
        For each given name the values that network and trainer should be able to take: all choices, or both
        ends of a range.

    Raises
    ------
    ValueError, TypeError
        If a name or a value is not as described here.

    Examples
    --------
    >>> space = Space({"width": (8, 64, "log"), "norm": "layer"})
    >>> space.initial, space.fixed["norm"]
    ({'width': 64}, 'layer')
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        distributions = _checks.require("optuna.distributions", "tune")
        if not isinstance(given, Mapping):
            raise TypeError(f"space must be a dict of values by setting, got {_checks.shown(given)}.")
        self.fixed = dict(DEFAULTS)
        self.searched: dict[str, BaseDistribution] = {}
        self.initial: dict[str, Any] = {}
        self.probes: dict[str, list[Any]] = {}
        for name, values in given.items():
            argument = f"space[{_checks.shown(name)}]"
            _checks.check_name("a name of space", name, DEFAULTS)
            default = DEFAULTS[name]
            if isinstance(values, list):
                _check_choices(argument, values)
                self.probes[name] = values
                if len(values) > 1:
                    self.initial[name] = default if default in values else _closest(default, values)
                    self.searched[name] = distributions.CategoricalDistribution(values)
            elif isinstance(values, tuple):
                low, high, log = _check_range(argument, values, name in COUNTS)
                self.probes[name] = [low, high]
                if low < high:
                    kind = "IntDistribution" if name in COUNTS else "FloatDistribution"
                    self.searched[name] = getattr(distributions, kind)(low, high, log=log)
                    self.initial[name] = min(max(low if default is None else default, low), high)
            else:
                self.probes[name] = [values]
            if name not in self.searched:
                self.fixed[name] = self.probes[name][0]

    def settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of a trial, given those that the search chose."""
        return self.fixed | dict(chosen)

    def __repr__(self) -> str:
        # A stored search is recognised by this text.
        fixed = {name: value for name, value in self.fixed.items() if name not in self.searched}
        return f"{dict(sorted(self.searched.items()))}, fixed {fixed}"


def _check_choices(argument: str, choices: list[Any]) -> None:
    if not choices:
        raise ValueError(f"{argument} has no choices: expected at least one.")
    for choice in choices:
        if not isinstance(choice, (str, bool, int, float, type(None))):
            raise TypeError(f"{argument} must list strings, numbers or None, got {_checks.shown(choice)}.")


def _check_range(argument: str, given: tuple[Any, ...], is_count: bool) -> tuple[float, float, bool]:
    """Return the ends of a range and whether it is logarithmic."""
    if len(given) not in (2, 3) or (len(given) == 3 and given[2] != "log"):
        raise ValueError(f'{argument} must be (low, high) or (low, high, "log"), got {_checks.shown(given)}.')
    log = len(given) == 3

    def check(end: Any) -> float:
        if is_count:
            return _checks.check_count(argument, end)
        return _checks.check_number(argument, end, 0.0, open_low=log)

    low, high = map(check, given[:2])
    if low > high:
        raise ValueError(f"{argument} must not have low above high, got {_checks.shown(given)}.")
    return low, high, log


def _closest(default: Any, choices: list[Any]) -> Any:
    """Return the choice closest to a number; the first one if not all of them are numbers."""
    if isinstance(default, float | int) and all(isinstance(choice, float | int) for choice in choices):
        return min(choices, key=lambda choice: abs(choice - default))
    return choices[0]
