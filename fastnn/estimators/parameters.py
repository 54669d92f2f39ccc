"""Parameters that both estimators have: scikit-learn's constraints on them, and their documentation.

The constructors themselves are written out in each class, because scikit-learn reads their signatures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, Options, StrOptions

from .._checks import check_number
from ..activations import Activation
from ..optimizers import OPTIMIZERS, Optimizer
from ..schedules import SCHEDULES, Schedule
from ..training.averages import EMA, SWA
from ..training.callbacks import Callback

Activations: TypeAlias = "str | Activation | Callable[[float], float] | Sequence[str | Activation]"
Callbacks: TypeAlias = "Callback | Callable[[Any, Any], Any] | Sequence[Any] | None"

# scikit-learn's rules for the learning rate; any other name is one of fastnn.schedules.
RATE_RULES = {"constant", "invscaling", "adaptive"}

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [str, Activation, callable, "array-like"],
    "solver": [StrOptions(set(OPTIMIZERS)), Optimizer],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(RATE_RULES | set(SCHEDULES)), Schedule, callable],
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

# What scikit-learn's constructors have, too, in its order.
_COMMON = """\
hidden_layer_sizes : int or sequence of int, default=(100,)
    Width of each hidden layer.
activation : str, Activation, callable or sequence of them, default="relu"
    Activation of the hidden layers, one for all or one each: "identity", "logistic", "tanh", "relu", or
    anything else that :class:`fastnn.Activation` takes.
solver : {"adam", "sgd", "lbfgs"}, another name or an optimiser, default="adam"
    "lbfgs" takes all rows at once, and is best for small data. Besides scikit-learn's solvers, any optimiser
    of fastnn: by name with ``learning_rate_init``, or as an object such as ``fastnn.AdamW(1e-3)``.
alpha : float, default=0.0001
    Strength of the L2 penalty on the weights: ``alpha / (2 n) * sum(w ** 2)`` for a batch of n rows, or of
    rows whose sample weights add up to n.
batch_size : int or "auto", default="auto"
    Rows of a batch; "auto" is min(200, n_samples). "lbfgs" has no batches.
learning_rate : str, Schedule or callable, default="constant"
    With "sgd", "invscaling" is ``learning_rate_init / (t_ + 1) ** power_t``, and "adaptive" divides the rate
    by 5 whenever training would stop, until it is below 1e-6. With any solver but "lbfgs", another name of
    :mod:`fastnn.schedules` such as "cosine", a schedule, or a function ``f(epoch, learning_rate_init)``. A
    schedule plans for ``max_iter`` epochs, in partial_fit for those so far.
learning_rate_init : float, default=0.001
    Learning rate of the first update. An optimiser that is given as an object has its own.
power_t : float, default=0.5
    Exponent of "invscaling".
max_iter : int, default=200
    Largest number of epochs, or of iterations of "lbfgs".
shuffle : bool, default=True
    Whether every epoch takes the rows in a new order.
random_state : int, RandomState or None, default=None
    Seed of the initial weights and of the rows that are held out, both the same as scikit-learn's, and of the
    order of the rows.
tol : float, default=1e-4
    Smallest improvement that counts, of the loss or, with early_stopping, of the validation score. "lbfgs"
    stops where no element of the gradient is larger.
verbose : bool or int, default=False
    Whether progress is shown on stderr; 2 shows a table of the last epochs. "lbfgs" shows none.
warm_start : bool, default=False
    Whether fit starts from the present ``coefs_`` and ``intercepts_``. The caller may set them, too, even
    before the first fit.
momentum : float in [0, 1], default=0.9
    Momentum of "sgd".
nesterovs_momentum : bool, default=True
    Whether the momentum of "sgd" is Nesterov's.
early_stopping : bool, default=False
    Whether training stops when the score of validation data no longer rises. It ends with the weights of the
    best epoch, even where it diverges later.
validation_fraction : float in [0, 1), default=0.1
    Share of the rows that is held out for early_stopping where fit is not given X_val and y_val.
beta_1 : float in [0, 1), default=0.9
    Decay of the first mean of "adam".
beta_2 : float in [0, 1), default=0.999
    Decay of the second mean of "adam".
epsilon : float, default=1e-8
    Added to the denominator of "adam".
n_iter_no_change : int or inf, default=10
    Epochs without improvement after which training stops.
max_fun : int, default=15000
    Largest number of evaluations of the loss by "lbfgs"."""

# What only fastnn's have.
_OWN = """\
init : str or None, default=None
    Initialisation of the weights, by a name of :class:`fastnn.MLP`; by default scikit-learn's.
dropout : float or sequence of float, default=0.0
    Probability of dropping a unit of each hidden layer. Not for "lbfgs".
input_dropout : float, default=0.0
    Probability of dropping a feature. Not for "lbfgs".
