"""The multilayer perceptron: its sizes, its parameters, prediction, and its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import _checks
from .._threads import usable_cores
from ..activations import Activation, as_activation
from ..kernels.activations import IDENTITY, OUTPUTS
from ..kernels.address import address_of
from ..kernels.hooks import sparse
from ..kernels.hooks.rows import NORMS, embed_rows, finish_rows, sum_up, unwind_rows
from ..kernels.sizes import ROW_BLOCK
from ..kernels.step import Data, Network, Optimizer, pointer_type, turn_type
from ..kernels.updates import SETTINGS
from . import files as model_file
from .layout import LayerSpec, Layout, aligned_zeros
from .predictor import Predictor, predict_sparse
from .summary import summary

_SCHEMES = {"glorot": 2.0, "he": 2.0, "lecun": 1.0}
INITIALIZATIONS = (
    *(f"{scheme}_{distribution}" for scheme in _SCHEMES for distribution in ("uniform", "normal")),
    "orthogonal",
    "zeros",
)


def initial_weights(rng: np.random.Generator, method: str, n_in: int, n_out: int) -> np.ndarray:
    """Draw an (n_in, n_out) float64 matrix.

    Glorot and Bengio (2010): variance 2 / (n_in + n_out); He et al. (2015): variance 2 / n_in, for ReLU,
    which lets half of it through; LeCun et al. (1998): variance 1 / n_in. Saxe et al. (2014): orthogonal rows
    or columns, whichever are fewer.

    Parameters
    ----------
    rng : numpy.random.Generator
    method : str
        "glorot", "he" or "lecun" with "_uniform" or "_normal"; "orthogonal"; "zeros".
    n_in, n_out : int

    Examples
    --------
    >>> initial_weights(np.random.default_rng(0), "he_normal", 3, 2).shape
    (3, 2)
    """
    if method == "zeros":
        return np.zeros((n_in, n_out))
    if method == "orthogonal":
        q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
        q *= np.sign(np.diag(r))  # else the distribution is not uniform (Mezzadri, 2007)
        return q if n_in >= n_out else q.T
    scheme, distribution = method.split("_")
    deviation = np.sqrt(_SCHEMES[scheme] / (n_in + n_out if scheme == "glorot" else n_in))
    if distribution == "normal":
        w = rng.standard_normal((n_in, n_out))
        w *= deviation  # in place: a copy would be the largest array of a whole training
        return w
    limit = np.sqrt(3.0) * deviation
    return rng.uniform(-limit, limit, (n_in, n_out))


def unlabelled(x: np.ndarray) -> Data:
    """Dense rows without labels, targets or indices, as the kernels take them."""
    return Data(
        x=_checks.writable_view(x),
        labels=np.empty((0, 0), np.int32),
        targets=np.empty((0, 0), x.dtype),
        indices=np.empty(0, np.int64),
        weights=np.empty(0, np.float64),
        starts=np.empty(0, np.int64),
        columns=np.empty(0, np.int32),
    )


def sparse_rows(x) -> Data:
    """The same of a CSR matrix; without a copy where its numbers are of the kernels' types."""
    starts = _checks.writable_view(x.indptr.astype(np.int64, copy=False))
    columns = _checks.writable_view(x.indices.astype(np.int32, copy=False))
    return unlabelled(x.data.reshape(1, -1))._replace(starts=starts, columns=columns)


