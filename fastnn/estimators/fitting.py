"""Fitting an estimator: its network is trained by a Trainer, with scikit-learn's rules and bookkeeping."""

from __future__ import annotations

import copy
import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from ..history import Epoch
from ..network.mlp import MLP
from ..optimizers import LBFGS, SGD, Adam, Optimizer, as_optimizer, powers
from ..training import lbfgs
from ..training.averages import EMA, SWA
from ..training.callbacks import CallbackList
from ..training.loop import DivergenceError
from ..training.trainer import Trainer
from .base import BaseMLP, Rows
from .parameters import RATE_RULES, AnyCallable, check_sizes, checks_parameters
from .tasks import FitTasks

SMALLEST_RATE = 1e-6  # learning_rate="adaptive" stops below it, as in scikit-learn
Estimator = TypeVar("Estimator", bound="FittableMLP")


@dataclasses.dataclass(frozen=True)
class _Adam(Adam):
    """scikit-learn's Adam, which adds eps to the root of the second mean before correcting its bias."""

    def _corrected(self, lr: np.ndarray, step: np.ndarray) -> Iterable[Any]:
        root = np.sqrt(1 - powers(self.beta2, step))
        return lr * root / (1 - powers(self.beta1, step)), 1.0, self.eps


@dataclasses.dataclass(frozen=True)
class _SGD(SGD):
    """scikit-learn's SGD, whose momentum may be 1; the estimator has checked the numbers."""

    def __post_init__(self) -> None:
        pass


def _has_epochs(estimator: FittableMLP) -> bool:
    """Return True if the solver trains by epochs, which partial_fit needs.

    Raises
    ------
    AttributeError
        If it does not, with the reason, as ``available_if`` expects.
    """
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd'; 'lbfgs' takes all rows at once.")
    return True


def needs_epochs(method: AnyCallable) -> AnyCallable:
    """Offer a method of an estimator only where its solver trains by epochs."""
    return available_if(_has_epochs)(method)