norm : {"batch", "layer"}, sequence of them or None, default=None
    Normalisation of the hidden layers, as in :class:`fastnn.MLP`. "batch" is not for "lbfgs".
residual : bool or sequence of bool, default=False
    Whether a hidden layer's input is added to its output, as in :class:`fastnn.MLP`.
l1_ratio : float in [0, 1], default=0.0
    Share of an L1 penalty, ``alpha / n * sum(abs(w))``, in place of the L2 penalty.
clip_norm : float, optional
    Largest norm of a batch's gradient, which is scaled down to it.
max_norm : float, optional
    Largest norm of the weights into a unit, which are scaled down to it after every update.
lazy : bool, default=False
    For sparse X: weights of features that a batch lacks are left as they are; see :class:`fastnn.Trainer`.
    Much faster with many features.
average : EMA, SWA or None, default=None
    Average of the weights over training, such as ``fastnn.EMA(0.999)``: it is scored, and training ends with
    it.
scoring : str, callable or None, default=None
    Score of validation data: "loss", the name of one of scikit-learn's scorers, or
    ``scorer(estimator, X, y)``; by default that of ``score``. Higher is better; the loss counts negative.
callbacks : Callback, callable or sequence of them, optional
    See :class:`fastnn.Callback`; a function is called with the trainer and each epoch's figures. Not for
    "lbfgs". Callbacks of scikit-learn 1.9 go to ``set_callbacks``.
dtype : {"float32", "float64"} or None, default=None
    Type of a new network and of its arithmetic; None is float32 for float32 X, else float64, as in
    scikit-learn. float32 is about twice as fast. "lbfgs" computes in float64 and rounds its result.
n_threads : int, optional
    Largest number of threads; all usable cores by default."""

_ATTRIBUTES = """\
coefs_ : list of ndarray, shape (n_in, n_out) each
    Weights of each layer.
intercepts_ : list of ndarray, shape (n_out,) each
    Biases of each layer.
loss_ : float
    Loss of the last epoch or iteration, penalty included.
best_loss_ : float or None
    Lowest loss of an epoch; None with early_stopping and for "lbfgs".
loss_curve_ : list of float
    Loss of every epoch. Empty for "lbfgs".
validation_scores_ : list of float or None
    Score of the validation data after every epoch; -inf where the outputs are no longer finite.
best_validation_score_ : float or None
    Highest of them.
validation_loss_curve_ : list of float or None
    Loss of the validation data after every epoch, without penalty.
n_iter_ : int
    Epochs of the last call, or iterations of "lbfgs".
n_features_in_ : int
    Number of features.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, where X had names that are strings.
n_layers_ : int
    Number of layers, the inputs counted as one.
n_outputs_ : int
    Number of outputs.
out_activation_ : str
    Activation of the outputs.
t_ : int
    Rows trained on, counted once an epoch.
stopped_ : bool
    Whether training has stopped by itself; "lbfgs" does not report it. Once stopped, a partial_fit with
    early_stopping changes nothing."""

_PART = """\
X : {array-like, sparse matrix} of shape (n_samples, n_features)
    A part of the data.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Its targets.
sample_weight : array-like of shape (n_samples,), optional
    Weight of each row."""

_PART_VALIDATION = """\
X_val, y_val : array-like, optional
    Data to score after the call, which early_stopping needs: after more than ``n_iter_no_change`` calls
    without improvement the best weights come back, and ``stopped_`` is True.

Returns
-------
self

Raises
------
ValueError
    If X, y or a parameter is not what is expected.
DivergenceError
    A ValueError: if the loss becomes NaN or infinite."""

_SECTIONS = {
    "common": _COMMON,
    "own": _OWN,
    "attributes": _ATTRIBUTES,
    "part": _PART,
    "part_validation": _PART_VALIDATION,
}
AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


def documented(thing: AnyCallable) -> AnyCallable:
    """Replace names in braces in an estimator's docstring by the text that both estimators share."""
    if thing.__doc__ is not None:  # as under python -OO
        thing.__doc__ = inspect.cleandoc(thing.__doc__).format(**_SECTIONS)
    return thing


def checks_parameters(method: AnyCallable) -> AnyCallable:
    """Let scikit-learn check the estimator's parameters before a method that fits it."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def check_sizes(estimator: Any) -> None:
    """Refuse parameters that no float can represent: scikit-learn takes integers of any size."""
    for name in CONSTRAINTS:
        value = getattr(estimator, name)
        if isinstance(value, Integral) and not isinstance(value, bool):
            check_number(name, value, -np.inf)


def keep_arguments(estimator: Any, arguments: dict[str, Any]) -> None:
    """Set the arguments of a constructor as attributes, unchanged, as scikit-learn expects."""
    for name in estimator._get_param_names():
        setattr(estimator, name, arguments[name])
