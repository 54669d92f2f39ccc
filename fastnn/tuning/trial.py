"""Trials: single trainings of a search, with their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..history import Epoch
from ..losses import Loss
from ..metrics import Metric
from ..training.callbacks import Callback, CallbackList
from ..training.stopping import EarlyStopping
from ..training.trainer import Trainer
from .recipe import Recipe
from .splits import Split


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes
    ----------
    number : int
        Counted from 1; interrupted trials do not count.
    score : float
        The lowest validation cost of its epochs, without label smoothing; with folds, the mean over them.
        Infinite if it diverged; of a pruned trial, the last reported cost.
    ending : str
        "epochs", "early stopping", "schedule", "pruned" or "diverged".
    epochs, best_epoch : int
        How many epochs were trained, and which one gave the score; with folds, those of the last fold and
        the median.
    seconds : float
    settings : dict
        With the names of ``fastnn.tuning.space.DEFAULTS``.
    """

    number: int
    score: float
    ending: str
    epochs: int
    best_epoch: int
    seconds: float
    settings: dict[str, Any]


class TrialMonitor(Callback):
    """Notes the lowest validation cost of a training, reports costs to the search, and stops on demand.

    Parameters
    ----------
    report : callable
        ``report(epoch, cost)``; the training is pruned if it returns True.
    is_interrupted : callable
        The training is interrupted once it returns True.

    Attributes
    ----------
    monitor : str
        The figure of the history that is the cost.
    best : float
    best_epoch, n_epochs : int
    """

    def __init__(
        self,
        report: Callable[[int, float], bool] = lambda epoch, cost: False,
        is_interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._report, self._is_interrupted = report, is_interrupted
        self.monitor = "val_cost"
        self.best, self.best_epoch, self.n_epochs = math.inf, 0, 0

    def on_epoch_end(self, trainer: Any, epoch: Epoch) -> None:
        """Note the cost, and stop the trainer if there is a reason to."""
        self.n_epochs = epoch.epoch
        cost = epoch.figure(self.monitor)
        if cost < self.best:
            self.best, self.best_epoch = cost, epoch.epoch
        if self._is_interrupted():
            trainer.stop("interrupted")
        elif self._report(epoch.epoch, cost if math.isfinite(cost) else math.inf):
            trainer.stop("pruned")


def plain_cost(trainer: Trainer, loss: Loss, validation: tuple[Any, Any]) -> Metric:
    """Return a metric: the cost of the validation rows by another loss, one without label smoothing.

    It makes trials with and without label smoothing comparable.
    """
    judge = Trainer(trainer.net, loss=loss, optimizer="sgd", n_threads=trainer.settings.n_threads)

    def cost(y_true: Any, y_pred: Any) -> float:
        return judge.evaluate(*validation)["cost"]

    # The judge predicts by itself: a task that leaves outputs as they are suits every loss.
    return Metric("plain_cost", "regression", cost, higher_is_better=False)


@dataclass(frozen=True)
class TrialPlan:
    """A plan by which all trials of a search are trained, whatever their settings.

    Attributes
    ----------
    recipe : Recipe
    epochs : int
        At most.
    patience : int
        Epochs without improvement after which a training ends.
    """

    recipe: Recipe
    epochs: int
    patience: int

    def train(
        self,
        settings: Mapping[str, Any],
        split: Split,
        monitor: TrialMonitor,
        *,
        seed: int | None = None,
        callbacks: Any = (),
        verbose: int = 0,
    ) -> Trainer:
        """Train a new network with these settings.

        Raises
        ------
        DivergenceError
        """
        trainer = self.recipe.make_trainer(settings, seed)
        metrics: Any = ()
        if settings["label_smoothing"] > 0:
            loss = self.recipe.make_loss({"label_smoothing": 0.0})
            metrics, monitor.monitor = plain_cost(trainer, loss, split.validation), "val_plain_cost"
        trainer.fit(
            *split.train,
            epochs=self.epochs,
            validation_data=split.validation,
            early_stopping=EarlyStopping(monitor.monitor, patience=self.patience),
            metrics=metrics,
            callbacks=[monitor, CallbackList(callbacks)],
            verbose=verbose,
        )
        return trainer
