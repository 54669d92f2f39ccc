"""Arguments that readers and writers share: models, files and the output layer's activation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import _checks
from ..kernels.activations import OUTPUTS
from ..network.mlp import MLP


def estimator_network(model: Any) -> MLP | None:
    """Return the network of one of fastnn's fitted estimators, None for anything else.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    if not hasattr(model, "_fitted_network"):
        return None
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "coefs_")
    return model._fitted_network().net


def as_network(model: Any, caller: str) -> MLP:
    """Return the network that was given, or that of one of fastnn's fitted estimators.

    Raises
    ------
    TypeError
        If it is anything else; the sentence names the function `caller`.
    """
    net = model if isinstance(model, MLP) else estimator_network(model)
    if net is not None:
        return net
    hint = ""
    if isinstance(getattr(model, "net", None), MLP):
        hint = "; pass its .net, and encode rows first, as its encoder does"
    raise TypeError(
        f"{caller} takes a fastnn.MLP or a fitted fastnn estimator, got {_checks.shown(model)}{hint}."
    )


def existing_file(path: str | os.PathLike[str], name: str) -> Path:
    """Return the path of a file that must exist.

    Raises
    ------
    TypeError
        If the argument, called `name`, is not a path.
    FileNotFoundError
        If there is no such file.
    """
    checked = _checks.check_path(name, path)
    if not checked.is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}.")
    return checked


def check_output(output: str | None) -> str | None:
    """Return `output`, which must be None or name an activation of the output layer."""
    return None if output is None else _checks.check_name("output", output, OUTPUTS)
