"""scikit-learn estimators on fastnn's core: its constructor, its attributes, its meanings."""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from ..activations import Activation
from ..history import Epoch
from ..kernels.sizes import ROW_BLOCK
from ..losses import ALIASES, LOSSES, Loss, as_loss
from ..network.mlp import MLP
from ..network.predictor import Predictor
from ..optimizers import LBFGS, OPTIMIZERS, SGD, Adam, Optimizer, as_optimizer, powers
from ..schedules import SCHEDULES, Schedule
from ..training import lbfgs
from ..training.averages import EMA, SWA
from ..training.callbacks import Callback, CallbackList
from ..training.trainer import Trainer

try:
    from scipy import sparse
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import check_scoring, get_scorer_names
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import check_random_state, compute_sample_weight
    from sklearn.utils._param_validation import Interval, Options, StrOptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError as error:
    raise ImportError(
        'MLPClassifier and MLPRegressor need scikit-learn 1.6 or newer: pip install "fastnn[sklearn]".'
    ) from error

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's."""


SMALLEST_RATE = 1e-6  # learning_rate="adaptive" goes no lower, as in scikit-learn
RULES = {"constant", "invscaling", "adaptive"}  # scikit-learn's of the learning rate; only SGD follows them
VALUES = {name for name in {*LOSSES, *ALIASES} if as_loss(name).is_regression}


def _is_stochastic(estimator) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd'; 'lbfgs' takes all rows at once.")
    return True


@dataclasses.dataclass(frozen=True)
class _Adam(Adam):
    """Adam as scikit-learn has it: eps is added to the root of the second mean before that is corrected."""

    def _corrected(self, lr, step):
        root = np.sqrt(1 - powers(self.beta2, step))
        return lr * root / (1 - powers(self.beta1, step)), 1.0, self.eps


@dataclasses.dataclass(frozen=True)
class _SGD(SGD):
    """SGD as scikit-learn has it: its momentum may be 1. The estimator has checked the numbers."""

    def __post_init__(self) -> None:
        pass


class _Model:
    """A network with its parameters as scikit-learn names them, and a predictor once one is needed."""

    def __init__(self, net: MLP) -> None:
        self.net, self._views = net, (*net.weights, *net.biases)

    def __reduce__(self):
        return _Model, (self.net,)

    @functools.cached_property
    def predictor(self) -> Predictor:
        return self.net.predictor()

    def is_of(self, coefs, intercepts) -> bool:
        """Whether those are the network's own arrays."""
        arrays = (*coefs, *intercepts)
        return len(arrays) == len(self._views) and all(map(operator.is_, arrays, self._views))

    @property
    def attributes(self) -> dict[str, Any]:
        """What an estimator keeps of it."""
        n = len(self._views) // 2
        return {"_model": self, "coefs_": [*self._views[:n]], "intercepts_": [*self._views[n:]]}


def _parameters(net: MLP) -> dict[str, np.ndarray]:
    return {name: view.copy() for name, view in net.parameters().items()}


def _set_parameters(net: MLP, parameters: dict[str, np.ndarray]) -> None:
    for name, view in net.parameters().items():
        view[:] = parameters[name]


class _Rows(NamedTuple):
    """Checked rows: features, what was given to predict, that as the trainer takes it, sample weights."""

    x: Any
    y: np.ndarray
    targets: np.ndarray
    weight: np.ndarray | None = None

    def pick(self, indices: np.ndarray) -> _Rows:
        """Some of them."""
        weight = None if self.weight is None else self.weight[indices]
        return _Rows(self.x[indices], self.y[indices], self.targets[indices], weight)