class FittableMLP(BaseMLP):
    """An estimator that can be fitted: on all rows by epochs or by L-BFGS, or part by part.

    Between calls of ``partial_fit`` it keeps a trainer with the state of the optimiser, the parameters of the
    best validation score, and the number of epochs without improvement.
    """

    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    stopped_: bool
    _best_parameters: dict[str, np.ndarray] | None
    _no_improvement_count: int

    @checks_parameters
    def fit(
        self: Estimator,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> Estimator:
        """Train on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Copied only where it is not a contiguous array of ``dtype``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or values.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row.
        X_val, y_val : array-like, optional
            Data to score after every epoch, see ``validation_scores_``. With ``early_stopping`` they take
            the place of ``validation_fraction`` of the training data.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X, y or a parameter is not what is expected.
        DivergenceError
            A ValueError: if the loss becomes NaN or infinite. With ``early_stopping`` that is a warning once
            an epoch has a finite score, and the weights are those of the best epoch.
        """
        tasks = FitTasks(self, X, y, sample_weight) if hasattr(self, "_init_callback_context") else None
        has_callbacks = hasattr(self, "_skl_callbacks")  # without them, epochs need no tasks
        self._fit(
            X, y, sample_weight, X_val, y_val, resume=self.warm_start, tasks=tasks if has_callbacks else None
        )
        if tasks:
            tasks.end_fit(self._fitted.net)
        return self

    def set_params(self: Estimator, **params: Any) -> Estimator:
        """Set parameters; those of training count from the next call of fit or partial_fit on.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor by name.

        Returns
        -------
        self
        """
        if params:
            self.__dict__.pop("_trainer", None)  # it was made from the parameters so far
        return super().set_params(**params)

    def _fit(
        self: Estimator,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        *,
        resume: bool,
        classes: ArrayLike | None = None,
        incremental: bool = False,
        tasks: FitTasks | None = None,
    ) -> Estimator:
        check_sizes(self)
        resume = resume and hasattr(self, "coefs_")
        dtypes = self._allowed_dtypes(np.asarray(self.coefs_[0]).dtype if resume else None)
        X, y = self._check_data(X, y, dtypes, reset=not (resume and hasattr(self, "n_features_in_")))
        if resume and self._knows_targets():
            self._check_known_labels(y, incremental)
        else:
            self._learn_targets(y, classes)
        rows = Rows(X, y, self._encode_targets(y, X.dtype), self._check_weight(sample_weight, X))
        validation = self._check_validation(X_val, y_val, X.dtype)
        rng = check_random_state(self.random_state)
        net = self._start_network(resume, self._check_sizes(X.shape[1]), X.dtype, rng)
        if self.solver == "lbfgs":
            self._fit_lbfgs(net, rows, validation, tasks)
        else:
            self._fit_epochs(net, rows, validation, rng, incremental, tasks)
        return self

    def _start_network(
        self, resume: bool, sizes: list[int], dtype: np.dtype, rng: np.random.RandomState
    ) -> MLP:
        """Return the network to train: a new one, with all counts and curves reset, or the present one."""
        if not resume:
            self._set_network(self._initial_network(sizes, dtype, rng))
        net = self._fitted_network().net
        if list(net.sizes) != sizes:
            raise ValueError(
                f"The layers of coefs_ are {list(net.sizes)}, but hidden_layer_sizes, X and y need {sizes}."
            )
        if not resume or not hasattr(self, "_best_parameters"):
            self.t_ = self._no_improvement_count = 0
            self.n_layers_ = len(sizes)
            self.loss_curve_ = []
            self.validation_loss_curve_ = self.validation_scores_ = None
            self.best_validation_score_ = self.best_loss_ = None
            self._best_parameters = None
        return net

    # --- the trainer ------------------------------------------------------------------------------------

    def _make_trainer(self, net: MLP, optimizer: Optimizer, n_rows: int, seed: int | None = None) -> Trainer:
        batch_size = 200 if self.batch_size == "auto" else self.batch_size
        if self.batch_size != "auto" and batch_size > n_rows:
            warnings.warn(f"batch_size={batch_size} is clipped to the {n_rows} samples.", stacklevel=6)
        loss = self._make_loss()
        if loss.kind != "class":
            loss = loss.scaled(self.n_outputs_)  # the sum over the outputs, as in scikit-learn
        is_rule = isinstance(self.learning_rate, str) and self.learning_rate in RATE_RULES
        average: EMA | SWA | None = self.average
        return Trainer(
            net,
            loss=loss,
            optimizer=optimizer,
            schedule=None if is_rule else self.learning_rate,
            batch_size=batch_size,
            l1=self.alpha * self.l1_ratio,
            l2=self.alpha * (1 - self.l1_ratio),
            clip_norm=self.clip_norm,
            max_norm=self.max_norm,
            lazy=self.lazy,
            average=average,
            shuffle=self.shuffle,
            seed=seed,
            n_threads=self.n_threads,
        )

    def _make_optimizer(self) -> Optimizer:
        if isinstance(self.solver, LBFGS):
            raise ValueError("solver must be 'lbfgs' with tol and max_fun, rather than a fastnn.LBFGS.")
        if isinstance(self.solver, Optimizer):
            return self.solver
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
            return _SGD(self.learning_rate_init, self.momentum, nesterov)
        if self.solver == "adam":
            return _Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        optimizer: Any = as_optimizer(self.solver)
        return dataclasses.replace(optimizer, lr=self.learning_rate_init)

    # --- L-BFGS -----------------------------------------------------------------------------------------

    def _fit_lbfgs(self, net: MLP, rows: Rows, validation: Rows | None, tasks: FitTasks | None) -> None:
        for name, given in {"callbacks": self.callbacks, "X_val": validation}.items():
            if given:
                raise ValueError(f"solver='lbfgs' cannot be combined with {name}: it has no epochs.")
        # A line search compares costs that differ by less than float32 can resolve.
        double = net
        if net.dtype != np.float64:
            double = self._new_network(list(net.sizes), np.dtype(np.float64))
            _set_parameters(double, net.parameters())
        trainer = self._make_trainer(double, LBFGS(), rows.x.shape[0])

        if tasks:
            tasks.on_epoch_begin(trainer)
        result = lbfgs.minimize(
            trainer,
            rows.x,
            rows.targets,
            self._weigh_rows(rows),
            max_iter=self.max_iter,
            max_evaluations=self.max_fun,
            tol=self.tol,
            callback=None if tasks is None else lambda _: tasks.next_iteration(trainer),
        )
        _set_parameters(net, double.parameters())
        self.n_iter_, self.loss_ = int(result.nit), float(result.fun)
        if result.status not in (0, 99):  # 99: a callback has ended it
            warnings.warn(
                f"lbfgs has not converged after {result.nit} iterations ({result.message}): raise max_iter "
                "or max_fun, or standardise X.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # --- epochs -----------------------------------------------------------------------------------------

    def _fit_epochs(
        self,
        net: MLP,
        rows: Rows,
        validation: Rows | None,
        rng: np.random.RandomState,
        incremental: bool,
        tasks: FitTasks | None,
    ) -> None:
        if self.early_stopping and validation is None:
            if incremental:
                raise ValueError("partial_fit with early_stopping=True needs X_val and y_val.")
            rows, validation = self._hold_out(rows, rng)
        trainer: Trainer | None = self.__dict__.pop("_trainer", None)
        if trainer is None or trainer.net is not net or not incremental:
            seed = int(rng.randint(2**31))
            trainer = self._make_trainer(net, self._make_optimizer(), rows.x.shape[0], seed)
            self.stopped_ = False
            if incremental:
                self._no_improvement_count = 0
        self.n_iter_ = 0
        if incremental:
            self._trainer = trainer
            if self.stopped_:
                return
        if self.early_stopping and self._best_parameters is None:
            self._best_parameters = _copy_parameters(net)
        record = functools.partial(self._record_epoch, self._make_scorer(validation), incremental)
        try:
            history = trainer.fit(
                rows.x,
                rows.targets,
                epochs=1 if incremental else self.max_iter,
                sample_weight=self._weigh_rows(rows),
                validation_data=validation and (validation.x, validation.targets, validation.weight),
                callbacks=[record, CallbackList(self.callbacks), *([tasks] if tasks else [])],
                verbose=int(self.verbose),
            )
        except DivergenceError:
            if not self.early_stopping or not np.isfinite(self.best_validation_score_ or 0.0):
                raise
            self.stopped_ = True
            warnings.warn(
                f"Training diverged in epoch {self.n_iter_ + 1} and was stopped; the weights of the best "
                f"validation score are restored. Try a smaller learning rate than {trainer.lr:g}, or "
                "standardise X and y.",
                ConvergenceWarning,
                stacklevel=5,
            )
        else:
            if not incremental and history.stop_reason == "epochs":
                warnings.warn(
                    f"Training ended after max_iter={self.max_iter} epochs and has not converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        if self._best_parameters is not None and (self.stopped_ or not incremental):
            _set_parameters(net, self._best_parameters)
        if not incremental:
            self._best_parameters = None

    def _hold_out(self, rows: Rows, rng: np.random.RandomState) -> tuple[Rows, Rows]:
        """Split off ``validation_fraction`` of the rows, those that scikit-learn would take."""
        train, held_out = train_test_split(
            np.arange(rows.x.shape[0]),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=rows.y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                f"The validation set is too small with {len(held_out)} row: raise validation_fraction, or "
                "give more data."
            )
        return rows.take(train), rows.take(held_out)

    def _make_scorer(self, validation: Rows | None) -> Callable[[Epoch], float] | None:
        """Return a function that gives the validation score after an epoch."""
        if validation is None:
            return None
        if self.scoring == "loss":
            return lambda epoch: -epoch.figure("val_cost")
        if self.scoring is None and (self.n_outputs_ == 1 or self.out_activation_ == "softmax"):
            return lambda epoch: epoch.figure("val_metric")  # what score would give, at no cost
        scorer = check_scoring(self, self.scoring)
        nameless = copy.copy(self)  # the same network; the rows to score have no feature names
        nameless.__dict__.pop("feature_names_in_", None)
        weights = {} if validation.weight is None else {"sample_weight": validation.weight}

        def score(epoch: Epoch) -> float:
            if not np.isfinite(epoch.figure("val_cost")):
                outputs = nameless._predict_outputs(validation.x)
                if not np.isfinite(outputs).all():  # scorers refuse them
                    return -np.inf
            return float(scorer(nameless, validation.x, validation.y, **weights))

        return score

    def _record_epoch(
        self, scorer: Callable[[Epoch], float] | None, incremental: bool, trainer: Trainer, epoch: Epoch
    ) -> None:
        """Update the fitted attributes, and decide on learning rate and stopping as scikit-learn does."""
        self.n_iter_ += 1
        self.t_ += trainer.n_rows
        self.loss_ = np.float64(epoch.cost + (epoch.penalty or 0.0))  # as scikit-learn's
        self.loss_curve_.append(self.loss_)
        best_loss = np.inf if self.best_loss_ is None else self.best_loss_
        improved = self.loss_ <= best_loss - self.tol
        self.best_loss_ = None if self.early_stopping else min(self.loss_, best_loss)
        if scorer is not None:
            with trainer.averaged():
                score_rose = self._record_score(scorer(epoch), epoch, trainer.net)
            improved = score_rose if self.early_stopping else improved
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1
        rule = self.learning_rate if self.solver == "sgd" else "constant"
        if rule == "invscaling":
            trainer.change_lr(self.learning_rate_init / (self.t_ + 1) ** self.power_t)
        if self._no_improvement_count > self.n_iter_no_change:
            if rule == "adaptive" and trainer.lr > SMALLEST_RATE:
                trainer.change_lr(trainer.lr / 5)
                self._no_improvement_count = 0
            elif self.early_stopping or not incremental:
                self.stopped_ = True
                trainer.stop("no improvement")

    def _record_score(self, score: float, epoch: Epoch, net: MLP) -> bool:
        """Record a validation score and the best parameters; return True if it rose by ``tol``."""
        if self.validation_scores_ is None or self.validation_loss_curve_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        score = -np.inf if np.isnan(score) else score
        self.validation_scores_.append(score)
        self.validation_loss_curve_.append(float(epoch.figure("val_cost")))
        best = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
        self.best_validation_score_ = max(best, score)
        if self.early_stopping and score > best:
            self._best_parameters = _copy_parameters(net)
        return score >= best + self.tol


def _copy_parameters(net: MLP) -> dict[str, np.ndarray]:
    return {name: view.copy() for name, view in net.parameters().items()}


def _set_parameters(net: MLP, parameters: dict[str, np.ndarray]) -> None:
    for name, view in net.parameters().items():
        view[:] = parameters[name]
