"""The multilayer perceptron: its sizes, its parameters, prediction, and its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import _checks, model_file
from ._threads import usable_cores
from ._tuning import ROW_BLOCK
from .buffers import Layout, aligned_zeros
from .kernels.activations import ACTIVATIONS, IDENTITY, OUTPUTS
from .kernels.step import Data, Network
from .predictor import Predictor

INITIALIZATIONS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")


def initial_weights(rng: np.random.Generator, method: str, n_in: int, n_out: int) -> np.ndarray:
    """Draw an (n_in, n_out) float64 matrix.

    Glorot and Bengio (2010): variance 2 / (n_in + n_out); He et al. (2015): variance 2 / n_in, for ReLU,
    which lets half of it through.

    Parameters
    ----------
    rng : numpy.random.Generator
    method : {"glorot_uniform", "glorot_normal", "he_uniform", "he_normal"}
    n_in, n_out : int

    Examples
    --------
    >>> initial_weights(np.random.default_rng(0), "he_normal", 3, 2).shape
    (3, 2)
    """
    scheme, distribution = method.split("_")
    deviation = np.sqrt(2.0 / (n_in + n_out if scheme == "glorot" else n_in))
    if distribution == "normal":
        w = rng.standard_normal((n_in, n_out))
        w *= deviation  # in place: a copy would be the largest array of a whole training
        return w
    limit = np.sqrt(3.0) * deviation
    return rng.uniform(-limit, limit, (n_in, n_out))


def unlabelled(x: np.ndarray) -> Data:
    """Rows without labels, targets or indices, as the kernels take them."""
    return Data(
        x=_checks.writable_view(x),
        labels=np.empty((0, 0), np.int32),
        targets=np.empty((0, 0), x.dtype),
        indices=np.empty(0, np.int64),
    )


class MLP:
    """A multilayer perceptron: dense layers with an activation each.

    Parameters
    ----------
    sizes : sequence of int
        Width of every layer, from the number of features to the number of outputs.
    activation : str or sequence of str, default="relu"
        Of the hidden layers: "identity", "relu", "tanh" or "sigmoid"; one name for all or one each.
    output : str, optional
        Activation of the output layer: one of the same, or "softmax". Where it is left open, the loss
        that the network is first trained with chooses: "softmax" for cross_entropy, "sigmoid" for
        binary_cross_entropy, else "identity".
    init : str, optional
        How weights are drawn: "glorot_uniform", "glorot_normal", "he_uniform", "he_normal". By default
        he_normal for layers that ReLU follows, glorot_uniform for the others. Biases start at 0.
    dtype : {"float32", "float64"}, default="float32"
    seed : int or numpy.random.Generator, optional
        The same seed gives the same weights to the bit.

    Attributes
    ----------
    sizes, activations, init, dtype
        As given; `activations` has one name a hidden layer.
    output : str or None
    params : ndarray of shape (n,)
        All parameters, padding included, in one aligned vector.
    weights : list of ndarray, shape (n_in, n_out) each
        Views into `params`: writing to them changes the network.
    biases : list of ndarray, shape (n_out,) each
        Likewise.
    metadata : dict
        Anything JSON can hold that should travel with the model's file.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> net = fastnn.MLP([4, 8, 3], activation="tanh", output="softmax", seed=0)
    >>> net.predict_proba(np.zeros((2, 4))).round(3)
    array([[0.333, 0.333, 0.333],
           [0.333, 0.333, 0.333]], dtype=float32)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Sequence[str] = "relu",
        *,
        output: str | None = None,
        init: str | None = None,
        dtype: Any = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if isinstance(sizes, (str, int)) or not isinstance(sizes, Iterable):
            raise TypeError(f"sizes must be a sequence of integers, got {sizes!r}.")
        self.sizes = tuple(_checks.check_count(f"sizes[{i}]", n) for i, n in enumerate(sizes))
        if len(self.sizes) < 2:
            raise ValueError(f"sizes must name at least inputs and outputs, got {list(self.sizes)}.")
        self.activations = self._check_activations(activation, len(self.sizes) - 2)
        self.output = None if output is None else _checks.check_name("output", output, OUTPUTS)
        self.init = None if init is None else _checks.check_name("init", init, INITIALIZATIONS)
        self.dtype = _checks.check_dtype(dtype)
        self.metadata: dict[str, Any] = {}

        codes = [ACTIVATIONS[name] for name in self.activations] + [IDENTITY]
        self._layout = Layout(self.sizes, codes, self.dtype)
        self.params = aligned_zeros(self._layout.n_params, self.dtype)
        self._params_t = aligned_zeros(self._layout.n_params_t, self.dtype)
        rng = np.random.default_rng(seed)
        for w, method in zip(self.weights, self._methods(), strict=True):
            w[:] = initial_weights(rng, method, *w.shape)

    @staticmethod
    def _check_activations(activation, n_hidden: int) -> tuple[str, ...]:
        names = [activation] * n_hidden if isinstance(activation, str) else list(activation)
        if isinstance(activation, str):
            _checks.check_name("activation", activation, ACTIVATIONS)
        if len(names) != n_hidden:
            raise ValueError(
                f"activation has {len(names)} names, but the network has {n_hidden} hidden layers."
            )
        return tuple(_checks.check_name("activation", name, ACTIVATIONS) for name in names)

    def _methods(self) -> list[str]:
        if self.init is not None:
            return [self.init] * (len(self.sizes) - 1)
        following = [*self.activations, self.output or "identity"]
        return ["he_normal" if name == "relu" else "glorot_uniform" for name in following]

    def __repr__(self) -> str:
        return (
            f"MLP({list(self.sizes)}, activation={list(self.activations)}, output={self.output!r}, "
            f"dtype={self.dtype.name!r})"
        )

    @property
    def n_params(self) -> int:
        """Number of weights and biases, padding not counted."""
        return sum(w.size + b.size for w, b in zip(self.weights, self.biases, strict=True))

    @property
    def weights(self) -> list[np.ndarray]:
        """Weights of each layer, (n_in, n_out), as views into `params`."""
        return [matrix[:-1] for matrix in self._layout.weights(self.params)]

    @property
    def biases(self) -> list[np.ndarray]:
        """Biases of each layer, (n_out,), as views into `params`."""
        return [matrix[-1] for matrix in self._layout.weights(self.params)]

    def _network(self) -> Network:
        """The network as the kernels see it."""
        return Network(self._layout.layers, self.params, self._params_t, OUTPUTS[self.output or "identity"])

    def predictor(self, *, n_threads: int | None = 1) -> Predictor:
        """A function of x that predicts at the least cost a call, for a row at a time or a service.

        Parameters
        ----------
        n_threads : int or None, default=1
            At most this many; None for all usable cores, where the work is large enough.

        Returns
        -------
        Predictor
            Called with x, it gives what :meth:`predict_raw` gives.
        """
        return Predictor(self, n_threads, n_rows=ROW_BLOCK * (1 if n_threads == 1 else usable_cores()))

    def predict_proba(self, x, *, n_threads: int | None = None) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        x : array-like of shape (n, n_in)
        n_threads : int, optional
            At most this many; all usable cores by default, fewer when the work is small.

        Returns
        -------
        ndarray of shape (n, n_classes), of the network's dtype
            Rows sum to 1 with a softmax output. A single sigmoid output gives two columns, those of
            classes 0 and 1; several give the probability of each label.

        Raises
        ------
        ValueError
            If x is not what the network takes, or its output is not a probability.
        """
        if self.output not in ("softmax", "sigmoid"):
            raise ValueError(
                f"predict_proba needs a softmax or sigmoid output, but the network has "
                f"{self.output or 'none yet: train it, or pass output= to MLP'}."
            )
        p = self.predict_raw(x, n_threads=n_threads)
        return np.hstack([1 - p, p]) if self.output == "sigmoid" and p.shape[1] == 1 else p

    def predict_raw(self, x, *, n_threads: int | None = None) -> np.ndarray:
        """The output layer's activations, of shape (n, n_out); arguments as in :meth:`predict_proba`."""
        x = _checks.check_x("x", x, self.sizes[0], self.dtype)
        return Predictor(self, n_threads, len(x))(x)

    def predict(self, x, *, n_threads: int | None = None) -> np.ndarray:
        """What the network says of each row; arguments as in :meth:`predict_proba`.

        Returns
        -------
        ndarray
            With a softmax output the most probable class, (n,); with a sigmoid output 0 or 1, (n,) or
            (n, n_out); otherwise the outputs themselves, (n,) or (n, n_out).
        """
        out = self.predict_raw(x, n_threads=n_threads)
        if self.output == "softmax":
            return out.argmax(axis=1)
        if self.output == "sigmoid":
            out = (out > 0.5).astype(np.int64)
        return out[:, 0] if out.shape[1] == 1 else out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, beside `path` first and then renamed.

        The file holds parameters, architecture and `metadata`; no code and no training data.

        Raises
        ------
        OSError
            If the file cannot be written; what stood at `path` before is then untouched.
        """
        architecture = {
            "sizes": self.sizes,
            "activations": self.activations,
            "output": self.output,
            "init": self.init,
            "dtype": self.dtype.name,
        }
        tensors = {}
        for depth, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            tensors[f"layers.{depth}.weight"] = np.ascontiguousarray(w)
            tensors[f"layers.{depth}.bias"] = np.ascontiguousarray(b)
        model_file.write(path, tensors, architecture, self.metadata)


def load(path: str | os.PathLike[str]) -> MLP:
    """Read a network that :meth:`MLP.save` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    MLP

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or no fastnn model, or of a newer format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> MLP([2, 3, 1], seed=0).save(folder / "model.safetensors")
    >>> load(folder / "model.safetensors").sizes
    (2, 3, 1)
    """
    architecture, metadata, tensors = model_file.read(path)
    with model_file.refusing(path):
        shapes = model_file.shapes(architecture["sizes"])
        model_file.check_tensors(tensors, shapes, architecture["dtype"])
        net = MLP(
            architecture["sizes"],
            architecture["activations"],
            output=architecture["output"],
            init=architecture["init"],
            dtype=architecture["dtype"],
            seed=0,
        )
    for depth, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        w[:] = tensors[f"layers.{depth}.weight"]
        b[:] = tensors[f"layers.{depth}.bias"]
    net.metadata = metadata
    return net