class _Tasks(Callback):
    """Tells scikit-learn's callbacks, of which it has some from 1.9 on, of a fit and of its epochs."""

    def __init__(self, estimator, X, y, sample_weight) -> None:
        self._given = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._n_left = estimator.max_iter
        self._fit = estimator._init_callback_context(max_subtasks=self._n_left)
        self._epoch: Any = None
        self._fit.call_on_fit_task_begin(**self._given)

    def on_epoch_begin(self, trainer) -> None:
        if self._n_left:  # L-BFGS does not say that an iteration was its last
            self._n_left -= 1
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._given)

    def on_epoch_end(self, trainer, epoch) -> None:
        if self.ends_epoch(trainer):
            trainer.stop("callback")

    def ends_epoch(self, trainer: Trainer) -> bool:
        """Tell that an epoch has ended; whether training should, too."""
        with trainer.averaged():
            stops = self._end(self._epoch, trainer.net)
        self._epoch = None
        return stops

    def next_iteration(self, trainer: Trainer) -> None:
        """Tell SciPy's minimiser whether to go on, and the callbacks that it does."""
        if self.ends_epoch(trainer):
            raise StopIteration
        self.on_epoch_begin(trainer)

    def end(self, net: MLP) -> None:
        """Tell that the fit has ended."""
        if self._epoch is not None:  # begun, but broken off
            self._epoch.call_on_fit_task_end(estimator=self._given["estimator"])
        self._end(self._fit, net)

    def _end(self, context, net: MLP) -> bool:
        return context.call_on_fit_task_end(
            **self._given, reconstruction_attributes=lambda: _Model(copy.deepcopy(net)).attributes
        )


