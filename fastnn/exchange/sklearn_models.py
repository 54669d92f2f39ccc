"""Fitted multilayer perceptrons from and to scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from ..network.mlp import MLP
from .arguments import as_network, estimator_network
from .steps import Activate, Dense, Step, class_target, fold_norms, has_one_label, network_of, steps_of

# fastnn's names of scikit-learn's activations, of hidden layers and of the output layer.
_HIDDEN = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_OUTPUTS = {**_HIDDEN, "softmax": "softmax", "exp": "exp"}


def from_sklearn(model: Any) -> MLP:
    """Return the network of a fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn.

    Its metadata hold the labels of a classifier, which :func:`fastnn.exchange.to_onnx` writes to its files.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted.

    Returns
    -------
    MLP
        With copies of the weights, in their dtype.

    Raises
    ------
    TypeError
        If it is not one of these.
    ValueError
        If it is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), solver="lbfgs", random_state=0, max_iter=1000).fit(x, y)
    >>> bool(np.allclose(from_sklearn(model).predict_proba(x), model.predict_proba(x)))
    True
    """
    if not all(hasattr(model, name) for name in ("hidden_layer_sizes", "activation", "out_activation_")):
        if hasattr(model, "hidden_layer_sizes"):
            raise ValueError(f"{type(model).__name__} is not fitted yet: call its fit first.")
        raise TypeError(f"model must be a fitted MLPClassifier or MLPRegressor, got {type(model).__name__}.")
    own = estimator_network(model)
    if own is not None:
        return own
    steps: list[Step] = []
    last = len(model.coefs_) - 1
    for depth, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        where = f"coefs_[{depth}]"
        steps.append(Dense(np.asarray(weight), np.asarray(bias), where))
        known, name = (_HIDDEN, model.activation) if depth < last else (_OUTPUTS, model.out_activation_)
        steps.append(Activate(known[_checks.check_name("activation", name, known)], None, where))
    net = network_of(steps)
    classes = getattr(model, "classes_", None)
    if classes is not None and has_one_label(net):
        net.metadata["target"] = class_target(classes)
    return net


def to_sklearn(net: Any, classes: Sequence[Any] | None = None) -> Any:
    """Return a fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn with the network's weights.

    Batch normalisation becomes part of the weights, dropout is left out. A softmax over two classes becomes
    the single sigmoid that scikit-learn uses for them, with the same probabilities.

    Parameters
    ----------
    net : MLP, or fitted MLPClassifier or MLPRegressor of fastnn
        All hidden layers must have the same activation: identity, sigmoid, tanh or relu. With a softmax or
        sigmoid output it becomes a classifier (with several sigmoids, a multilabel one), otherwise a
        regressor.
    classes : sequence, optional
        Labels in the order of the outputs, which must be sorted. By default those of the network or the
        estimator, or 0, 1, 2 and so on.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If scikit-learn's estimators cannot hold the network, or the classes do not fit it.
    TypeError
        If it is not a network.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> net = fastnn.MLP([4, 8, 3], "tanh", output="softmax", seed=0)
    >>> model = to_sklearn(net, classes=["a", "b", "c"])
    >>> bool(np.allclose(model.predict_proba(np.eye(4)), net.predict_proba(np.eye(4))))
    True
    """
    _checks.require("sklearn.neural_network", "sklearn")
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    mlp = as_network(net, "to_sklearn")
    dense, hidden, output = _dense_layers(mlp)
    widths = tuple(len(layer.bias) for layer in dense)
    is_classifier = output in ("softmax", "logistic")
    model = (MLPClassifier if is_classifier else MLPRegressor)(
        hidden_layer_sizes=widths[:-1], activation=hidden
    )
    if is_classifier:
        _set_classes(model, _labels(net, mlp, classes, widths[-1], output), widths[-1], output)
    elif classes is not None:
        raise ValueError(f"classes are given, but the network's output is {mlp.output or 'identity'!r}.")
    model.coefs_ = [layer.weight for layer in dense]
    model.intercepts_ = [layer.bias for layer in dense]
    model.n_features_in_, model.n_layers_ = mlp.sizes[0], len(dense) + 1
    model.n_outputs_, model.out_activation_ = widths[-1], output
    # The state that partial_fit continues from.
    model.n_iter_ = model.t_ = model._no_improvement_count = 0
    model.loss_curve_, model.best_loss_, model.loss_ = [], np.inf, np.inf
    model.validation_scores_ = model.best_validation_score_ = None
    return model


def _dense_layers(net: MLP) -> tuple[list[Dense], str, str]:
    """Return the dense layers, and scikit-learn's names of the hidden and the output activation."""
    steps = fold_norms(steps_of(net, "scikit-learn's MLP"))
    sklearn_names = {ours: name for name, ours in _OUTPUTS.items()}
    dense: list[Dense] = []
    names: list[str] = []
    for step in steps:
        if isinstance(step, Dense):
            dense.append(step)
        elif isinstance(step, Activate):
            allowed = _OUTPUTS if len(dense) == len(net.sizes) - 1 else _HIDDEN
            if step.name not in allowed.values():
                raise ValueError(
                    f"the network has the activation {step.name!r}, but scikit-learn's MLP has only "
                    f"{', '.join(allowed)}."
                )
            names.append(sklearn_names[step.name])
        else:
            raise ValueError("the network has a layer normalisation, which scikit-learn's MLP does not have.")
    hidden, output = names[:-1], names[-1]
    if len(set(hidden)) > 1:
        raise ValueError(
            f"the network has the activations {', '.join(hidden)}, but scikit-learn's MLP has the same one "
            "in all hidden layers."
        )
    last = dense[-1]
    if output == "softmax" and len(last.bias) == 2:
        weight, bias = last.weight[:, 1:] - last.weight[:, :1], last.bias[1:] - last.bias[:1]
        dense[-1], output = Dense(weight, bias, last.where), "logistic"
    return dense, (hidden or ["relu"])[0], output


def _labels(model: Any, net: MLP, classes: Sequence[Any] | None, n_out: int, output: str) -> np.ndarray:
    """Return the labels: those given, or those of the estimator or the network, or numbers."""
    n_classes = 2 if output == "logistic" and n_out == 1 else n_out
    if classes is None:
        classes = getattr(model, "classes_", None)
    if classes is None:
        classes = (net.metadata.get("target") or {}).get("classes")
    if isinstance(classes, (list, tuple, range)) and len(classes) != n_classes:
        raise ValueError(f"classes has {len(classes)} labels, but the network has {n_classes} classes.")
    labels = np.arange(n_classes) if classes is None else np.asarray(classes)
    if labels.shape != (n_classes,):
        raise ValueError(f"classes has shape {labels.shape}, but the network has {n_classes} classes.")
    if not np.array_equal(np.unique(labels), labels):
        raise ValueError(f"classes must be sorted and distinct, as in scikit-learn, got {labels.tolist()}.")
    return labels


def _set_classes(model: Any, labels: np.ndarray, n_out: int, output: str) -> None:
    """Set the attributes in which a fitted classifier of scikit-learn stores its labels."""
    from sklearn.preprocessing import LabelBinarizer

    model.classes_ = labels
    is_multilabel = output == "logistic" and n_out > 1
    # Fitted on an example of the target: one label per row, or rows of 0 and 1.
    model._label_binarizer = LabelBinarizer().fit(np.eye(n_out, dtype=int) if is_multilabel else labels)
