"""scikit-learn estimators on fastnn's core, with scikit-learn's constructor."""

from __future__ import annotations

import warnings
from abc import abstractmethod

import numpy as np

from . import _checks
from .network import MLP
from .optimizers import SGD, Adam
from .trainer import EarlyStopping, Trainer

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'MLPClassifier and MLPRegressor need scikit-learn 1.6 or newer: pip install "fastnn[sklearn]".'
    ) from error

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


class _BaseMLP(BaseEstimator):
    """What classifier and regressor share: parameters, the training call, fitted attributes."""

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
        dtype="float32",
        n_threads=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dtype = dtype
        self.n_threads = n_threads

    @abstractmethod
    def _encode(self, y) -> tuple[np.ndarray, int, str]:
        """Targets as the trainer takes them, the number of outputs, and the loss."""

    def _refuse_what_is_missing(self) -> None:
        """Refuse what scikit-learn has and fastnn has not yet, rather than do something else."""
        for name, supported in {
            "solver": ("adam", "sgd"),
            "learning_rate": ("constant",),
            "warm_start": (False,),
        }.items():
            value = getattr(self, name)
            if value not in supported:
                expected = " or ".join(map(repr, supported))
                raise ValueError(f"{name}={value!r} is not supported: expected {expected}.")

    def _optimizer(self) -> SGD | Adam:
        if self.solver == "adam":
            return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
        return SGD(self.learning_rate_init, self.momentum, nesterov)

    def fit(self, X, y):
        """Train on data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X, y or a parameter is not what is expected.
        """
        self._refuse_what_is_missing()
        dtype = _checks.check_dtype(self.dtype)
        X, y = validate_data(self, X, y, dtype=dtype, order="C", multi_output=True, y_numeric=self._y_numeric)
        targets, n_outputs, loss = self._encode(y)
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        rng = check_random_state(self.random_state)
        seeds = rng.randint(2**31, size=2)
        net = MLP(
            [X.shape[1], *hidden, n_outputs],
            ACTIVATIONS[_checks.check_name("activation", self.activation, ACTIVATIONS)],
            dtype=dtype,
            seed=int(seeds[0]),
        )
        batch_size = min(200, len(X)) if self.batch_size == "auto" else self.batch_size
        trainer = Trainer(
            net,
            loss=loss,
            optimizer=self._optimizer(),
            batch_size=batch_size,
            l2=self.alpha,
            shuffle=self.shuffle,
            seed=int(seeds[1]),
            n_threads=self.n_threads,
        )
        # scikit-learn stops when more than n_iter_no_change epochs in a row have not improved.
        stopping = EarlyStopping(
            monitor="val_metric" if self.early_stopping else "cost",
            patience=_checks.check_count("n_iter_no_change", self.n_iter_no_change) + 1,
            min_delta=self.tol,
            restore_best=bool(self.early_stopping),
        )
        history = trainer.fit(
            X,
            targets,
            epochs=self.max_iter,
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            early_stopping=stopping,
            verbose=int(self.verbose),
        )
        self._keep(net, trainer)
        if history.stop_reason == "epochs":
            warnings.warn(
                f"Training took all {self.max_iter} epochs of max_iter and has not converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _keep(self, net: MLP, trainer: Trainer) -> None:
        """Fitted attributes, named as scikit-learn names them."""
        columns = trainer.history.to_dict()
        self._net = net
        self.coefs_ = net.weights
        self.intercepts_ = net.biases
        self.loss_curve_ = columns["cost"]
        self.loss_ = columns["cost"][-1]
        self.best_loss_ = None if self.early_stopping else min(columns["cost"])
        self.validation_scores_ = columns["val_metric"] if self.early_stopping else None
        self.best_validation_score_ = max(columns["val_metric"]) if self.early_stopping else None
        self.n_iter_ = len(trainer.history)
        self.t_ = self.n_iter_ * trainer.n_rows
        self.n_layers_ = len(net.sizes)
        self.n_outputs_ = net.sizes[-1]
        self.out_activation_ = "logistic" if net.output == "sigmoid" else net.output

    def _ask(self, method: str, X) -> np.ndarray:
        """The network's `method` on checked rows."""
        check_is_fitted(self, "coefs_")
        X = validate_data(self, X, dtype=self._net.dtype, order="C", reset=False)
        return getattr(self._net, method)(X, n_threads=self.n_threads)


class MLPClassifier(ClassifierMixin, _BaseMLP):
    """Multilayer perceptron classifier with scikit-learn's interface.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(100,)
        Width of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Of the hidden layers.
    solver : {"adam", "sgd"}, default="adam"
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, divided by the batch's rows.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    learning_rate : {"constant"}, default="constant"
    learning_rate_init : float, default=0.001
    max_iter : int, default=200
        Most epochs.
    shuffle : bool, default=True
    random_state : int, RandomState or None, default=None
    tol : float, default=1e-4
        What counts as an improvement of the loss, or of the validation score with early_stopping.
    verbose : bool, default=False
        Whether progress is shown on stderr.
    momentum : float, default=0.9
        For "sgd", as is nesterovs_momentum.
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        Hold out a part of the data and stop when its score no longer rises.
    validation_fraction : float, default=0.1
    beta_1, beta_2, epsilon : float
        For "adam".
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops.
    power_t, warm_start, max_fun
        Accepted for compatibility; they belong to what is not supported yet.
    dtype : {"float32", "float64"}, default="float32"
        Of the network and its arithmetic.
    n_threads : int, optional
        At most this many; all usable cores by default.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_
    best_validation_score_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_
    out_activation_, t_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _y_numeric = False

    def _encode(self, y) -> tuple[np.ndarray, int, str]:
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            self.classes_ = np.arange(y.shape[1])
            return y, y.shape[1], "binary_cross_entropy"
        y = _column(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) == 2:  # one logistic output, as in scikit-learn
            return encoder.transform(y), 1, "binary_cross_entropy"
        if len(self.classes_) == 1:
            raise ValueError(f"y has one class only ({self.classes_[0]!r}): expected at least 2.")
        return encoder.transform(y), len(self.classes_), "cross_entropy"

    def predict_proba(self, X) -> np.ndarray:
        """Probability of each class, in the order of ``classes_``: (n_samples, n_classes)."""
        return self._ask("predict_proba", X)

    def predict_log_proba(self, X) -> np.ndarray:
        """Logarithm of :meth:`predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X) -> np.ndarray:
        """Most probable class of each row, (n_samples,); of several labels 0 or 1 each."""
        predicted = self._ask("predict", X)
        return predicted if predicted.ndim == 2 else self.classes_[predicted]


class MLPRegressor(RegressorMixin, _BaseMLP):
    """Multilayer perceptron regressor with scikit-learn's interface.

    Parameters and attributes are those of :class:`MLPClassifier`, without ``classes_``; the loss is
    ``squared_error``, half the mean squared error.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(hidden_layer_sizes=(50,), learning_rate_init=0.02, max_iter=500, random_state=0)
    >>> bool(model.fit(X, y / y.std()).score(X, y / y.std()) > 0.95)
    True
    """

    _y_numeric = True

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
        dtype="float32",
        n_threads=None,
    ):
        parameters = {name: value for name, value in locals().items() if name in _SHARED}
        super().__init__(**parameters)
        self.loss = loss

    def _encode(self, y) -> tuple[np.ndarray, int, str]:
        _checks.check_name("loss", self.loss, ["squared_error"])
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        return y, n_outputs, self.loss

    def predict(self, X) -> np.ndarray:
        """Predicted values, (n_samples,) or (n_samples, n_outputs)."""
        return self._ask("predict", X)


_SHARED = frozenset(MLPClassifier().get_params())


def _column(y: np.ndarray) -> np.ndarray:
    """A single column of labels as a vector, with scikit-learn's warning."""
    from sklearn.utils.validation import column_or_1d

    return column_or_1d(y, warn=True)
