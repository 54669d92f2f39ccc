"""Results of a search: its trials, and trainers with the best settings."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from .. import _checks
from ..training.trainer import Trainer
from .splits import Split
from .trial import Trial, TrialMonitor, TrialPlan

if TYPE_CHECKING:
    import optuna
    import pandas

StopReason = Literal["trials", "timeout", "interrupted"]


class TuneResult:
    """Result of a search: its trials and the best settings.

    Attributes
    ----------
    settings : dict
        Settings of the best trial, named as in ``fastnn.tuning.space.DEFAULTS``.
    score : float
        Score of the best trial; lower is better.
    best : Trial
    default : Trial
        The first one, with the default settings or those closest to them.
    trials : list of Trial
        All trials that were not interrupted, in order.
    stop_reason : {"trials", "timeout", "interrupted"}
    study : optuna.Study
        For Optuna's own plots and figures.
    """

    def __init__(
        self, study: optuna.Study, trials: list[Trial], plan: TrialPlan, stop_reason: StopReason
    ) -> None:
        self.study, self.trials, self.stop_reason = study, trials, stop_reason
        self.best = min((t for t in trials if t.ending != "pruned"), key=lambda trial: trial.score)
        self.default = trials[0]
        self.settings, self.score = self.best.settings, self.best.score
        self._plan = plan

    def make_trainer(self, seed: int | None = None) -> Trainer:
        """Return a new network and its trainer with the best settings, untrained.

        Parameters
        ----------
        seed : int, optional
            That of the search by default.
        """
        return self._plan.recipe.make_trainer(self.settings, seed)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        validation_data: tuple[Any, Any] | None = None,
        seed: int | None = None,
        verbose: int = 1,
        callbacks: Any = (),
    ) -> Trainer:
        """Train a new network with the best settings.

        Parameters
        ----------
        x, y : array-like
            As in :func:`tune`.
        validation_data : tuple (x_val, y_val), optional
            With it, the network is trained like the trial, with its limit of epochs, early stopping and the
            weights of the best epoch. Without it, training ends after the number of the trial's best epoch.
        seed : int, optional
            That of the search by default.
        verbose, callbacks
            As in ``Trainer.fit``.

        Returns
        -------
        Trainer
            Trained; its ``net`` predicts.
        """
        if validation_data is None:
            trainer = self.make_trainer(seed)
            trainer.fit(x, y, epochs=self.best.best_epoch, verbose=verbose, callbacks=callbacks)
            return trainer
        x_val, y_val = validation_data
        return self._plan.train(
            self.settings,
            Split((x, y), (x_val, y_val)),
            TrialMonitor(),
            seed=seed,
            verbose=verbose,
            callbacks=callbacks,
        )

    def importances(self) -> dict[str, float]:
        """Return the share of the scores' variation that each setting explains, the largest first.

        The shares sum to 1. The method is functional ANOVA (Hutter et al., 2014) over the trials that were
        not pruned; with fewer than two different scores there is nothing to explain, and all shares are 0.

        Raises
        ------
        ImportError
            If scikit-learn is not installed.
        """
        _checks.require("sklearn", "sklearn")
        optuna = _checks.require("optuna.importance", "tune")
        names = list(self.study.user_attrs["searched"])
        scores = {trial.score for trial in self.trials if trial.ending != "pruned"} - {math.inf}
        if len(scores) < 2:
            return dict.fromkeys(names, 0.0)
        evaluator = optuna.FanovaImportanceEvaluator(seed=self._plan.recipe.seed)
        shares = optuna.get_param_importances(self.study, evaluator=evaluator, params=names)
        return {name: float(share) for name, share in shares.items()}

    def to_frame(self) -> pandas.DataFrame:
        """Return the trials as a pandas DataFrame, one row each.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = _checks.require("pandas", "tables")
        rows = [dataclasses.asdict(trial) for trial in self.trials]
        return pandas.DataFrame([row | row.pop("settings") for row in rows]).set_index("number")

    def __repr__(self) -> str:
        return f"TuneResult({len(self.trials)} trials, score={self.score:.4g}, settings={self.settings})"
