"""scikit-learn estimators on fastnn's core: its constructor, its attributes, its meanings."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from . import _checks, lbfgs
from ._threads import at_work
from .activations import Activation
from .history import Epoch
from .losses import ALIASES, LOSSES, Loss, as_loss
from .network import MLP
from .optimizers import OPTIMIZERS, SGD, Adam, Optimizer, _powers, as_optimizer
from .trainer import Trainer

try:
    from scipy import sparse
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
    from sklearn.exceptions import ConvergenceWarning
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

SMALLEST_RATE = 1e-6  # learning_rate="adaptive" goes no lower, as in scikit-learn
VALUES = {name for name in {*LOSSES, *ALIASES} if as_loss(name).is_regression}


def _copy_parameters(to: MLP, source: MLP) -> None:
    for name, view in to.parameters().items():
        view[:] = source.parameters()[name]


def _is_stochastic(estimator) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd'; 'lbfgs' takes all rows at once.")
    return True


@dataclasses.dataclass(frozen=True)
class _Adam(Adam):
    """Adam as scikit-learn has it: eps is added to the root of the second mean before that is corrected."""

    def _corrected(self, lr, step):
        root = np.sqrt(1 - _powers(self.beta2, step))
        return lr * root / (1 - _powers(self.beta1, step)), 1.0, self.eps


class _Validation(NamedTuple):
    """Rows that are scored after every epoch."""

    x: Any
    targets: np.ndarray
    weight: np.ndarray | None


class _Course:
    """How training goes on at the next epoch; partial_fit carries it from call to call."""

    def __init__(self, rate: float, n_waited: int) -> None:
        self.rate = rate
        self.n_waited = n_waited
        self.stopped = False
        self.best: list[np.ndarray] = []
        self._progress: tuple[list[np.ndarray], int] | None = None

    def enter(self, trainer: Trainer) -> None:
        """Let the trainer go on where the one before left off."""
        trainer.lr = self.rate
        if self._progress is not None:
            states, trainer._updates = self._progress
            for mine, kept in zip(self._states(trainer), states, strict=True):
                mine[:] = kept

    def leave(self, trainer: Trainer) -> None:
        """Keep what the next trainer needs."""
        self.rate = trainer.lr
        self._progress = self._states(trainer), trainer._updates

    @staticmethod
    def _states(trainer: Trainer) -> list[np.ndarray]:
        return [trainer._state.m, trainer._state.v, trainer._state.u]

    @staticmethod
    def change_rate(trainer: Trainer, rate: float) -> None:
        """Another learning rate from the next step on."""
        # scikit-learn's velocity holds each step's own rate, the trainer's is multiplied by the latest
        trainer._state.m[:] *= trainer.lr / rate
        trainer.lr = rate

    def keep_best(self, net: MLP) -> None:
        """Note the weights of the moment."""
        self.best = [net.params.copy(), net._running.copy()]

    def restore_best(self, net: MLP) -> None:
        """Bring back those that were noted last."""
        net.params[:], net._running[:] = self.best


class _BaseMLP(BaseEstimator, ABC):
    """What classifier and regressor share: training, stopping, fitted attributes."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's own form)
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, Activation, callable, "array-like"],
        "solver": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
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
        "dtype": [StrOptions({"float32", "float64"}), type, np.dtype],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    # What classifier and regressor do differently.

    @abstractmethod
    def _learn_targets(self, y, classes) -> None:
        """Settle ``n_outputs_`` and ``out_activation_``, and a classifier's ``classes_``."""

    @abstractmethod
    def _targets(self, y) -> np.ndarray:
        """Targets as the trainer takes them."""

    @abstractmethod
    def _loss(self) -> Loss:
        """What is minimised; of several outputs the mean."""

    @abstractmethod
    def _validation_score(self, out: np.ndarray, targets: np.ndarray, sample_weight) -> float:
        """What ``score`` would give, of the network's outputs."""

    def _check_labels(self, y, incremental: bool) -> None:
        """Refuse labels that the present network was not made for."""

    def _weigh(self, y, sample_weight):
        """The sample weights, times those of the classes."""
        return sample_weight

    # Checks.

    def _check_data(self, X, y, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=_checks.check_dtype(self.dtype),
            order="C",
            multi_output=True,
            y_numeric=not is_classifier(self),
            reset=reset,
        )
        y = y.toarray() if sparse.issparse(y) else y
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _check_weight(self, sample_weight, X, y) -> np.ndarray | None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            if not sample_weight.any():
                raise ValueError("Sample weights must contain at least one non-zero number.")
        return self._weigh(y, sample_weight)

    def _check_validation(self, X_val, y_val) -> _Validation | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together, got only one of them.")
        if X_val is None:
            return None
        X_val, y_val = self._check_data(X_val, y_val, reset=False)
        return _Validation(X_val, self._targets(y_val), None)

    def _sizes(self, n_features: int) -> list[int]:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        if not all(isinstance(size, Integral) and int(size) > 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must hold integers > 0, got {self.hidden_layer_sizes!r}.")
        return [n_features, *hidden, self.n_outputs_]

    # The network, of whose parameters coefs_ and intercepts_ are views.

    def _new_network(self, sizes: list[int], dtype=None, init="zeros", seed=0) -> MLP:
        return MLP(
            sizes,
            self.activation,
            output="sigmoid" if self.out_activation_ == "logistic" else self.out_activation_,
            init=init,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            norm=self.norm,
            residual=self.residual,
            dtype=dtype or self.dtype,
            seed=seed,
        )

    def _initial_network(self, sizes: list[int], rng: np.random.RandomState) -> MLP:
        if self.init is not None:
            return self._new_network(sizes, init=self.init, seed=int(rng.randint(2**31)))
        net = self._new_network(sizes)
        # Glorot and Bengio (2010), for biases too: the numbers that scikit-learn draws
        names = [activation.name for activation in net.activations]
        names.append(names[-1] if names else {"logistic": "sigmoid"}.get(self.activation, ""))
        for w, b, name in zip(net.weights, net.biases, names, strict=True):
            bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / sum(w.shape))
            w[:] = rng.uniform(-bound, bound, w.shape)
            b[:] = rng.uniform(-bound, bound, b.shape)
        return net

    def _keep(self, net: MLP) -> None:
        self._net, self.coefs_, self.intercepts_ = net, net.weights, net.biases
        self._views = (*self.coefs_, *self.intercepts_)

    def _network(self) -> MLP:
        """The network of ``coefs_`` and ``intercepts_``, which may also have been set from outside."""
        arrays = (*self.coefs_, *self.intercepts_)
        net: Any = getattr(self, "_net", None)
        views = getattr(self, "_views", ())
        if len(views) == len(arrays) and all(a is b for a, b in zip(arrays, views, strict=True)):
            return net
        sizes = [*(np.shape(w)[0] for w in self.coefs_), np.shape(self.coefs_[-1])[1]]
        if net is None or list(net.sizes) != sizes:
            net = self._new_network(sizes)
        for view, array in zip((*net.weights, *net.biases), arrays, strict=True):
            if view.shape != np.shape(array):
                raise ValueError(
                    f"coefs_ and intercepts_ do not fit: got {np.shape(array)} for {view.shape}."
                )
            view[:] = array
        self._keep(net)
        return net

    def __getstate__(self):
        """The network once, and never the data."""
        if not hasattr(self, "_net"):
            return super().__getstate__()
        self._network()
        state = dict(super().__getstate__())
        for name in ("coefs_", "intercepts_", "_views"):
            del state[name]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_net"):
            self._keep(self._net)

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
        return self._fit(X, y, sample_weight, X_val, y_val, resume=self.warm_start)

    def _fit(self, X, y, sample_weight, X_val, y_val, *, resume, classes=None, incremental=False):
        resume = resume and hasattr(self, "coefs_")
        X, y = self._check_data(X, y, reset=not (resume and hasattr(self, "n_features_in_")))
        if resume and hasattr(self, "n_outputs_"):
            self._check_labels(y, incremental)
        else:
            self._learn_targets(y, classes)
        targets = self._targets(y)
        weight = self._check_weight(sample_weight, X, y)
        validation = self._check_validation(X_val, y_val)
        rng = check_random_state(self.random_state)
        net = self._begin(self._sizes(X.shape[1]), resume, rng)
        with at_work():
            if self.solver == "lbfgs":
                self._fit_lbfgs(net, X, targets, weight)
            else:
                self._fit_stochastic(net, X, targets, weight, validation, rng, incremental)
        return self

    def _begin(self, sizes: list[int], resume: bool, rng: np.random.RandomState) -> MLP:
        """The network to train, and what is counted over its life."""
        if resume:
            net = self._network()
            if list(net.sizes) != sizes:
                raise ValueError(f"The layers of coefs_ are {list(net.sizes)}, but {sizes} are asked for.")
        else:
            net = self._initial_network(sizes, rng)
            self._keep(net)
        if not resume or not hasattr(self, "t_"):
            self.t_ = self._no_improvement_count = 0
            self.n_layers_ = len(sizes)
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = None
            self.best_validation_score_: float | None = None
            self.best_loss_: float | None = None
        return net

    def _trainer(self, net: MLP, n_rows: int, seed: int | None = None) -> Trainer:
        batch_size = min(200, n_rows) if self.batch_size == "auto" else self.batch_size
        if batch_size > n_rows:
            warnings.warn(f"batch_size={batch_size} is clipped to the {n_rows} samples.", stacklevel=6)
        loss = copy.copy(self._loss())
        loss.scale *= 1 if loss.kind == "class" else self.n_outputs_  # their sum, as in scikit-learn
        return Trainer(
            net,
            loss=loss,
            optimizer=self._optimizer(),
            batch_size=batch_size,
            l2=self.alpha,
            shuffle=self.shuffle,
            seed=seed,
            n_threads=self.n_threads,
        )

    def _optimizer(self) -> Optimizer:
        if isinstance(self.solver, Optimizer):
            return self.solver
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
            return SGD(self.learning_rate_init, self.momentum, nesterov)
        if self.solver in ("adam", "lbfgs"):
            return _Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        given: Any = as_optimizer(self.solver)
        return dataclasses.replace(given, lr=self.learning_rate_init)

    def _fit_lbfgs(self, net: MLP, X, targets, weight) -> None:
        if any(net.dropout) or net.input_dropout or "batch" in net.norm:
            raise ValueError("solver='lbfgs' goes neither with dropout nor with norm='batch'.")
        # A line search tells costs apart that differ by less than float32 can hold.
        exact = self._new_network(list(net.sizes), dtype="float64")
        _copy_parameters(exact, net)
        trainer = self._trainer(exact, X.shape[0])
        result = lbfgs.minimize(
            trainer,
            X.astype(np.float64, copy=False),
            targets,
            weight,
            max_iter=self.max_iter,
            max_evaluations=self.max_fun,
            tol=self.tol,
        )
        _copy_parameters(net, exact)
        self.n_iter_, self.loss_ = int(result.nit), float(result.fun)
        if result.status != 0:
            warnings.warn(
                f"lbfgs has not converged after {result.nit} iterations ({result.message}): raise max_iter "
                "or max_fun, or standardise X.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _fit_stochastic(self, net, X, targets, weight, validation, rng, incremental: bool) -> None:
        if self.early_stopping and validation is None:
            if incremental:
                raise ValueError("partial_fit with early_stopping=True needs X_val and y_val.")
            X, targets, weight, validation = self._hold_out(X, targets, weight, rng)
        trainer = self._trainer(net, X.shape[0], seed=int(rng.randint(2**31)))
        course = self._course_to_take(net, trainer.lr, incremental)
        self.n_iter_ = 0
        if course.stopped:
            self._course = course
            return
        course.enter(trainer)
        history = trainer.fit(
            X,
            targets,
            epochs=1 if incremental else self.max_iter,
            sample_weight=weight,
            callbacks=lambda trainer, epoch: self._note_epoch(course, trainer, epoch, validation),
            verbose=int(self.verbose),
        )
        if not incremental and history.stop_reason == "epochs":
            warnings.warn(
                f"Training took all {self.max_iter} epochs of max_iter and has not converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        self.stopped_ = course.stopped
        self._no_improvement_count = course.n_waited
        if self.early_stopping and (course.stopped or not incremental):
            course.restore_best(net)
        if incremental:
            course.leave(trainer)
            self._course = course

    def _course_to_take(self, net: MLP, rate: float, incremental: bool) -> _Course:
        course = self.__dict__.pop("_course", None)
        if course is None or not incremental:
            course = _Course(rate, n_waited=0 if incremental else self._no_improvement_count)
        if self.early_stopping and not course.best:
            course.keep_best(net)
        return course

    def _hold_out(self, X, targets, weight, rng) -> tuple[Any, np.ndarray, np.ndarray | None, _Validation]:
        """Split off ``validation_fraction`` of the rows, those that scikit-learn would take."""
        train, held_out = train_test_split(
            np.arange(X.shape[0]),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=targets if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                f"The validation set has {len(held_out)} row: raise validation_fraction, or give more data."
            )
        weights = (None, None) if weight is None else (weight[train], weight[held_out])
        return X[train], targets[train], weights[0], _Validation(X[held_out], targets[held_out], weights[1])

    def _note_epoch(
        self, course: _Course, trainer: Trainer, epoch: Epoch, validation: _Validation | None
    ) -> None:
        """Count an epoch, and decide on rate and end as scikit-learn does."""
        self.n_iter_ += 1
        self.t_ += trainer.n_rows
        self.loss_ = epoch.cost
        self.loss_curve_.append(epoch.cost)
        best_loss = np.inf if self.best_loss_ is None else self.best_loss_
        improved = epoch.cost <= best_loss - self.tol
        self.best_loss_ = None if self.early_stopping else min(epoch.cost, best_loss)
        if validation is not None:
            out = trainer.net.predict_raw(validation.x, n_threads=self.n_threads)
            score = self._validation_score(out, validation.targets, validation.weight)
            best = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
            self.best_validation_score_ = max(best, score)
            self.validation_scores_ = self.validation_scores_ or []
            self.validation_scores_.append(score)
            if self.early_stopping:
                improved = score >= best + self.tol
                if score > best:
                    course.keep_best(trainer.net)
        course.n_waited = 0 if improved else course.n_waited + 1
        rule = self.learning_rate if self.solver == "sgd" else "constant"
        if rule == "invscaling":
            course.change_rate(trainer, self.learning_rate_init / (self.t_ + 1) ** self.power_t)
        if course.n_waited > self.n_iter_no_change:
            if rule == "adaptive" and trainer.lr > SMALLEST_RATE:
                course.change_rate(trainer, trainer.lr / 5)
                course.n_waited = 0
            else:
                course.stopped = True
                trainer.stop("no improvement")

    # Prediction.

    def _ask(self, X) -> np.ndarray:
        """The network's outputs for checked rows."""
        check_is_fitted(self, "coefs_")
        net = self._network()
        X = validate_data(self, X, accept_sparse="csr", dtype=net.dtype, order="C", reset=False)
        return net.predict_raw(X, n_threads=self.n_threads)

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
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        For "sgd". "invscaling": ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive": a fifth of it
        whenever training would stop, until it is below 1e-6.
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
    momentum : float, default=0.9
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
        Factors on the sample weights, by class; "balanced" makes all classes weigh the same.
    dtype : {"float32", "float64"}, default="float32"
        Of the network and its arithmetic; "lbfgs" works in float64 and rounds its result.
    n_threads : int, optional
        At most this many; all usable cores by default.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_
    best_validation_score_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_
    out_activation_, t_
        As in scikit-learn.
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
        dtype="float32",
        n_threads=None,
    ):
        _set_parameters(self, locals())

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None, X_val=None, y_val=None):
        """Train for one epoch on a part of the data, from the present weights.

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

    def _targets(self, y) -> np.ndarray:
        if self._is_multilabel:
            if y.ndim != 2 or type_of_target(y) != "multilabel-indicator":
                raise ValueError(f"y must hold {self.n_outputs_} labels of 0 or 1 a sample, got {y.shape}.")
            return y
        encoder = LabelEncoder()
        encoder.classes_ = self.classes_
        return encoder.transform(y)

    def _weigh(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        of_classes = compute_sample_weight(self.class_weight, y)
        return of_classes if sample_weight is None else of_classes * sample_weight

    def _loss(self) -> Loss:
        return Loss("cross_entropy" if self.out_activation_ == "softmax" else "binary_cross_entropy")

    def _validation_score(self, out, targets, sample_weight) -> float:
        if self.out_activation_ == "softmax":
            hits = out.argmax(axis=1) == targets
        else:
            hits = ((out > 0.5) == targets.reshape(out.shape)).all(axis=1)
        return float(np.average(hits, weights=sample_weight))

    def predict_proba(self, X) -> np.ndarray:
        """Probability of each class, in the order of ``classes_``: (n_samples, n_classes)."""
        p = self._ask(X)
        if len(self.classes_) == 1:
            return np.ones_like(p)
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p

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
        dtype="float32",
        n_threads=None,
    ):
        _set_parameters(self, locals())

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Train for one epoch on a part of the data, from the present weights.

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

    def _targets(self, y) -> np.ndarray:
        return self._loss().check_targets("y", y, self.n_outputs_, _checks.check_dtype(self.dtype))

    def _loss(self) -> Loss:
        return as_loss(self.loss)

    def _validation_score(self, out, targets, sample_weight) -> float:
        mean = np.average(targets, axis=0, weights=sample_weight)
        residual = np.average((targets - out) ** 2, axis=0, weights=sample_weight)
        spread = np.average((targets - mean) ** 2, axis=0, weights=sample_weight)
        unexplained = np.divide(residual, spread, out=(residual > 0).astype(float), where=spread > 0)
        return float(1 - unexplained.mean())

    def predict(self, X) -> np.ndarray:
        """Predicted values, (n_samples,) or (n_samples, n_outputs)."""
        out = self._ask(X)
        return out[:, 0] if out.shape[1] == 1 else out


def _set_parameters(estimator, arguments: dict[str, Any]) -> None:
    """Keep the arguments of a constructor as they are, as scikit-learn wants it."""
    for name in estimator._get_param_names():
        setattr(estimator, name, arguments[name])
