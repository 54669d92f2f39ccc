"""A fit and its epochs as tasks of scikit-learn's callbacks, which exist from version 1.9 on."""

from __future__ import annotations

import copy
from typing import Any

from ..history import Epoch
from ..network.mlp import MLP
from ..training.callbacks import Callback, TrainerLike
from .fitted import FittedNetwork

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Substitute for scikit-learn's class."""


class FitTasks(Callback):
    """A fit and its epochs as tasks of scikit-learn's callbacks.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Estimator whose class supports callbacks.
    X, y, sample_weight
        Arguments of its ``fit``, which are passed on to the callbacks unchanged.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self._arguments = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._n_epochs_left = estimator.max_iter
        self._fit_context = estimator._init_callback_context(max_subtasks=self._n_epochs_left)
        self._epoch_context: Any = None
        self._fit_context.call_on_fit_task_begin(**self._arguments)

    def on_epoch_begin(self, trainer: TrainerLike) -> None:  # noqa: D102
        if self._n_epochs_left:  # L-BFGS does not say that an iteration was its last
            self._n_epochs_left -= 1
            self._epoch_context = self._fit_context.subcontext(task_name="epoch")
            self._epoch_context.call_on_fit_task_begin(**self._arguments)

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:  # noqa: D102
        if self._end_epoch(trainer):
            trainer.stop("callback")

    def next_iteration(self, trainer: TrainerLike) -> None:
        """End one iteration of L-BFGS and begin the next.

        Raises
        ------
        StopIteration
            If a callback wants training to stop: this ends SciPy's minimiser.
        """
        if self._end_epoch(trainer):
            raise StopIteration
        self.on_epoch_begin(trainer)

    def end_fit(self, net: MLP) -> None:
        """Tell the callbacks that the fit has ended."""
        if self._epoch_context is not None:  # an epoch that began, but was interrupted
            self._epoch_context.call_on_fit_task_end(estimator=self._arguments["estimator"])
        self._end_task(self._fit_context, net)

    def _end_epoch(self, trainer: TrainerLike) -> bool:
        """Tell the callbacks that an epoch has ended, and return True if one of them wants to stop."""
        with trainer.averaged():
            stops = self._end_task(self._epoch_context, trainer.net)
        self._epoch_context = None
        return stops

    def _end_task(self, context: Any, net: MLP) -> bool:
        return bool(
            context.call_on_fit_task_end(
                **self._arguments,
                reconstruction_attributes=lambda: FittedNetwork(copy.deepcopy(net)).attributes,
            )
        )