class _BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):
    """What classifier and regressor share: training, stopping, fitted attributes."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's own form)
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, Activation, callable, "array-like"],
        "solver": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(RULES | set(SCHEDULES)), Schedule, callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "init": [str, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "norm": [StrOptions({"batch", "layer"}), "array-like", None],
        "residual": ["boolean", "array-like"],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "lazy": ["boolean"],
        "average": [EMA, SWA, None],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "callbacks": [Callback, callable, list, tuple, None],
        "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    # What classifier and regressor do differently.

    @abstractmethod
    def _learn_targets(self, y, classes) -> None:
        """Settle ``n_outputs_`` and ``out_activation_``, and a classifier's ``classes_``."""

    @abstractmethod
    def _targets(self, y, dtype: np.dtype) -> np.ndarray:
        """Targets as the trainer takes them."""

    @abstractmethod
    def _loss(self) -> Loss:
        """What is minimised; of several outputs the mean."""

    def _check_labels(self, y, incremental: bool) -> None:
        """Refuse labels that the present network was not made for."""

    def _training_weight(self, rows: _Rows) -> np.ndarray | None:
        """The sample weights, times those of the classes."""
        return rows.weight

    # Checks.

    def _check_data(self, X, y, dtype, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=dtype,
            order="C",
            multi_output=True,
            y_numeric=not is_classifier(self),
            reset=reset,
        )
        y = y.toarray() if sparse.issparse(y) else y
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _check_weight(self, sample_weight, X) -> np.ndarray | None:
        if sample_weight is None:
            return None
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not sample_weight.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return sample_weight

    def _check_validation(self, X_val, y_val, dtype) -> _Rows | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together, got only one of them.")
        if X_val is None:
            return None
        X_val, y_val = self._check_data(X_val, y_val, dtype, reset=False)
        return _Rows(X_val, y_val, self._targets(y_val, dtype))

    def _sizes(self, n_features: int) -> list[int]:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        if not all(isinstance(size, Integral) and int(size) > 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must hold integers > 0, got {self.hidden_layer_sizes!r}.")
        return [n_features, *hidden, self.n_outputs_]

    # The network, of whose parameters coefs_ and intercepts_ are views.

    def _new_network(self, sizes: list[int], dtype, init="zeros", seed=0) -> MLP:
        return MLP(
            sizes,
            self.activation,
            output="sigmoid" if self.out_activation_ == "logistic" else self.out_activation_,
            init=init,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            norm=self.norm,
            residual=self.residual,
            dtype=dtype,
            seed=seed,
        )

    def _initial_network(self, sizes: list[int], dtype, rng: np.random.RandomState) -> MLP:
        if self.init is not None:
            return self._new_network(sizes, dtype, init=self.init, seed=int(rng.randint(2**31)))
        net = self._new_network(sizes, dtype)
        # Glorot and Bengio (2010), for biases too: the numbers that scikit-learn draws
        names = [activation.name for activation in net.activations]
        names.append(names[-1] if names else {"logistic": "sigmoid"}.get(self.activation, ""))
        for w, b, name in zip(net.weights, net.biases, names, strict=True):
            bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / sum(w.shape))
            w[:] = rng.uniform(-bound, bound, w.shape)
            b[:] = rng.uniform(-bound, bound, b.shape)
        return net

    def _keep(self, net: MLP) -> None:
        self.__dict__.update(_Model(net).attributes)

    def _current(self) -> _Model:
        """The network of ``coefs_`` and ``intercepts_``, which may also have been set from outside."""
        model: Any = getattr(self, "_model", None)
        if model is not None and model.is_of(self.coefs_, self.intercepts_):
            return model
        sizes = [*(np.shape(w)[0] for w in self.coefs_), np.shape(self.coefs_[-1])[1]]
        if model is not None and list(model.net.sizes) == sizes:
            net = model.net
        else:
            net = self._new_network(sizes, self._dtypes(np.asarray(self.coefs_[0]).dtype)[0])
        arrays = (*self.coefs_, *self.intercepts_)
        for view, array in zip((*net.weights, *net.biases), arrays, strict=True):
            if view.shape != np.shape(array):
                raise ValueError(
                    f"coefs_ and intercepts_ do not fit: got {np.shape(array)} for {view.shape}."
                )
            view[:] = array
        self._keep(net)
        return self._model

    def _dtypes(self, given: np.dtype | None = None) -> list[np.dtype]:
        """Those that a new network may have, the first by default; or the one for values like those given."""
        if self.dtype is not None:
            return [_checks.check_dtype(self.dtype)]
        both: list[np.dtype] = [np.dtype(np.float64), np.dtype(np.float32)]
        if given is None:
            return both
        return both[1:] if given == np.float32 else both[:1]

    def __getstate__(self):
        """The network once, and never the data."""
        if not hasattr(self, "_model"):
            return super().__getstate__()
        self._current()
        state = dict(super().__getstate__())
        del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_model"):
            self.__dict__.update(self._model.attributes)

    def set_params(self, **params):
        """Set parameters; those of training count from the next call of fit or partial_fit on.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        if params:
            self.__dict__.pop("_trainer", None)
        return super().set_params(**params)

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Train on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Copied only where it is not a contiguous array of ``dtype``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
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
            If the loss becomes NaN or infinite.
        """
        tasks = _Tasks(self, X, y, sample_weight) if hasattr(self, "_init_callback_context") else None
        is_watched = hasattr(self, "_skl_callbacks")  # else epochs go without
        self._fit(
            X, y, sample_weight, X_val, y_val, resume=self.warm_start, tasks=tasks if is_watched else None
        )
        if tasks:
            tasks.end(self._model.net)
        return self

    def _fit(self, X, y, sample_weight, X_val, y_val, *, resume, classes=None, incremental=False, tasks=None):
        resume = resume and hasattr(self, "coefs_")
        dtypes = self._dtypes(np.asarray(self.coefs_[0]).dtype if resume else None)
        X, y = self._check_data(X, y, dtypes, reset=not (resume and hasattr(self, "n_features_in_")))
        if resume and hasattr(self, "n_outputs_"):
            self._check_labels(y, incremental)
        else:
            self._learn_targets(y, classes)
        rows = _Rows(X, y, self._targets(y, X.dtype), self._check_weight(sample_weight, X))
        validation = self._check_validation(X_val, y_val, X.dtype)
        rng = check_random_state(self.random_state)
        net = self._begin(resume, self._sizes(X.shape[1]), X.dtype, rng)
        if self.solver == "lbfgs":
            self._fit_lbfgs(net, rows, validation, tasks)
        else:
            self._fit_stochastic(net, rows, validation, rng, incremental, tasks)
        return self

    def _begin(self, resume: bool, sizes: list[int], dtype, rng: np.random.RandomState) -> MLP:
        """The network to train, and what is counted over its life."""
        if not resume:
            self._keep(self._initial_network(sizes, dtype, rng))
        net = self._current().net
        if list(net.sizes) != sizes:
            raise ValueError(f"The layers of coefs_ are {list(net.sizes)}, but {sizes} are asked for.")
        if not resume or not hasattr(self, "t_"):
            self.t_ = self._no_improvement_count = 0
            self.n_layers_ = len(sizes)
            self.loss_curve_: list[float] = []
            self.validation_loss_curve_: list[float] | None = None
            self.validation_scores_: list[float] | None = None
            self.best_validation_score_: float | None = None
            self.best_loss_: float | None = None
            self._best: dict[str, np.ndarray] | None = None
        return net

    def _new_trainer(self, net: MLP, optimizer: Optimizer, n_rows: int, seed: int | None = None) -> Trainer:
        batch_size = 200 if self.batch_size == "auto" else self.batch_size
        if self.batch_size != "auto" and batch_size > n_rows:
            warnings.warn(f"batch_size={batch_size} is clipped to the {n_rows} samples.", stacklevel=6)
        loss = self._loss()
        if loss.kind != "class":
            loss = loss.scaled(self.n_outputs_)  # the sum over the outputs, as in scikit-learn
        is_rule = isinstance(self.learning_rate, str) and self.learning_rate in RULES
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
            average=self.average,
            shuffle=self.shuffle,
            seed=seed,
            n_threads=self.n_threads,
        )

    def _optimizer(self) -> Optimizer:
        if isinstance(self.solver, LBFGS):
            raise ValueError("solver must be 'lbfgs' with tol and max_fun, rather than a fastnn.LBFGS.")
        if isinstance(self.solver, Optimizer):
            return self.solver
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
            return _SGD(self.learning_rate_init, self.momentum, nesterov)
        if self.solver == "adam":
            return _Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        given: Any = as_optimizer(self.solver)
        return dataclasses.replace(given, lr=self.learning_rate_init)

    def _fit_lbfgs(self, net: MLP, rows: _Rows, validation: _Rows | None, tasks: _Tasks | None) -> None:
        for name, given in {"callbacks": self.callbacks, "X_val": validation}.items():
            if given:
                raise ValueError(f"solver='lbfgs' does not go with {name}: it knows no epochs.")
        # A line search tells costs apart that differ by less than float32 can hold.
        exact = net
        if net.dtype != np.float64:
            exact = self._new_network(list(net.sizes), np.float64)
            _set_parameters(exact, net.parameters())
        trainer = self._new_trainer(exact, LBFGS(), rows.x.shape[0])

        if tasks:
            tasks.on_epoch_begin(trainer)
        result = lbfgs.minimize(
            trainer,
            rows.x,
            rows.targets,
            self._training_weight(rows),
            max_iter=self.max_iter,
            max_evaluations=self.max_fun,
            tol=self.tol,
            callback=None if tasks is None else lambda _: tasks.next_iteration(trainer),
        )
        _set_parameters(net, exact.parameters())
        self.n_iter_, self.loss_ = int(result.nit), float(result.fun)
        if result.status not in (0, 99):  # 99: a callback has ended it
            warnings.warn(
                f"lbfgs has not converged after {result.nit} iterations ({result.message}): raise max_iter "
                "or max_fun, or standardise X.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _fit_stochastic(
        self,
        net: MLP,
        rows: _Rows,
        validation: _Rows | None,
        rng: np.random.RandomState,
        incremental: bool,
        tasks: _Tasks | None,
    ) -> None:
        if self.early_stopping and validation is None:
            if incremental:
                raise ValueError("partial_fit with early_stopping=True needs X_val and y_val.")
            rows, validation = self._hold_out(rows, rng)
        trainer: Any = self.__dict__.pop("_trainer", None)  # that of a stream, see partial_fit
        if trainer is None or trainer.net is not net or not incremental:
            seed = int(rng.randint(2**31))
            trainer = self._new_trainer(net, self._optimizer(), rows.x.shape[0], seed)
            self.stopped_ = False
            if incremental:
                self._no_improvement_count = 0
        self.n_iter_ = 0
        if incremental:
            self._trainer = trainer
            if self.stopped_:
                return
        if self.early_stopping and self._best is None:
            self._best = _parameters(net)
        note = functools.partial(self._note_epoch, self._scorer(validation), incremental)
        history = trainer.fit(
            rows.x,
            rows.targets,
            epochs=1 if incremental else self.max_iter,
            sample_weight=self._training_weight(rows),
            validation_data=validation and (validation.x, validation.targets, validation.weight),
            callbacks=[note, CallbackList(self.callbacks), *([tasks] if tasks else [])],
            verbose=int(self.verbose),
        )
        if not incremental and history.stop_reason == "epochs":
            warnings.warn(
                f"Training took all {self.max_iter} epochs of max_iter and has not converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        if self._best is not None and (self.stopped_ or not incremental):
            _set_parameters(net, self._best)
        if not incremental:
            self._best = None

    def _hold_out(self, rows: _Rows, rng) -> tuple[_Rows, _Rows]:
        """Split off ``validation_fraction`` of the rows, those that scikit-learn would take."""
        train, held_out = train_test_split(
            np.arange(rows.x.shape[0]),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=rows.targets if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                f"The validation set has {len(held_out)} row: raise validation_fraction, or give more data."
            )
        return rows.pick(train), rows.pick(held_out)

    def _scorer(self, validation: _Rows | None) -> Callable[[Epoch], float] | None:
        """What gives the validation score after an epoch."""
        if validation is None:
            return None
        if self.scoring == "loss":
            return lambda epoch: -epoch.val_cost  # type: ignore[operator]
        if self.scoring is None and (self.n_outputs_ == 1 or self.out_activation_ == "softmax"):
            return lambda epoch: epoch.val_metric  # type: ignore[return-value]  # the same figure, for nothing
        scorer = check_scoring(self, self.scoring)
        judge = copy.copy(self)  # that of the same network, but asked without names of features
        judge.__dict__.pop("feature_names_in_", None)
        weights = {} if validation.weight is None else {"sample_weight": validation.weight}
        return lambda epoch: float(scorer(judge, validation.x, validation.y, **weights))

    def _note_epoch(self, scorer, incremental: bool, trainer: Trainer, epoch: Epoch) -> None:
        """Count an epoch, and decide on rate and end as scikit-learn does."""
        self.n_iter_ += 1
        self.t_ += trainer.n_rows
        self.loss_ = epoch.cost
        self.loss_curve_.append(epoch.cost)
        best_loss = np.inf if self.best_loss_ is None else self.best_loss_
        improved = epoch.cost <= best_loss - self.tol
        self.best_loss_ = None if self.early_stopping else min(epoch.cost, best_loss)
        if scorer is not None:
            with trainer.averaged():
                rose = self._note_score(scorer(epoch), epoch, trainer.net)
            improved = rose if self.early_stopping else improved
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

    def _note_score(self, score: float, epoch: Epoch, net: MLP) -> bool:
        """Keep what validation says, and the best parameters; whether the score has risen by ``tol``."""
        if self.validation_scores_ is None or self.validation_loss_curve_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        self.validation_scores_.append(score)
        self.validation_loss_curve_.append(float(epoch.val_cost))  # type: ignore[arg-type]
        best = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
        self.best_validation_score_ = max(best, score)
        if self.early_stopping and score > best:
            self._best = _parameters(net)
        return score >= best + self.tol

    # Prediction.

    def _ask(self, X) -> np.ndarray:
        """The network's outputs for rows, which are checked."""
        if not self._is_ready(X):
            check_is_fitted(self, "coefs_")
            dtype = self._current().net.dtype
            X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        model = self._current()
        if X.shape[0] <= ROW_BLOCK and not sparse.issparse(X):
            return model.predictor(X)
        return model.net.predict_raw(X, n_threads=self.n_threads)

    def _is_ready(self, X) -> bool:
        """Whether X is a few rows that scikit-learn's checks, which take far longer, would let pass as is."""
        return (
            type(X) is np.ndarray
            and hasattr(self, "_model")
            and not hasattr(self, "feature_names_in_")
            and X.dtype == self._model.net.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and 0 < len(X) <= ROW_BLOCK
            and X.flags.c_contiguous
            and bool(np.isfinite(X).all())
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(ClassifierMixin, _BaseMLP):
    """Multilayer perceptron classifier with scikit-learn's interface.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Width of each hidden layer.
    activation : str or sequence of str, default="relu"
        Of the hidden layers, one for all or one each: "identity", "logistic", "tanh", "relu", or what
        :class:`fastnn.Activation` knows besides.
    solver : {"adam", "sgd", "lbfgs"}, other name or optimiser, default="adam"
        "lbfgs" takes all rows at once, and is best for small data. Besides scikit-learn's, any of fastnn's
        optimisers: by name with ``learning_rate_init``, or as an object such as ``fastnn.AdamW(1e-3)``.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights: ``alpha / (2 n) * sum(w ** 2)`` for a batch of n rows, or
        of rows that weigh n.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    learning_rate : str, schedule or callable, default="constant"
        With "sgd", "invscaling" is ``learning_rate_init / (t_ + 1) ** power_t``, and "adaptive" a fifth of it
        whenever training would stop, until it is below 1e-6. With any solver but "lbfgs" another name of
        :mod:`fastnn.schedules`, such as "cosine", a schedule, or a function ``f(epoch, learning_rate_init)``;
        ``max_iter`` epochs are planned for, in partial_fit only those that there have been.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Most epochs; iterations of "lbfgs".
    shuffle : bool, default=True
    random_state : int, RandomState or None, default=None
        Of the initial weights and of the rows held out, both the same as scikit-learn's, and of the order
        of the rows.
    tol : float, default=1e-4
        What counts as an improvement of the loss, or of the validation score with early_stopping; for
        "lbfgs" the largest element of the gradient at which it stops.
    verbose : bool, default=False
        Whether progress is shown on stderr.
    warm_start : bool, default=False
        Whether fit starts from the present ``coefs_`` and ``intercepts_``. They may also have been set from
        outside, before the first fit.
    momentum : float in [0, 1], default=0.9
        For "sgd", as is nesterovs_momentum.
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        Stop when the score of validation data no longer rises, with the weights of the best epoch.
    validation_fraction : float, default=0.1
        Held out for that, where fit is not given X_val and y_val.
    beta_1, beta_2, epsilon : float
        For "adam".
    n_iter_no_change : int or inf, default=10
        Epochs without improvement before training stops.
    max_fun : int, default=15000
        Most evaluations of the loss, for "lbfgs".
    init : str, optional
        Of the weights, as in :class:`fastnn.MLP`; by default as in scikit-learn.
    dropout, input_dropout, norm, residual
        As in :class:`fastnn.MLP`. Not all of them go with "lbfgs".
    class_weight : dict, "balanced" or None, default=None
        Factors on the sample weights in training, by class, 1 where there is none; "balanced" makes all
        classes weigh the same.
    l1_ratio : float in [0, 1], default=0.0
        Share of an L1 penalty, ``alpha / n * sum(abs(w))``, in place of the L2 penalty.
    clip_norm : float, optional
        The gradient of a batch is scaled down to this norm.
    max_norm : float, optional
        After every step the weights into each unit are scaled down to this norm.
    lazy : bool, default=False
        For sparse X: weights of features that a batch lacks are left as they are; see
        :class:`fastnn.Trainer`. Much faster where features are many.
    average : EMA or SWA, optional
        An average of the weights over training, such as ``fastnn.EMA(0.999)``: it is what is scored and what
        training ends with.
    scoring : str, callable or None, default=None
        Of validation data: "loss", scikit-learn's name of a scorer, or ``scorer(estimator, X, y)``; by
        default what ``score`` gives. Higher is better; of "loss" the negative is taken.
    callbacks : Callback, callable or list of them, optional
        See :class:`fastnn.Callback`; a function is called with the trainer and each epoch's figures.
        scikit-learn's own, which it has from 1.9 on, are for ``set_callbacks``.
    dtype : {"float32", "float64"} or None, default=None
        Of a new network and its arithmetic; None is float32 for float32 X, else float64, as in scikit-learn.
        float32 is about twice as fast. "lbfgs" works in float64, and rounds its result.
    n_threads : int, optional
        At most this many; all usable cores by default.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_
    best_validation_score_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_
    out_activation_, t_
        As in scikit-learn.
    validation_loss_curve_ : list of float or None
        Loss of the validation data after every epoch, without penalty.
    stopped_ : bool
        Whether training has stopped by itself. A partial_fit with early_stopping that has stopped changes
        nothing any more.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _parameter_constraints = {  # noqa: RUF012
        **_BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        init=None,
        dropout=0.0,
        input_dropout=0.0,
        norm=None,
        residual=False,
        class_weight=None,
        l1_ratio=0.0,
        clip_norm=None,
        max_norm=None,
        lazy=False,
        average=None,
        scoring=None,
        callbacks=None,
        dtype=None,
        n_threads=None,
    ):
        _keep_arguments(self, locals())

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None, X_val=None, y_val=None):
        """Train for one epoch on a part of the data, from the present weights.

        The optimiser goes on where the call before left off, unless parameters have been set in between.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.
        classes : array-like of shape (n_classes,), optional
            All the classes; needed at the first call, except for several labels at once.
        X_val, y_val : array-like, optional
            Data to score after the call. With ``early_stopping`` they are needed: after more than
            ``n_iter_no_change`` calls without improvement the best weights come back, and ``stopped_`` is
            True.

        Returns
        -------
        self
        """
        first = not hasattr(self, "coefs_")
        if first and classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(f"classes={classes!r} differ from those of the first call, {self.classes_!r}.")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all the data at once: give the weights as a dict."
            )
        return self._fit(X, y, sample_weight, X_val, y_val, resume=True, classes=classes, incremental=True)

    @property
    def _is_multilabel(self) -> bool:
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _learn_targets(self, y, classes) -> None:
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            self.classes_ = np.arange(y.shape[1])
            self.n_outputs_, self.out_activation_ = y.shape[1], "logistic"
            return
        y = column_or_1d(y)
        self.classes_ = unique_labels(y if classes is None else classes)
        is_binary = len(self.classes_) <= 2  # one logistic output, as in scikit-learn
        self.n_outputs_ = 1 if is_binary else len(self.classes_)
        self.out_activation_ = "logistic" if is_binary else "softmax"

    def _check_labels(self, y, incremental: bool) -> None:
        found = set(unique_labels(y).tolist())
        known = set(self.classes_.tolist())
        if found - known or (found != known and not incremental):
            raise ValueError(
                f"y has the classes {sorted(found)}, but the network was made for {sorted(known)}."
            )

    def _targets(self, y, dtype) -> np.ndarray:
        if self._is_multilabel:
            if y.ndim != 2 or type_of_target(y) != "multilabel-indicator":
                raise ValueError(f"y must hold {self.n_outputs_} labels of 0 or 1 a sample, got {y.shape}.")
            return y
        encoder = LabelEncoder()
        encoder.classes_ = self.classes_
        return encoder.transform(y)

    def _training_weight(self, rows: _Rows) -> np.ndarray | None:
        if self.class_weight is None:
            return rows.weight
        if isinstance(self.class_weight, dict) and not self._is_multilabel:
            labels = self.classes_.tolist()
            unknown = [label for label in self.class_weight if label not in labels]
            if unknown:
                raise ValueError(f"class_weight names {unknown}, but the classes are {labels}.")
            factors = np.array([self.class_weight.get(label, 1.0) for label in labels])
            of_classes = factors[rows.targets]
        else:
            of_classes = compute_sample_weight(self.class_weight, rows.y)
        return of_classes if rows.weight is None else of_classes * rows.weight

    def _loss(self) -> Loss:
        return Loss("cross_entropy" if self.out_activation_ == "softmax" else "binary_cross_entropy")

    def predict_proba(self, X) -> np.ndarray:
        """Probability of each class, in the order of ``classes_``: (n_samples, n_classes)."""
        p = self._ask(X)
        if len(self.classes_) == 1:
            return np.ones_like(p)
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict_log_proba(self, X) -> np.ndarray:
        """Logarithm of :meth:`predict_proba`."""
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def predict(self, X) -> np.ndarray:
        """Most probable class of each row, (n_samples,); of several labels 0 or 1 each."""
        out = self._ask(X)
        if self._is_multilabel:
            return (out > 0.5).astype(np.int64)
        if self.out_activation_ == "softmax":
            return self.classes_[out.argmax(axis=1)]
        return self.classes_[np.minimum(out[:, 0] > 0.5, len(self.classes_) - 1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _BaseMLP):
    """Multilayer perceptron regressor with scikit-learn's interface.

    Parameters and attributes are those of :class:`MLPClassifier`, without ``classes_`` and
    ``class_weight``.

    Parameters
    ----------
    loss : str, Loss or callable, default="squared_error"
        "squared_error" (half of it), "poisson", or another of :class:`fastnn.Loss` that takes values, such as
        "mae", "huber", "quantile", or your own ``loss(a, y)``; summed over the outputs.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(hidden_layer_sizes=(50,), learning_rate_init=0.02, max_iter=500, random_state=0)
    >>> bool(model.fit(X, y / y.std()).score(X, y / y.std()) > 0.95)
    True
    """

    _parameter_constraints = {  # noqa: RUF012
        **_BaseMLP._parameter_constraints,
        "loss": [StrOptions(VALUES), Loss, callable],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        init=None,
        dropout=0.0,
        input_dropout=0.0,
        norm=None,
        residual=False,
        l1_ratio=0.0,
        clip_norm=None,
        max_norm=None,
        lazy=False,
        average=None,
        scoring=None,
        callbacks=None,
        dtype=None,
        n_threads=None,
    ):
        _keep_arguments(self, locals())

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Train for one epoch on a part of the data, from the present weights.

        The optimiser goes on where the call before left off, unless parameters have been set in between.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.
        X_val, y_val : array-like, optional
            Data to score after the call. With ``early_stopping`` they are needed: after more than
            ``n_iter_no_change`` calls without improvement the best weights come back, and ``stopped_`` is
            True.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, X_val, y_val, resume=True, incremental=True)

    def _learn_targets(self, y, classes) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = self._loss().output or "identity"

    def _targets(self, y, dtype) -> np.ndarray:
        return self._loss().check_targets("y", y, self.n_outputs_, dtype)

    def _loss(self) -> Loss:
        return as_loss(self.loss)

    def predict(self, X) -> np.ndarray:
        """Predicted values, (n_samples,) or (n_samples, n_outputs)."""
        out = self._ask(X)
        return out[:, 0] if out.shape[1] == 1 else out


def _keep_arguments(estimator, arguments: dict[str, Any]) -> None:
    """Keep the arguments of a constructor as they are, as scikit-learn wants it."""
    for name in estimator._get_param_names():
        setattr(estimator, name, arguments[name])
