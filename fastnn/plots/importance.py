"""Permutation importance: how much a model's score depends on each feature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..network.mlp import MLP
from .arguments import check_labels
from .style import BLUE, as_written, new_axes, shorten, size_in_points, text_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FEATURES = 20  # drawn


class _Scored:
    """A network or model with the interface that scikit-learn's inspection asks for."""

    def __init__(self, predict: Callable[[Any], Any], classifies: bool) -> None:
        self._predict, self._classifies = predict, classifies

    def fit(self, x: Any, y: Any) -> _Scored:  # scikit-learn looks for it, and never calls it
        return self

    def score(self, x: Any, y: Any) -> float:
        """Accuracy or R squared."""
        prediction = np.asarray(self._predict(x))
        if self._classifies:
            return float((prediction == np.asarray(y)).mean())
        return float(_checks.require("sklearn.metrics", "sklearn").r2_score(y, prediction))


def permutation_importance(
    estimator_or_model_or_net: Any,
    x: Any,
    y: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    n_repeats: int = 10,
    seed: int = 0,
) -> Axes:
    """Draw how much the score falls when one feature's values are shuffled between rows (Breiman, 2001).

    The score is accuracy or R squared; an estimator's own score if it has one. Lines show the standard
    deviation over repetitions. At most 20 features are drawn, the most important ones; fewer where there is
    no room.

    Parameters
    ----------
    estimator_or_model_or_net : estimator, Model or MLP
    x : array or data frame of shape (n, n_features)
        Features; rows that the model was not trained on are more informative.
    y : array-like of shape (n,)
    names : sequence of str, optional
        Names of the features; those of the data frame by default.
    ax : matplotlib Axes, optional
    n_repeats : int, default=10
    seed : int, default=0

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import fastnn
    >>> x = np.random.default_rng(0).standard_normal((200, 3))
    >>> y = (x[:, 1] > 0).astype(int)
    >>> net = fastnn.MLP([3, 8, 2], seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.01), seed=0)
    >>> history = trainer.fit(x, y, epochs=20, verbose=0)
    >>> ax = permutation_importance(net, x, y, names=["a", "b", "c"])
    >>> ax.get_yticklabels()[-1].get_text()  # the most important is on top
    'b'
    """
    inspection = _checks.require("sklearn.inspection", "sklearn")
    x = x if hasattr(x, "iloc") else np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"x must have 2 dimensions (rows, features), got shape {x.shape}.")
    y = check_labels("y", y)
    _checks.check_lengths("x", len(x), "y", len(y))
    model = _with_score(estimator_or_model_or_net)
    if names is None:
        columns = getattr(x, "columns", None)
        names = [f"feature {k}" for k in range(x.shape[1])] if columns is None else [*map(str, columns)]
    names = _checks.check_items("names", names, "names")
    if len(names) != x.shape[1]:
        raise ValueError(f"names has {len(names)} entries, but x has {x.shape[1]} features.")
    _checks.check_count("n_repeats", n_repeats)
    _checks.check_count("seed", seed, 0, _checks.LARGEST_STATE)
    result = inspection.permutation_importance(model, x, y, n_repeats=n_repeats, random_state=seed)
    ax = new_axes(ax, (5.4, 1.2 + 0.26 * min(MOST_FEATURES, len(names))))
    n_shown = int(np.clip(size_in_points(ax)[1] / 11, 1, MOST_FEATURES))
    order = np.argsort(result.importances_mean, kind="stable")[-n_shown:]
    mean, deviation = result.importances_mean[order], result.importances_std[order]
    places = range(len(order))
    ax.barh(places, mean, color=BLUE, height=0.7, xerr=deviation, ecolor=text_color(), capsize=2)
    ax.set_yticks(places, [shorten(names[k], 28) for k in order], fontsize=9)
    as_written(ax.yaxis)
    ax.tick_params(axis="y", length=0)
    ax.axvline(0, color=text_color(), linewidth=0.8)
    ax.grid(False, axis="y")
    ax.set_xlabel("decrease in score when shuffled")
    return ax


def _with_score(model: Any) -> Any:
    """Return a network, a model or an estimator as an object that has a score."""
    if isinstance(model, MLP):
        return _Scored(model.predict, model.output in ("softmax", "sigmoid"))
    if hasattr(model, "score"):
        return model
    if hasattr(model, "target"):
        return _Scored(model.predict, model.target.task == "classification")
    raise TypeError(
        f"permutation_importance needs an estimator, a Model or a network, got {type(model).__name__}."
    )