class MLP:
    """A multilayer perceptron: dense layers with an activation each.

    Over CSR rows whose values are 1 / number of words, a first layer with the activation "identity" is an
    embedding bag: the mean of the words' vectors (fastText; Joulin et al., 2016).

    Parameters
    ----------
    sizes : sequence of int
        Width of every layer, from the number of features to the number of outputs.
    activation : str, Activation or sequence of them, default="relu"
        Of the hidden layers, one for all or one each: a name of ``fastnn.activations.NAMES`` or an
        :class:`Activation`, such as one of your own function.
    output : str, optional
        Activation of the output layer: "identity", "relu", "tanh", "sigmoid", "softmax" or "exp". Where it is
        left open, the loss that the network is first trained with chooses.
    init : str or sequence of array-like, optional
        How weights are drawn: "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
        "lecun_normal", "orthogonal" or "zeros"; or the weights themselves, (n_in, n_out) a layer. By default
        what suits the activation that follows: he_normal for ReLU and its kin, glorot_uniform for tanh and
        sigmoid. Biases start at 0.
    dropout : float in [0, 1) or sequence of float, default=0
        Share of a hidden layer's outputs set to 0 in training, one for all or one each.
    input_dropout : float in [0, 1), default=0
        The same of the features.
    norm : {"batch", "layer"}, None or sequence of them, default=None
        Normalisation before the activation of the hidden layers, with learned gain and shift.
    embeddings : dict, optional
        Of columns of x that hold categories, as numbers from 0 on: ``{column: (n_categories, width)}``. Each
        category has a learned vector of that width, which takes the column's place.
    residual : bool or sequence of bool, default=False
        Whether a hidden layer's input is added to its output; True for all means where both are as wide, and
        leaves out the first.
    dtype : {"float32", "float64"}, default="float32"
    seed : int or numpy.random.Generator, optional
        The same seed gives the same weights to the bit.

    Attributes
    ----------
    sizes, init, dtype, dropout, input_dropout, norm, residual, embeddings
        As given; dropout, norm and residual with one entry a hidden layer.
    activations : tuple of Activation
        One a hidden layer.
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
    >>> fastnn.MLP([4, 8, 8, 3], "gelu", norm="layer", dropout=[0.1, 0.2], residual=True).n_params
    171
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        output: str | None = None,
        init: str | Sequence[Any] | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        norm: str | Sequence[str | None] | None = None,
        residual: bool | Sequence[bool] = False,
        embeddings: Mapping[int, tuple[int, int]] | None = None,
        dtype: Any = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if isinstance(sizes, (str, int)) or not isinstance(sizes, Iterable):
            raise TypeError(f"sizes must be a sequence of integers, got {sizes!r}.")
        self.sizes = tuple(_checks.check_count(f"sizes[{i}]", n) for i, n in enumerate(sizes))
        if len(self.sizes) < 2:
            raise ValueError(f"sizes must name at least inputs and outputs, got {list(self.sizes)}.")
        self.activations = tuple(map(as_activation, self._one_each("activation", activation)))
        self.output = None if output is None else _checks.check_name("output", output, OUTPUTS)
        self.dropout = tuple(
            _checks.check_number("dropout", p, 0.0, 1.0) for p in self._one_each("dropout", dropout)
        )
        self.input_dropout = _checks.check_number("input_dropout", input_dropout, 0.0, 1.0)
        self.norm = tuple(
            None if kind is None else _checks.check_name("norm", kind, NORMS)
            for kind in self._one_each("norm", norm)
        )
        self.dtype = _checks.check_dtype(dtype)
        self.embeddings = self._check_embeddings({} if embeddings is None else embeddings)
        self.residual = self._check_residual(residual)
        self.metadata: dict[str, Any] = {}
        self.init = self._check_init(init)
        self._allocate()
        rng = np.random.default_rng(seed)
        for depth, w in enumerate(self.weights):
            method = self._method(depth)
            w[:] = initial_weights(rng, method, *w.shape) if isinstance(method, str) else method
        for name, array in self.parameters().items():
            place, _, kind = name.rpartition(".")
            if kind == "slope":
                array[:] = self.activations[int(place.split(".")[1])].alpha
            elif kind in ("gain", "running_variance"):
                array[:] = 1.0
            elif place.startswith("embeddings"):
                array[:] = rng.standard_normal(array.shape)

    def _one_each(self, name: str, value) -> list:
        """An argument that may be one for all hidden layers, or a sequence of one each."""
        n_hidden = len(self.sizes) - 2
        if isinstance(value, str) or not isinstance(value, Iterable):
            return [value] * n_hidden
        values = list(value)
        if len(values) != n_hidden:
            raise ValueError(
                f"{name} has {len(values)} entries, but the network has {n_hidden} hidden layers."
            )
        return values

    def _check_embeddings(self, embeddings) -> dict[int, tuple[int, int]]:
        if not isinstance(embeddings, Mapping):
            raise TypeError(
                f"embeddings must be a dict {{column: (n_categories, width)}}, got {embeddings!r}."
            )
        checked = {}
        most = 2 ** (np.finfo(self.dtype).nmant + 1)
        for column, pair in embeddings.items():
            name = f"embeddings[{column!r}]"
            if _checks.check_count("a column of embeddings", column, 0) >= self.sizes[0]:
                raise ValueError(f"embeddings has column {column}, but x has {self.sizes[0]} features.")
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"{name} must be a pair (n_categories, width), got {pair!r}.")
            checked[int(column)] = (_checks.check_count(name, pair[0]), _checks.check_count(name, pair[1]))
            if pair[0] > most:  # two categories would be one number
                raise ValueError(f"{name} has {pair[0]} categories, but {self.dtype} tells {most} apart.")
        return dict(sorted(checked.items()))

    @property
    def _widths(self) -> tuple[int, ...]:
        """As `sizes`, with what embeddings make of the features."""
        more = sum(width - 1 for _, width in self.embeddings.values())
        return (self.sizes[0] + more, *self.sizes[1:])

    def _check_residual(self, residual) -> tuple[bool, ...]:
        flags = list(map(bool, self._one_each("residual", residual)))
        equal = [n_in == n_out for n_in, n_out in pairwise(self._widths[:-1])]
        if not isinstance(residual, Iterable):
            return tuple(flag and same for flag, same in zip(flags, [False, *equal[1:]], strict=False))
        for k, (flag, same) in enumerate(zip(flags, equal, strict=True)):
            if flag and not same:
                raise ValueError(
                    f"residual[{k}] is True, but hidden layer {k} takes {self._widths[k]} values and gives "
                    f"{self.sizes[k + 1]}: expected as many."
                )
        return tuple(flags)

    def _check_init(self, init) -> str | tuple[np.ndarray, ...] | None:
        if init is None or isinstance(init, str):
            return init if init is None else _checks.check_name("init", init, INITIALIZATIONS)
        if not isinstance(init, Iterable):
            raise TypeError(f"init must be a name or a sequence of arrays, got {init!r}.")
        arrays = tuple(np.asarray(w, dtype=self.dtype) for w in init)
        shapes = list(pairwise(self._widths))
        if [w.shape for w in arrays] != shapes:
            raise ValueError(
                f"init has arrays of shapes {[w.shape for w in arrays]}, but the layers have {shapes}."
            )
        return arrays

    def _method(self, depth: int) -> str | np.ndarray:
        """How the weights of a layer are drawn, or what they are."""
        if isinstance(self.init, str):
            return self.init
        if self.init is not None:
            return self.init[depth]
        if depth < len(self.activations):
            return self.activations[depth].init
        return "he_normal" if self.output == "relu" else "glorot_uniform"

    def _allocate(self) -> None:
        """Lay out the parameters, all 0."""
        specs = [self._spec(depth) for depth in range(len(self.activations))] + [LayerSpec()]
        embeddings = [(column, *pair) for column, pair in self.embeddings.items()]
        self._layout = Layout(self._widths, specs, self.dtype, embeddings)
        self._layout.layers["input_dropout"][0] = self.input_dropout
        # Numeric features keep their order, and vectors follow.
        numeric = [column not in self.embeddings for column in range(self.sizes[0])]
        places = np.where(numeric, np.cumsum(numeric) - 1, -1)
        self._columns = places if self.embeddings else np.empty(0, np.int64)
        self.params = aligned_zeros(self._layout.n_params, self.dtype)
        self._params_t = aligned_zeros(self._layout.n_params_t, self.dtype)
        self._running = aligned_zeros(self._layout.n_running, self.dtype)
        self._hooks: dict[str, int] | None = None

    def _spec(self, depth: int) -> LayerSpec:
        activation, norm = self.activations[depth], NORMS.get(self.norm[depth] or "", 0)
        above = depth + 1 < len(self.residual) and self.residual[depth + 1]
        kept = bool(
            activation.code is None or norm or self.residual[depth] or self.dropout[depth] > 0 or above
        )
        return LayerSpec(
            activation=IDENTITY if kept or activation.code is None else activation.code,
            norm=norm,
            prelu=activation.name == "prelu" and not activation.is_own,
            residual=self.residual[depth],
            dropout=self.dropout[depth],
            alpha=activation.alpha or 0.0,
            kept=kept,
        )

    def __repr__(self) -> str:
        options = {
            "output": self.output,
            "dropout": self.dropout if any(self.dropout) else None,
            "input_dropout": self.input_dropout or None,
            "norm": self.norm if any(self.norm) else None,
            "residual": self.residual if any(self.residual) else None,
            "embeddings": self.embeddings or None,
        }
        given = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
        names = [activation.name for activation in self.activations]
        return f"MLP({list(self.sizes)}, activation={names}{given}, dtype={self.dtype.name!r})"

    def _repr_html_(self) -> str:
        from .._html import table
        from .summary import HEADER, rows

        return table(f"MLP, {self.dtype.name}", HEADER, rows(self), n_text=3)

    @property
    def n_params(self) -> int:
        """Number of parameters that training changes, padding not counted."""
        return sum(matrix.size for matrix in self._layout.weights(self.params))

    @property
    def weights(self) -> list[np.ndarray]:
        """Weights of each layer, (n_in, n_out), as views into `params`."""
        return self._split(self.params)[0]

    @property
    def biases(self) -> list[np.ndarray]:
        """Biases of each layer, (n_out,), as views into `params`."""
        return self._split(self.params)[1]

    def _split(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Views of a vector laid out as `params`: weights and biases of each layer."""
        matrices = self._layout.weights(flat)[: self._layout.n_layers]
        pairs = [(matrix[:n], matrix[n]) for matrix, n in zip(matrices, self._widths[:-1], strict=True)]
        return [w for w, _ in pairs], [b for _, b in pairs]

    def parameters(self) -> dict[str, np.ndarray]:
        """Views of all that the network has learnt, by name.

        Returns
        -------
        dict
            "layers.0.weight" and "layers.0.bias"; where there are such, "shift" and "gain" of a
            normalisation, "slope" of a prelu, "running_mean" and "running_variance" of a batch
            normalisation; "embeddings.3.weight", (n_categories, width), for an embedded column 3.
        """
        views: dict[str, np.ndarray] = {}
        widths = self._widths
        for depth, (matrix, layer) in enumerate(
            zip(self._layout.weights(self.params), self._layout.layers, strict=True)
        ):
            if layer["column"] >= 0:
                views[f"embeddings.{layer['column']}.weight"] = matrix
                continue
            n_in, n_out = widths[depth], widths[depth + 1]
            views[f"layers.{depth}.weight"] = matrix[:n_in]
            names = ["bias"] + ["shift", "gain"] * int(layer["norm"] > 0) + ["slope"] * int(layer["prelu"])
            for row, name in enumerate(names, n_in):
                views[f"layers.{depth}.{name}"] = matrix[row]
            if layer["norm"] == NORMS["batch"]:
                start, n_cols = 2 * layer["s_start"], layer["w_cols"]
                for row, name in enumerate(("running_mean", "running_variance")):
                    views[f"layers.{depth}.{name}"] = self._running[start + row * n_cols :][:n_out]
        return views

    def _network(self, seed: int = 0, sparse: bool = False) -> Network:
        """The network as the kernels see it, for dense or sparse rows; `seed` is that of dropout."""
        network = Network(
            layers=self._layout.layers,
            n_layers=self._layout.n_layers,
            columns=self._columns,
            params=self.params,
            params_t=self._params_t,
            output=OUTPUTS[self.output or "identity"],
            running=self._running,
            enter=0,
            finish=0,
            unwind=0,
            sum_up=0,
            sparse_forward=0,
            sparse_sort=0,
            sparse_gradient=0,
            sparse_update=0,
            together="batch" in self.norm,
            seed=seed,
        )
        if self._hooks is None:
            self._hooks = self._compile_hooks(network)
        if sparse and "sparse_forward" not in self._hooks:
            self._hooks |= self._compile_sparse_hooks(network)
        return network._replace(**self._hooks)  # type: ignore[arg-type]

    def _network_to_predict(self, sparse: bool = False) -> Network:
        """The same, where layers that differ from the core's in dropout only are the core's."""
        network = self._network(sparse=sparse)
        if not any(self.dropout):
            return network
        layers = network.layers.copy()
        for depth, activation in enumerate(self.activations):
            spec = self._spec(depth)
            if activation.code is not None and not (spec.norm or spec.residual):
                layers["kept"][depth], layers["activation"][depth] = 0, activation.code
        return network._replace(layers=layers)

    def _compile_hooks(self, network: Network) -> dict[str, int]:
        """Compile what the layers need beside the core, and note where it is."""
        layers, matrix = self._layout.layers, np.empty((0, 0), self.dtype)
        for layer, activation in zip(layers, self.activations, strict=False):
            if layer["kept"] and not layer["prelu"]:
                layer["function"] = address_of(activation.kernel, (matrix, matrix, 0.0, 0, 0, 0))
        turn, hooks = turn_type(network, self._layout.workspace(0, 0)), {}
        if self.embeddings:
            hooks["enter"] = address_of(embed_rows, (turn, matrix, np.empty(0, np.int64), 0, 0, 0))
        if layers["kept"].any() or self.input_dropout > 0:
            for name, hook in (("finish", finish_rows), ("unwind", unwind_rows)):
                hooks[name] = address_of(hook, (turn, 0, 0, 0))
        if hooks:
            hooks["sum_up"] = address_of(sum_up, (matrix, turn, 0, 0, 0, 0, 0))
        return hooks

    def _compile_sparse_hooks(self, network: Network) -> dict[str, int]:
        """The same of what sparse rows need."""
        matrix, vector = np.empty((0, 0), self.dtype), np.empty(0, self.dtype)
        numbers, table, settings = np.empty(0), np.empty((0, 0)), np.empty(0, SETTINGS)
        turn, data = turn_type(network, self._layout.workspace(0, 0)), pointer_type(unlabelled(matrix))
        states = vector, vector, vector
        sums = numbers, numbers
        optimizer = Optimizer(settings, numbers, table, table, *states, matrix, vector, vector, *sums)
        return {
            "sparse_forward": address_of(sparse.sparse_forward, (turn, data, 0, 0, 0)),
            "sparse_sort": address_of(sparse.sparse_sort, (turn, data, 0, 0, 0)),
            "sparse_gradient": address_of(sparse.sparse_gradient, (matrix, turn, 0, 0, 0, 0)),
            "sparse_update": address_of(sparse.sparse_update, (turn, optimizer, 0, 0.0, 0.0, 0, 0, 0, 0)),
        }

    def _row_flops(self, data: Data) -> float:
        """Floating-point operations of a row's products, of sparse rows on average."""
        n_weights, layer = self.params.size, self._layout.layers[0]
        if data.starts.size > 0:
            n_weights += (data.x.size / (data.starts.size - 1) - layer["n_in"]) * layer["w_cols"]
        return 2.0 * n_weights

    def __getstate__(self) -> dict[str, Any]:
        """Without padding, buffers and addresses, which hold in this process only."""
        layers = ("activations", "dropout", "norm", "residual")
        names = ("sizes", "output", "init", "input_dropout", "embeddings", *layers)
        state = {name: getattr(self, name) for name in (*names, "dtype", "metadata")}
        if not isinstance(self.init, str):
            state["init"] = None  # the arrays given are of no more use
        return state | {"parameters": {name: view.copy() for name, view in self.parameters().items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parameters = state.pop("parameters")
        self.__dict__.update(state)
        self._allocate()
        for name, view in self.parameters().items():
            view[:] = parameters[name]

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
        if _checks.is_sparse(x) and not self.embeddings:
            x = _checks.check_sparse("x", x, self.sizes[0], self.dtype)
            return predict_sparse(self, sparse_rows(x), n_threads)
        x = x.toarray() if _checks.is_sparse(x) else x
        return Predictor(self, n_threads, np.shape(x)[0] if np.ndim(x) else 1)(self._check_x("x", x))

    def layer_outputs(self, x) -> list[np.ndarray]:
        """What each layer makes of some rows, as in prediction: without dropout.

        Parameters
        ----------
        x : array-like of shape (n, n_in)

        Returns
        -------
        list of ndarray, shape (n, n_out) each, of the network's dtype
            One a layer: what it hands to the next, after normalisation, activation and residual connection.
            The last is what :meth:`predict_raw` gives.

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.

        Examples
        --------
        >>> [out.shape for out in MLP([4, 8, 3], seed=0).layer_outputs(np.zeros((5, 4)))]
        [(5, 8), (5, 3)]
        """
        x = self._check_x("x", x)
        predictor, layers = self.predictor(), self._layout.layers
        capacity, buffer = predictor.work.capacity, predictor.work.activations
        outputs = [np.empty((len(x), n_out), self.dtype) for n_out in self.sizes[1:]]
        for first in range(0, len(x), capacity):
            rows = x[first : first + capacity]
            predictor(rows)
            for out, layer in zip(outputs, layers, strict=False):
                start, n_cols = layer["out_start"] * capacity, layer["out_cols"]
                matrix = buffer[start:][: capacity * n_cols].reshape(capacity, n_cols)
                out[first : first + capacity] = matrix[: len(rows), : out.shape[1]]
        return outputs

    def _check_x(self, name: str, x) -> np.ndarray:
        """Features as the kernels take them, categories checked."""
        x = _checks.check_x(name, x, self.sizes[0], self.dtype)
        for column, (n_categories, _) in self.embeddings.items():
            _checks.check_categories(name, x[:, column], column, n_categories)
        return x

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

    def summary(self) -> str:
        """Layers, shapes, what follows each, parameters, memory, and FLOPs of a prediction: a table as text.

        Examples
        --------
        >>> print(MLP([4, 8, 3], "tanh", dropout=0.1, output="softmax", seed=0).summary())
        layer   shape   then                parameters   memory   FLOPs a row
        ─────────────────────────────────────────────────────────────────────
        0       4 → 8   tanh, dropout 0.1           40    160 B            64
        1       8 → 3   softmax                     27    108 B            48
        all                                         67    268 B           112
        Training with Adam takes 4 times the 268 B of the parameters, and 384 B a row of the batch;
        a step about 336 FLOPs a row.
        """
        return summary(self)

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
            "activation": [_entry(activation) for activation in self.activations],
            "output": self.output,
            "init": self.init if isinstance(self.init, str) else None,
            "dropout": self.dropout,
            "input_dropout": self.input_dropout,
            "norm": self.norm,
            "residual": self.residual,
            "embeddings": [(column, *pair) for column, pair in self.embeddings.items()],
            "dtype": self.dtype.name,
        }
        tensors = {name: np.ascontiguousarray(view) for name, view in self.parameters().items()}
        model_file.write(path, tensors, architecture, self.metadata)


def _entry(activation: Activation) -> tuple[str, float | None]:
    """An activation as a file names it."""
    if activation.is_own:
        raise ValueError(
            f"activation {activation.name!r} is a function of your own, which a file without code cannot "
            "hold: pickle the network instead."
        )
    return activation.name, activation.alpha


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
        activations = [Activation(name, alpha=alpha) for name, alpha in architecture["activation"]]
        slopes = [activation.name == "prelu" for activation in activations]
        embeddings = {column: (n, width) for column, n, width in architecture["embeddings"]}
        shapes = model_file.shapes(architecture["sizes"], architecture["norm"], slopes, embeddings)
        model_file.check_tensors(tensors, shapes, architecture["dtype"])
        net = MLP(**architecture | {"activation": activations, "embeddings": embeddings}, seed=0)
        for name, view in net.parameters().items():
            view[:] = tensors[name]
    net.metadata = metadata
    return net
