"""The multilayer perceptron: the object that users create, inspect, predict with and save."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _checks, _html
from .._threads import usable_cores
from ..activations import Activation
from ..kernels.activations import OUTPUTS
from ..kernels.sizes import ROW_BLOCK
from . import files
from .architecture import Architecture
from .compiled import CompiledNetwork
from .initial import initial_weights
from .inputs import as_data, check_dense, check_features
from .inside import Inside
from .predictor import Predictor, predict_sparse
from .slopes import Slopes
from .summary import HEADER, summary, table_rows


class MLP(Inside, Slopes):
    """A multilayer perceptron: dense layers, each with an activation.

    With CSR rows whose values are 1 / number of words, a first layer with the activation "identity" is an
    embedding bag: the mean of the words' vectors (fastText; Joulin et al., 2016).

    Parameters
    ----------
    sizes : sequence of int
        Width of every layer, from the number of features to the number of outputs.
    activation : str, Activation or sequence of them, default="relu"
        Activation of the hidden layers, one for all or one per layer: a name in ``fastnn.activations.NAMES``
        or an :class:`Activation`, such as one made from your own function.
    output : str, optional
        Activation of the output layer: "identity", "relu", "tanh", "sigmoid", "softmax" or "exp". If left
        out, the loss of the first training chooses it.
    init : str or sequence of array-like, optional
        Scheme that draws the weights: "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
        "lecun_uniform", "lecun_normal", "orthogonal" or "zeros"; or the weights themselves, (n_in, n_out) per
        layer. By default it depends on the activation that follows: he_normal for ReLU and its relatives,
        glorot_uniform for tanh and sigmoid. Biases start at 0.
    dropout : float in [0, 1) or sequence of float, default=0
        Share of a hidden layer's outputs that is set to 0 in training, one for all or one per layer.
    input_dropout : float in [0, 1), default=0
        Share of the features that is set to 0 in training.
    norm : {"batch", "layer"}, None or sequence of them, default=None
        Normalisation before the activation of the hidden layers, with learned gain and shift.
    residual : bool or sequence of bool, default=False
        Whether a hidden layer's input is added to its output. A single True means every layer but the first
        whose input and output have the same width.
    embeddings : dict, optional
        Columns of x that hold category numbers, from 0: ``{column: (n_categories, width)}``. Each
        category has a learned vector of that width, which takes the place of the column.
    dtype : {"float32", "float64"}, default="float32"
    seed : int or numpy.random.Generator, optional
        The same seed gives the same weights to the bit.

    Attributes
    ----------
    sizes, init, dtype, dropout, input_dropout, norm, residual, embeddings
        As given; dropout, norm and residual with one entry per hidden layer.
    activations : tuple of Activation
        One per hidden layer.
    output : str or None
    params : ndarray of shape (n,)
        All parameters, padding included, in one aligned vector.
    weights : list of ndarray, shape (n_in, n_out) each
        Views into `params`: writing to them changes the network.
    biases : list of ndarray, shape (n_out,) each
        Views into `params`, too.
    metadata : dict
        Anything that JSON can hold and that should be stored in the model's file.

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
    >>> fastnn.MLP([4, 8, 8, 3], "gelu", norm="layer", dropout=[0.1, 0.2], residual=True).n_params
    171
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        output: str | None = None,
        init: str | Sequence[ArrayLike] | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        norm: str | Sequence[str | None] | None = None,
        residual: bool | Sequence[bool] = False,
        embeddings: Mapping[int, tuple[int, int]] | None = None,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        rng = _checks.make_rng(seed)
        architecture = Architecture.check(
            sizes,
            activation,
            output=output,
            init=init,
            dropout=dropout,
            input_dropout=input_dropout,
            norm=norm,
            residual=residual,
            embeddings=embeddings,
            dtype=dtype,
        )
        self.metadata: dict[str, Any] = {}
        self.compiled_network = CompiledNetwork(architecture)
        self._draw_parameters(rng)

    def _draw_parameters(self, rng: np.random.Generator) -> None:
        architecture = self.compiled_network.architecture
        for depth, w in enumerate(self.weights):
            method = architecture.init_of(depth)
            w[:] = initial_weights(rng, method, *w.shape) if isinstance(method, str) else method
        for name, array in self.parameters().items():
            owner, _, kind = name.rpartition(".")
            if kind == "slope":
                array[:] = architecture.activations[int(owner.split(".")[1])].alpha
            elif kind in ("gain", "running_variance"):
                array[:] = 1.0
            elif owner.startswith("embeddings"):
                array[:] = rng.standard_normal(array.shape)

    # --- properties -----------------------------------------------------------------------------------

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of every layer, from the number of features to the number of outputs."""
        return self.compiled_network.architecture.sizes

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Activation of each hidden layer."""
        return self.compiled_network.architecture.activations

    @property
    def init(self) -> str | tuple[np.ndarray, ...] | None:
        """Scheme that drew the weights, or the weights that were given."""
        return self.compiled_network.architecture.init

    @property
    def dropout(self) -> tuple[float, ...]:
        """Dropout of each hidden layer."""
        return self.compiled_network.architecture.dropout

    @property
    def input_dropout(self) -> float:
        """Dropout of the features."""
        return self.compiled_network.architecture.input_dropout

    @property
    def norm(self) -> tuple[str | None, ...]:
        """Normalisation of each hidden layer."""
        return self.compiled_network.architecture.norm

    @property
    def residual(self) -> tuple[bool, ...]:
        """Flag for each hidden layer: True if it has a residual connection."""
        return self.compiled_network.architecture.residual

    @property
    def embeddings(self) -> dict[int, tuple[int, int]]:
        """Number of categories and width of the vectors, by embedded column."""
        return self.compiled_network.architecture.embeddings

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of parameters and outputs: float32 or float64."""
        return self.compiled_network.architecture.dtype

    @property
    def output(self) -> str | None:
        """Activation of the output layer; None until a loss chooses it."""
        return self.compiled_network.architecture.output

    @output.setter
    def output(self, output: str) -> None:
        name = _checks.check_name("output", output, OUTPUTS)
        self.compiled_network.architecture = replace(self.compiled_network.architecture, output=name)

    @property
    def params(self) -> np.ndarray:
        """All parameters, padding included, in one aligned vector of shape (n,)."""
        return self.compiled_network.params

    @property
    def n_params(self) -> int:
        """Number of parameters that training changes, padding not counted."""
        return sum(self.compiled_network.layout.n_learnt().values())

    @property
    def weights(self) -> list[np.ndarray]:
        """Weights of each layer, (n_in, n_out), as views into `params`."""
        return self.compiled_network.split(self.params)[0]

    @property
    def biases(self) -> list[np.ndarray]:
        """Biases of each layer, (n_out,), as views into `params`."""
        return self.compiled_network.split(self.params)[1]

    def parameters(self) -> dict[str, np.ndarray]:
        """Return views of everything the network has learnt, by name.

        Returns
        -------
        dict
            "layers.0.weight" and "layers.0.bias"; where they exist, "shift" and "gain" of a
            normalisation, "slope" of a prelu, "running_mean" and "running_variance" of a batch
            normalisation; "embeddings.3.weight", (n_categories, width), for an embedded column 3.
        """
        return self.compiled_network.parameters()

    def summary(self) -> str:
        """Describe layers, shapes, parameters, memory and FLOPs of a prediction in a table of text.

        Returns
        -------
        str

        Examples
        --------
        >>> print(MLP([4, 8, 3], "tanh", dropout=0.1, output="softmax", seed=0).summary())
        layer   shape   then                parameters   memory   FLOPs a row
        ─────────────────────────────────────────────────────────────────────
        0       4 → 8   tanh, dropout 0.1           40    160 B            64
        1       8 → 3   softmax                     27    108 B            48
        all                                         67    268 B           112
        Training with Adam takes about 5 times the 268 B of the parameters, and
        448 B per row of the batch; a step about 336 FLOPs per row.
        """
        return summary(self.compiled_network.architecture, self.compiled_network.layout)

    def __copy__(self) -> MLP:
        """Copy the network with parameters of its own."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return repr(self.compiled_network.architecture)

    def _repr_html_(self) -> str:
        rows = table_rows(self.compiled_network.architecture, self.compiled_network.layout)
        return _html.table(f"MLP, {self.dtype.name}", HEADER, rows, n_text=3)

    # --- prediction -----------------------------------------------------------------------------------

    def predictor(self, *, n_threads: int | None = 1) -> Predictor:
        """Return a function of x that predicts at the lowest cost per call, for single rows or a service.

        Parameters
        ----------
        n_threads : int or None, default=1
            Largest number of threads; None for all usable cores. Small work takes fewer.

        Returns
        -------
        Predictor
            Called with x, it returns what :meth:`predict_raw` returns.
        """
        n_threads = _checks.check_optional_count("n_threads", n_threads)
        n_rows = ROW_BLOCK * (1 if n_threads == 1 else usable_cores())
        return Predictor(self.compiled_network, n_threads, n_rows)

    def predict_proba(self, x: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Compute the probabilities of the classes.

        Parameters
        ----------
        x : array-like or sparse matrix of shape (n, n_in)
        n_threads : int, optional
            Largest number of threads; all usable cores by default, fewer when the work is small.

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

    def predict_raw(self, x: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Compute the activations of the output layer; arguments as in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n, n_out), of the network's dtype

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.
        """
        if self.embeddings and hasattr(x, "toarray"):
            x = x.toarray()
        checked = check_features("x", x, self.compiled_network.architecture, min_rows=0)
        if _checks.is_sparse(checked):
            return predict_sparse(self.compiled_network, as_data(checked), n_threads)
        return Predictor(self.compiled_network, n_threads, len(checked))(checked)

    def layer_outputs(self, x: ArrayLike) -> list[np.ndarray]:
        """Compute the outputs of every layer, without dropout.

        Parameters
        ----------
        x : array-like of shape (n, n_in)

        Returns
        -------
        list of ndarray, shape (n, n_out) each, of the network's dtype
            One per layer: what the next layer gets, after normalisation, activation and residual connection.
            The last is the result of :meth:`predict_raw`.

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.

        Examples
        --------
        >>> [out.shape for out in MLP([4, 8, 3], seed=0).layer_outputs(np.zeros((5, 4)))]
        [(5, 8), (5, 3)]
        """
        rows = check_dense("x", x, self.compiled_network.architecture, min_rows=0)
        predictor, layout = self.predictor(), self.compiled_network.layout
        outputs = [np.empty((len(rows), n_out), self.dtype) for n_out in self.sizes[1:]]
        for first in range(0, len(rows), ROW_BLOCK):
            block = np.s_[first : first + ROW_BLOCK]
            outputs[-1][block] = predictor(rows[block])
            for out, hidden in zip(outputs[:-1], layout.hidden_outputs(predictor.work), strict=True):
                out[block] = hidden[: len(rows[block])]
        return outputs

    def predict(self, x: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Predict the class or the values of each row; arguments as in :meth:`predict_proba`.

        Returns
        -------
        ndarray
            With a softmax output the most probable class, (n,); with a sigmoid output 0 or 1, (n,) or
            (n, n_out); otherwise the outputs themselves, (n,) or (n, n_out).

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.
        """
        out = self.predict_raw(x, n_threads=n_threads)
        if self.output == "softmax":
            return out.argmax(axis=1)
        if self.output == "sigmoid":
            out = (out > 0.5).astype(np.int64)
        return out[:, 0] if out.shape[1] == 1 else out

    # --- model file -------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, under a temporary name first.

        The file holds parameters, architecture and `metadata`; no code and no training data.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        ValueError
            If an activation is a function of the user's own.
        OSError
            If the file cannot be written; an existing file at `path` then stays as it was.
        """
        write_network(path, self, self.metadata)


def write_network(path: str | os.PathLike[str], net: MLP, metadata: dict[str, Any]) -> None:
    """Write a network with some metadata, as :meth:`MLP.save` does with its own."""
    tensors = {name: np.ascontiguousarray(view) for name, view in net.parameters().items()}
    files.write(path, tensors, net.compiled_network.architecture.to_json(), metadata)


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
        If it is damaged, not a fastnn model, or of another format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> MLP([2, 3, 1], seed=0).save(folder / "model.safetensors")
    >>> load(folder / "model.safetensors").sizes
    (2, 3, 1)
    """
    header, metadata, tensors = files.read(path)
    with files.refusing(path):
        architecture = Architecture.from_json(header)
        # Checked before anything of that size is allocated.
        files.check_tensors(tensors, architecture.make_layout().named_shapes(), architecture.dtype)
        net = MLP.__new__(MLP)
        net.metadata, net.compiled_network = metadata, CompiledNetwork(architecture)
        for name, view in net.parameters().items():
            view[:] = tensors[name]
    return net
