"""The training loop: epochs, batches, validation, stopping."""

from __future__ import annotations

import contextlib
import functools
import re
import time
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._jit import compile_seconds
from .._threads import Pace, at_work, launch, parts_for
from ..data.streams.stream import Stream, read_ahead
from ..history import Epoch, History
from ..kernels import step as kernels
from ..kernels.address import address_of
from ..kernels.batches import shuffle
from ..kernels.hooks.after import after_update
from ..kernels.sizes import PARALLEL_CALL_FLOPS, ROW_BLOCK, TILE_ROWS
from ..kernels.team import new_team, run_parts
from ..kernels.updates import N_RATES, SETTINGS, Terms
from ..losses import Loss, as_loss
from ..metrics import Metric, as_metric
from ..network.layout import aligned_zeros
from ..network.mlp import MLP, sparse_rows, unlabelled
from ..optimizers import LBFGS, SGD, Optimizer, as_optimizer
from ..schedules import Schedule, as_schedule
from . import progress
from .averages import EMA, SWA
from .callbacks import Batch, CallbackList
from .checkpoint import Checkpoint, Clock
from .interrupts import held_back
from .stopping import MONITORS, Best, EarlyStopping


def _n_loaded() -> int:
    """How many compiled forms of what a training step calls this process has."""
    return sum(len(getattr(kernel, "overloads", ())) for kernel in (kernels.train_part, run_parts))


class DivergenceError(ArithmeticError, ValueError):
    """Training was stopped because the cost became NaN or infinite."""


# What a training that goes on from a checkpoint must have been given again.
_SETTINGS = (
    *("net", "loss", "optimizer", "schedule", "batch_size", "l1", "l2", "clip_value", "clip_norm"),
    *("accumulate", "max_norm", "rate_factors", "average", "class_weight", "shuffle", "lazy"),
)


@dataclass(frozen=True)
class _Rows:
    """Checked rows as the kernels take them, and their features as they are predicted from."""

    data: kernels.Data
    x: Any

    @property
    def n(self) -> int:
        return self.data.indices.size or self.x.shape[0]

    @property
    def weights(self) -> np.ndarray | None:
        """Of the rows, in their order; None where all weigh the same."""
        weights, indices = self.data.weights, self.data.indices
        return None if not weights.size else weights[indices] if indices.size else weights

    def pick(self, array):
        """The rows' part of an array of all rows, in their order."""
        return array[self.data.indices] if self.data.indices.size else array

    def only(self) -> _Rows:
        """The same as rows of their own, in their order, without indices."""
        data, x = self.data, self.pick(self.x)
        picked = unlabelled(x) if data.starts.size == 0 else sparse_rows(x)
        return _Rows(
            picked._replace(
                labels=self.pick(data.labels) if data.labels.size else data.labels,
                targets=self.pick(data.targets) if data.targets.size else data.targets,
                weights=np.empty(0) if self.weights is None else self.weights,
            ),
            x,
        )

    @functools.cached_property
    def spread(self) -> float:
        """What a squared error is measured against: that of predicting the mean of the targets."""
        targets, weights = self.pick(self.data.targets), self.weights
        mean = np.average(targets, axis=0, weights=weights).astype(np.float64)
        squares = ((targets - mean) ** 2).sum(axis=1)
        return float(squares.sum() if weights is None else weights @ squares) / targets.shape[1]


class _Spread:
    """What :attr:`_Rows.spread` is, of rows that come in blocks (Chan, Golub and LeVeque, 1979)."""

    def __init__(self, n_targets: int) -> None:
        self.sums = np.zeros((3, n_targets))  # of weights; the mean; the squared distances from it

    @staticmethod
    def of_block(rows: _Rows) -> np.ndarray:
        """The same three of one block."""
        targets, weights = rows.pick(rows.data.targets), rows.weights
        weights = np.ones(rows.n) if weights is None else weights
        if targets.size == 0 or not weights.any():
            return np.zeros((3, 1))
        mean = np.average(targets, axis=0, weights=weights).astype(np.float64)
        return np.array([np.full(len(mean), weights.sum()), mean, weights @ (targets - mean) ** 2])

    def add(self, block: np.ndarray) -> None:
        """Take in another block."""
        total = self.sums[0] + block[0]
        if total.any():
            apart, share = block[1] - self.sums[1], block[0] / total
            self.sums[2] += block[2] + apart**2 * self.sums[0] * share
            self.sums[1] += apart * share
            self.sums[0] = total

    @property
    def spread(self) -> float:
        return float(self.sums[2].sum()) / self.sums.shape[1]


class Trainer:
    """Trains a network by mini-batch gradient descent.

    Parameters
    ----------
    net : MLP
        Changed in place.
    loss : str, Loss or callable
        A name of :class:`fastnn.Loss`, which tells what targets go with it, such as "cross_entropy" (class
        numbers), "binary_cross_entropy" (0 and 1, for one output or several), "mse"; or a function of your
        own ``loss(a, y)`` of two numbers.
    optimizer : str or optimiser, default="adam"
        "sgd", "rmsprop", "adagrad", "adadelta", "adam", "amsgrad", "adamw", "nadam", "radam", "lion",
        "lbfgs", or an object such as ``fastnn.Adam(lr=1e-3)``.
    schedule : str, schedule or callable, optional
        Of the learning rate: see :mod:`fastnn.schedules`.
    batch_size : int or None, default=32
        None for all rows at once. The last batch of an epoch may be smaller.
    l1, l2 : float, default=0.0
        ``(l2 / 2 * sum(w ** 2) + l1 * sum(abs(w))) / n`` is added to the cost of a batch of n rows; biases
        are left out.
    clip_value : float, optional
        Every element of the gradient is clipped to this size.
    clip_norm : float, optional
        The gradient as a whole is scaled down to this norm.
    accumulate : int, default=1
        An update for every so many batches: the same as batches as many times larger, in less memory.
    max_norm : float, optional
        After every update the weights into each unit are scaled down to this norm.
    rate_factors : dict, optional
        Factors on the learning rate: of a layer by its number (0 is the first, -1 the last), of all biases,
        gains, shifts and slopes by "bias", of embeddings by "embeddings". 0 leaves them as they are.
    average : EMA or SWA, optional
        Validate with, and end with, an average of the weights; training goes on with the weights themselves.
        The running statistics of a batch normalisation stay those of the latter.
    class_weight : dict, "balanced" or None, default=None
        Weight of the rows of each class, by number; "balanced" is ``n / (n_classes * count)``.
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new order.
    lazy : bool, default=False
        For sparse rows: weights of features that a batch lacks stay as they are in its update, and so do
        their moments; penalty and decay do not touch them. With many features far less memory is moved; the
        result is another one (PyTorch's SparseAdam). Plain "sgd", where such a weight has no reason to move,
        skips it anyway.
    seed : int or numpy.random.Generator, optional
        Of the order of the rows and of dropout. The same seed gives the same weights to the bit, for any
        n_threads.
    n_threads : int, optional
        At most this many; all usable cores by default, fewer when the work is small.

    Attributes
    ----------
    history : History
        Of all calls of :meth:`fit`.
    lr : float
        The optimiser's learning rate, from which the schedule starts; may be set.
    n_rows : int
        Rows that the last call of fit trained on, those held out not counted.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> net = fastnn.MLP([2, 8, 2], activation="tanh", seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=None, seed=0)
    >>> history = trainer.fit(x, np.array([0, 1, 1, 0]), epochs=500, verbose=0)
    >>> net.predict(x)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        net: MLP,
        *,
        loss: str | Loss | Callable[[float, float], float],
        optimizer: str | Optimizer = "adam",
        schedule: str | Schedule | Callable[[float, float], float] | None = None,
        batch_size: int | None = 32,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        max_norm: float | None = None,
        rate_factors: Mapping[int | str, float] | None = None,
        average: EMA | SWA | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        shuffle: bool = True,
        lazy: bool = False,
        seed: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        if not isinstance(net, MLP):
            raise TypeError(f"net must be a fastnn.MLP, got {type(net).__name__}.")
        self.net = net
        self.loss = as_loss(loss)
        self.optimizer = as_optimizer(optimizer)
        self.schedule = as_schedule(schedule)
        self.batch_size = None if batch_size is None else _checks.check_count("batch_size", batch_size)
        self.l1 = _checks.check_number("l1", l1, 0.0)
        self.l2 = _checks.check_number("l2", l2, 0.0)
        self.clip_value = _checks.check_limit("clip_value", clip_value)
        self.clip_norm = _checks.check_limit("clip_norm", clip_norm)
        self.max_norm = _checks.check_limit("max_norm", max_norm)
        self.accumulate = _checks.check_count("accumulate", accumulate)
        if not isinstance(rate_factors, (Mapping, type(None))):
            raise TypeError(f"rate_factors must be a dict of factors by layer, got {rate_factors!r}.")
        self.rate_factors = dict(rate_factors or {})
        if average is not None and not isinstance(average, (EMA, SWA)):
            raise TypeError(f"average must be fastnn.EMA(...) or fastnn.SWA(...), got {average!r}.")
        self.average = average
        self.class_weight = self._check_class_weight(class_weight)
        self.shuffle = bool(shuffle)
        self.lazy = bool(lazy)
        self.n_threads = None if n_threads is None else _checks.check_count("n_threads", n_threads)
        self._rng = np.random.default_rng(seed)
        self._choose_output()
        self._check_lbfgs()
        self._check_lazy()
        self.lr = getattr(self.optimizer, "lr", 1.0)
        self.history = History("r2" if self.loss.is_regression else "accuracy")
        self.n_rows = 0
        # Drawn only where it is of use: the order of the rows is that of a network without dropout.
        drops = net.input_dropout > 0 or any(net.dropout)
        self._dropout_seed = int(self._rng.integers(2**63)) if drops else 0
        self._batches = self._updates = self._seen = 0
        self._schedule_state: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._work: kernels.Workspace | None = None
        self._pace: tuple[int, Pace] | None = None
        # While training goes on, the average is kept here; in between it is in the network, and the
        # weights that training goes on with are here.
        self._other = np.empty(0, net.dtype)
        self._n_averaged = 0
        self._objective = self._make_objective()
        self._state = self._make_state()

    @property
    def lr(self) -> float:
        """The optimiser's learning rate, from which the schedule starts; may be set."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = _checks.check_number("lr", lr, 0.0)

    def __getstate__(self) -> dict[str, Any]:
        """Without addresses and buffers, which hold in this process only."""
        moments = {name: getattr(self._state, name) for name in ("m", "v", "u")}
        of_process = {"_objective": None, "_state": moments, "_work": None, "_pace": None}
        return self.__dict__ | of_process

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._objective, self._state = self._make_objective(), self._make_state()
        for name, kept in state["_state"].items():
            getattr(self._state, name)[:] = kept

    # --- what the kernels get -----------------------------------------------------------------------

    def _check_class_weight(self, class_weight):
        if class_weight is None:
            return None
        if self.loss.kind not in ("class", "labels") or (
            self.loss.kind == "labels" and self.net.sizes[-1] > 1
        ):
            raise ValueError(
                f"class_weight needs one class a row, but loss {self.loss.name!r} is not of that kind."
            )
        if isinstance(class_weight, str):
            return _checks.check_name("class_weight", class_weight, ["balanced"])
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                f"class_weight must be 'balanced' or a dict of weights by class, got {class_weight!r}."
            )
        n_classes = max(2, self.net.sizes[-1])
        for label, weight in class_weight.items():
            if _checks.check_count("a class of class_weight", label, 0) >= n_classes:
                raise ValueError(
                    f"class_weight names class {label}, but the classes are 0 to {n_classes - 1}."
                )
            _checks.check_number(f"class_weight[{label}]", weight, 0.0)
        return dict(class_weight)

    def _choose_output(self) -> None:
        """Settle the network's output activation with the loss."""
        net, wanted, name = self.net, self.loss.output, self.loss.name
        self.loss.n_targets(net.sizes[-1])
        if wanted is None:
            if net.output == "softmax":
                raise ValueError(
                    f"loss {name!r} does not go with a softmax output: use loss='cross_entropy'."
                )
            net.output = net.output or "identity"
        elif net.output not in (None, wanted):
            raise ValueError(f"loss {name!r} needs output={wanted!r}, but the network has {net.output!r}.")
        else:
            net.output = wanted

    def _check_lbfgs(self) -> None:
        """Refuse what does not go with one deterministic, smooth cost of all rows."""
        if not isinstance(self.optimizer, LBFGS):
            return
        net = self.net
        for what, given in {
            "dropout": any(net.dropout) or net.input_dropout,
            "batch normalisation": "batch" in net.norm,
            "l1": self.l1,
            "clip_value": self.clip_value,
            "clip_norm": self.clip_norm,
            "accumulate": self.accumulate > 1,
            "max_norm": self.max_norm,
            "rate_factors": self.rate_factors,
            "average": self.average,
            "a schedule": self.schedule != as_schedule(None),
        }.items():
            if given:
                raise ValueError(f"optimizer 'lbfgs' does not go with {what}.")

    def _check_lazy(self) -> None:
        """Refuse what needs the whole gradient, or moves all weights."""
        for what, given in {
            "optimizer 'lbfgs'": isinstance(self.optimizer, LBFGS),
            "clip_norm": self.clip_norm,
            "accumulate": self.accumulate > 1,
            "max_norm": self.max_norm,
            "embeddings, which need dense rows": self.net.embeddings,
        }.items():
            if self.lazy and given:
                raise ValueError(f"lazy does not go with {what}.")

    @property
    def _skips(self) -> bool:
        """Whether weights without a gradient are skipped: they would not move, or shall not."""
        optimizer = self.optimizer
        plain = isinstance(optimizer, SGD) and optimizer.momentum == optimizer.weight_decay == 0
        whole = self.clip_norm is not None or self.accumulate > 1
        return self.lazy or (plain and self.l1 == self.l2 == 0 and not whole)

    def _factors(self) -> np.ndarray:
        """Factors on the learning rate: of the weights of each layer, and of the rest."""
        n_layers = len(self.net.sizes) - 1
        factors = np.ones((len(self.net._layout.layers), 2))
        for key, value in self.rate_factors.items():
            factor = _checks.check_number(f"rate_factors[{key!r}]", value, 0.0)
            if key == "bias":
                factors[:, 1] *= factor
            elif key == "embeddings":
                factors[n_layers:] *= factor
            elif isinstance(key, (int, np.integer)) and -n_layers <= key < n_layers:
                factors[key % n_layers] *= factor
            else:
                raise ValueError(
                    f"rate_factors has the key {key!r}: expected 'bias', 'embeddings' or a layer from "
                    f"{-n_layers} to {n_layers - 1}."
                )
        return factors

    def _make_objective(self) -> kernels.Objective:
        loss, address = self.loss, 0
        if loss.kernel is not None:
            rows, matrix = np.empty(0), np.empty((0, 0), self.net.dtype)
            like = (rows, rows, matrix, matrix, matrix, rows, 1.0, 1.0, 0, 0, 0, 0)
            address = address_of(loss.kernel, like)
        return kernels.Objective(max(loss.code, 0), loss.scale, address, loss.numbers)

    def _make_state(self) -> kernels.Optimizer:
        """Settings and buffers of the update, as the kernels take them."""
        net, optimizer, layout = self.net, self.optimizer, self.net._layout
        n_params = net.params.size
        gradient_only = isinstance(optimizer, LBFGS)
        n_states = 0 if gradient_only else optimizer.n_states
        factors = self._factors()
        record = np.zeros(1, dtype=SETTINGS)
        record["l1"], record["l2"], record["every"] = self.l1, self.l2, self.accumulate
        record["limit"] = np.inf if self.clip_value is None else self.clip_value
        record["clip_norm"], record["max_norm"] = self.clip_norm or 0.0, self.max_norm or 0.0
        record["decay"] = getattr(optimizer, "weight_decay", 0.0)
        record["skip"] = self._skips
        record["keep"] = self.average.decay if isinstance(self.average, EMA) else 0.0
        of_core = optimizer.core_kind is not None and self.l1 == 0 and self.clip_value is None
        if of_core and (factors == 1).all():
            record["kind"] = optimizer.core_kind
            for name in ("nesterov", "momentum", "beta1", "beta2", "eps"):
                record[name] = getattr(optimizer, name, 0)
        elif not gradient_only:
            record["update"] = self._address_of_update()
        whole = self.clip_norm is not None or self.accumulate > 1
        state = kernels.Optimizer(
            settings=record,
            constants=np.empty(0) if gradient_only else optimizer.constants(),
            rates=np.zeros((1, N_RATES)),
            factors=factors,
            m=aligned_zeros(n_params if n_states > 0 else 0, net.dtype),
            v=aligned_zeros(n_params if n_states > 1 else 0, net.dtype),
            u=aligned_zeros(n_params if n_states > 2 else 0, net.dtype),
            grad=aligned_zeros((parts_for(self.n_threads, 0, 0, n_params), layout.n_block), net.dtype),
            whole=aligned_zeros(n_params if whole else 0, net.dtype),
            average=aligned_zeros(0, net.dtype),
            penalty=aligned_zeros(layout.n_sums, np.float64),
            norms=aligned_zeros(layout.n_sums if self.clip_norm else 0, np.float64),
        )
        if self.max_norm is not None or isinstance(self.average, EMA):
            turn = kernels.turn_type(net._network(), layout.workspace(0, 0))
            record["after"] = address_of(after_update, (turn, state))
        return state

    def _address_of_update(self) -> int:
        vector, matrix = np.empty(0), np.empty((0, 0), self.net.dtype)
        # A tuple of the dtype's own scalars: to numba other types than Python's floats.
        terms = Terms(*(self.net.dtype.type(0) for _ in Terms._fields))
        like = (*[matrix] * 5, vector, vector, terms, 0, 0, 0, 0)
        return address_of(self.optimizer.kernel, like)

    def _reserve(self, capacity: int, data: kernels.Data) -> kernels.Workspace:
        """The workspace for batches of such rows, made anew only where another one is needed."""
        work, n_entries = self._work, None
        if data.starts.size > 0:  # as many as the longest rows have
            lengths = np.sort(np.diff(data.starts))
            n_entries = int(lengths[-capacity:].sum())
        is_sparse = work is not None and work.counts.size > 0
        if (
            work is None
            or work.capacity < capacity
            or is_sparse != (n_entries is not None)
            or work.entries.shape[1] < (n_entries or 0)
        ):
            n_targets, n_parts = data.labels.shape[1] + data.targets.shape[1], self._state.grad.shape[0]
            work = self._work = self.net._layout.workspace(
                capacity, n_targets, n_entries=n_entries, n_parts=n_parts
            )
        return work

    # --- data ---------------------------------------------------------------------------------------

    def _check_rows(self, x, y, sample_weight=None, *, names=("x", "y", "sample_weight")) -> _Rows:
        """Rows with their labels or targets and weights, checked, contiguous."""
        net = self.net
        x_name, y_name, weight_name = names
        if _checks.is_sparse(x):
            if net.embeddings:
                raise ValueError(
                    f"{x_name} is sparse, but the network embeds columns: pass {x_name}.toarray()."
                )
            x = _checks.check_sparse(x_name, x, net.sizes[0], net.dtype)
            data = sparse_rows(x)
        else:
            x = net._check_x(x_name, x)
            data = unlabelled(x)
        if y is None:
            raise TypeError(f"{y_name} is missing: only a stream brings its own.")
        n_rows = x.shape[0]
        _checks.check_lengths(x_name, n_rows, y_name, np.shape(y)[0] if np.ndim(y) else 0)
        targets = _checks.writable_view(self.loss.check_targets(y_name, y, net.sizes[-1], net.dtype))
        if self.loss.kind in ("class", "labels"):
            data = data._replace(labels=targets)
        else:
            data = data._replace(targets=targets)
        if sample_weight is not None:
            weights = _checks.check_weights(weight_name, sample_weight, n_rows)
            data = data._replace(weights=_checks.writable_view(weights))
        return _Rows(data, x)

    def _check_data(self, x, y, sample_weight=None) -> kernels.Data:
        return self._check_rows(x, y, sample_weight).data

    def _weigh_classes(self, rows: _Rows, counts: np.ndarray | None = None) -> _Rows:
        """Rows whose weights are multiplied by those of their classes; there are so many rows of each."""
        if self.class_weight is None:
            return rows
        labels = rows.data.labels[:, 0]
        n_classes = max(2, self.net.sizes[-1])
        if self.class_weight == "balanced":
            if counts is None:
                counts = np.bincount(labels, minlength=n_classes)
            of_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        else:
            of_class = np.array([self.class_weight.get(label, 1.0) for label in range(n_classes)], np.float64)
        weights = of_class[labels] * (rows.data.weights if rows.data.weights.size else 1.0)
        return _Rows(rows.data._replace(weights=weights), rows.x)

    def _split(
        self, rows: _Rows, validation_data, validation_fraction: float | None
    ) -> tuple[_Rows, _Rows | Stream | None]:
        """Rows to train on, by index, and those to validate on."""
        data = rows.data
        everything = np.arange(rows.n)
        if validation_data is not None:
            if validation_fraction is not None:
                raise ValueError("give validation_data or validation_fraction, not both.")
            return _Rows(data._replace(indices=everything), rows.x), self._check_held_out(validation_data)
        if validation_fraction is None:
            return _Rows(data._replace(indices=everything), rows.x), None
        _checks.check_number("validation_fraction", validation_fraction, 0.0, 1.0, open_low=True)
        split = _checks.require("sklearn.model_selection", "sklearn").train_test_split
        one_label = data.labels.shape[1] == 1
        train, validation = split(
            everything,
            test_size=validation_fraction,
            random_state=int(self._rng.integers(2**31)),
            stratify=data.labels if one_label else None,
        )
        return (
            _Rows(data._replace(indices=train), rows.x),
            _Rows(data._replace(indices=validation), rows.x),
        )

    def _check_held_out(self, validation_data) -> _Rows | Stream:
        """Rows to validate on that came as such."""
        if isinstance(validation_data, Stream):
            self._check_stream("validation_data", validation_data)
            return validation_data
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise TypeError(
                "validation_data must be a tuple (x_val, y_val) or (x_val, y_val, weight_val), or a Stream."
            )
        x_val, y_val, *weight_val = validation_data
        return self._check_rows(x_val, y_val, *weight_val, names=("x_val", "y_val", "weight_val"))

    # --- data that is larger than memory ------------------------------------------------------------

    def _check_stream(self, name: str, stream: Stream) -> None:
        if stream.n_rows < 1:
            raise ValueError(f"{name} is empty: expected at least one row.")
        if stream.n_features != self.net.sizes[0]:
            raise ValueError(
                f"{name} has {stream.n_features} features, but the network takes {self.net.sizes[0]}."
            )

    def _check_stream_to_train(self, stream: Stream, y, sample_weight, validation_fraction) -> None:
        """Refuse what does not go with rows that come block by block."""
        self._check_stream("x", stream)
        for name, given in {"y": y, "sample_weight": sample_weight}.items():
            if given is not None:
                raise ValueError(f"x is a stream, which brings its own {name}: expected {name}=None.")
        if validation_fraction is not None:
            raise ValueError(
                "validation_fraction does not go with a stream, whose split() gives parts of it: pass one "
                "as validation_data."
            )
        if isinstance(self.optimizer, LBFGS):
            raise ValueError("optimizer 'lbfgs' needs all rows at once, but x is a stream.")
        if self.batch_size is None:
            raise ValueError("batch_size=None takes all rows at once, but x is a stream: pass a number.")

    def _label_counts(self, stream: Stream) -> np.ndarray | None:
        """How many rows of each class a stream has, where that is of need."""
        if self.class_weight != "balanced":
            return None
        counts = stream.count_labels()
        if counts is None:
            raise ValueError(
                f"class_weight='balanced' needs the number of rows of each class, but "
                f"{type(stream).__name__}.count_labels() does not tell: pass a dict of weights."
            )
        n_classes = max(2, self.net.sizes[-1])
        if len(counts) > n_classes:
            raise ValueError(
                f"the stream holds the label {len(counts) - 1}, but the classes are 0 to {n_classes - 1}."
            )
        return np.pad(counts, (0, n_classes - len(counts)))

    def _check_blocks(
        self, stream: Stream, seed: int | None = None, first: int = 0, multiple: int = 1
    ) -> Generator[tuple[_Rows, np.ndarray]]:
        """Checked blocks of an epoch, and the spread of each."""
        place = first
        for x, y, *weights in stream.blocks(seed, first, multiple):
            if (place - first) % multiple:
                raise ValueError(
                    f"a block of the stream ends at row {place}: expected a multiple of {multiple} rows in "
                    "all but the last."
                )
            names = tuple(f"{name} of the block from row {place} on" for name in ("x", "y", "weight"))
            rows = self._check_rows(x, y, *weights, names=names)
            place += rows.n
            if place > stream.n_rows:
                break
            yield rows, _Spread.of_block(rows)
        if place != stream.n_rows:
            more = " or more" if place > stream.n_rows else ""
            raise ValueError(
                f"the stream gave {place}{more} rows in an epoch, but its n_rows is {stream.n_rows}."
            )

    def _blocks_to_train(self, run: _Run, stream: Stream) -> Generator[tuple[_Rows, np.ndarray]]:
        """The blocks of all epochs that are to come: so the next is read while this one is validated."""
        first = run.begin  # a block in which a checkpoint was written is read again
        for epoch in range(len(self.history), run.n_epochs):
            seed = None
            if self.shuffle:
                seed = int(np.random.SeedSequence([run.seed, epoch]).generate_state(1, np.uint64)[0])
            for rows, spread in self._check_blocks(stream, seed, first, run.rows_of_update):
                # All here that can be: whenever the training thread lets go of the interpreter, it waits
                # for this one, and training stands still.
                rows = self._weigh_classes(rows, run.label_counts)
                yield _Rows(rows.data._replace(indices=np.arange(rows.n)), rows.x), spread
            first = 0

    # --- the loop -----------------------------------------------------------------------------------

    def fit(
        self,
        x,
        y=None,
        epochs: int = 10,
        *,
        sample_weight=None,
        validation_data: tuple[Any, ...] | Stream | None = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStopping | None = None,
        metrics: Any = (),
        callbacks: Any = (),
        checkpoint: Checkpoint | None = None,
        record_norms: bool = False,
        verbose: int = 1,
    ) -> History:
        """Train for some epochs; called again, train on.

        Parameters
        ----------
        x : array-like or sparse matrix of shape (n, n_in), or Stream
            Copied only where it is not a contiguous array of the network's dtype, or CSR. A stream is data
            larger than memory: a thread reads its blocks ahead of the training.
        y : array-like of shape (n,) or (n, n_out)
            What the loss expects. A stream brings its own.
        epochs : int, default=10
        sample_weight : array-like of shape (n,), optional
            The cost of a batch is the weighted mean of its losses, and so are the metrics.
        validation_data : tuple (x_val, y_val) or (x_val, y_val, weight_val), or Stream, optional
        validation_fraction : float in (0, 1), optional
            Hold out this share of the rows instead; classes keep their shares. Needs scikit-learn. Not of a
            stream, which splits itself.
        early_stopping : EarlyStopping, optional
        metrics : str, callable or sequence of them
            More figures for the history: names of scikit-learn's scorers, or functions
            ``metric(y_true, y_pred)``. Of the validation rows, or of the training rows where there are none,
            unless those are a stream.
        callbacks : Callback, callable or sequence of them
            See :class:`fastnn.Callback`; a function is called with the trainer and each epoch's figures.
        checkpoint : Checkpoint, optional
            Write down where training is, and go on from there when called again after a crash.
        record_norms : bool, default=False
            Whether the history gets the norms of each layer's weights, and of their gradient over the first
            batch of the epoch's order: vanishing gradients are seen there. Of a stream that is the first
            batch of its last block.
        verbose : int, default=1
            0 shows no progress, 1 a bar, 2 a table of the last epochs and how the cost falls; both print a
            line now and then where there is no terminal.

        Returns
        -------
        History
            The trainer's own, of all calls so far. Ctrl-C ends training with a warning, and network and
            history stay as they are then. With a checkpoint one is written first, to go on from; Ctrl-C
            pressed twice does not wait for it.

        Raises
        ------
        DivergenceError
            If the cost becomes NaN or infinite. The network keeps its last finite weights.
        ValueError, TypeError
            If an argument is not what is described here.
        """
        _checks.check_count("epochs", epochs)
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            raise TypeError(f"checkpoint must be a fastnn.Checkpoint, got {checkpoint!r}.")
        held_out: _Rows | Stream | None = None
        counts = None
        if isinstance(x, Stream):
            self._check_stream_to_train(x, y, sample_weight, validation_fraction)
            train = _Rows(unlabelled(np.empty((0, self.net.sizes[0]), self.net.dtype)), None)
            counts = self._label_counts(x)
            if validation_data is not None:
                held_out = self._check_held_out(validation_data)
        else:
            rows = self._check_rows(x, y, sample_weight)
            self._check_sparse_if_lazy(rows)
            train, held_out = self._split(rows, validation_data, validation_fraction)
            train = self._weigh_classes(train)
        for name, part in {"train on": train, "validate with": held_out}.items():
            if isinstance(part, _Rows) and part.weights is not None and not part.weights.any():
                raise ValueError(f"the weights of all rows to {name} are 0.")
        stream = x if isinstance(x, Stream) else None
        n_rows = self.n_rows = stream.n_rows if stream is not None else train.n
        batch_size = min(self.batch_size or n_rows, n_rows)
        run = _Run(
            train=train,
            stream=stream,
            n_rows=n_rows,
            label_counts=counts,
            spread=_Spread(self.loss.n_targets(self.net.sizes[-1])),
            held_out=held_out,
            metrics=self._as_metrics(metrics),
            callbacks=CallbackList(callbacks),
            checkpoint=checkpoint,
            record_norms=bool(record_norms),
            batch_size=batch_size,
            rows_of_update=batch_size * self.accumulate,
            n_epochs=len(self.history) + epochs,
        )
        self._check_metrics(run)
        self._check_monitors(run, early_stopping)
        found = self._find_checkpoint(run, early_stopping)
        # All has been checked; from here on the trainer changes.
        self._stop_reason = None
        self._resume_weights()
        if stream is not None and self.shuffle:
            run.seed = int(self._rng.integers(2**64, dtype=np.uint64))
        run.best = Best(early_stopping, self._restorable(), self._falls(run, early_stopping))
        if found is not None:
            self._restore(run, *found)
        if stream is not None:
            run.blocks = read_ahead(self._blocks_to_train(run, stream))
        kernels.transpose_weights(self.net._network())

        history = self.history
        history.stop_reason = "epochs"
        left = run.n_epochs - len(history)
        display = progress.make_display(verbose, left, n_rows, history)
        try:
            with at_work(), display, held_back(checkpoint is not None) as run.pressed:
                run.callbacks.on_fit_begin(self)
                if isinstance(self.optimizer, LBFGS):
                    self._run_lbfgs(run, display)
                while self._stop_reason is None and len(history) < run.n_epochs:
                    run.callbacks.on_epoch_begin(self)
                    if self._stop_reason is not None:
                        break
                    start = time.perf_counter() - compile_seconds()
                    self._run_epoch(run, display)
                    if run.first == n_rows:  # else a callback has stopped it
                        self._end_epoch(run, time.perf_counter() - compile_seconds() - start, display)
        except KeyboardInterrupt:
            self._stop_reason = "interrupted"
            warnings.warn("Training was interrupted; the network is kept as it is.", stacklevel=2)
        except DivergenceError:
            self._stop_reason = "diverged"
            raise
        except BaseException:
            self._stop_reason = "error"
            raise
        finally:
            run.blocks.close()
            self._count(run, run.first)  # of an epoch that was broken off
            history.stop_reason = self._stop_reason or "epochs"
            self._swap_average()
            history.best_epoch = run.best.restore(self._restorable())
            run.callbacks.on_fit_end(self)
        return history

    def change_lr(self, lr: float) -> None:
        """Another learning rate, at which the velocity of momentum, ``lr * m``, stays what it is.

        So scikit-learn and Keras understand momentum. Setting ``lr`` keeps m instead, as PyTorch does: the
        velocity then changes with the rate.

        Raises
        ------
        ValueError
            If there is no velocity, because the optimiser is not SGD; or lr is not above 0.
        """
        if not isinstance(self.optimizer, SGD):
            raise ValueError(f"change_lr is for SGD's momentum, but the optimiser is {self.optimizer!r}.")
        lr = _checks.check_number("lr", lr, 0.0, open_low=True)
        self._state.m[:] *= self.lr / lr
        self.lr = lr

    def stop(self, reason: str = "stopped") -> None:
        """End training: of a callback, after the epoch or, called in ``on_batch_end``, after the batch."""
        self._stop_reason = self._stop_reason or str(reason)

    def _end_epoch(self, run: _Run, seconds: float, display: progress.Silent) -> None:
        """Take note of an epoch, and tell all who want to know."""
        epoch = self._figures(run, seconds)
        self.history.epochs.append(epoch)
        self._count(run, run.n_rows)
        run.first, run.totals = 0, np.zeros(kernels.N_TOTALS)
        run.begin, run.spread = 0, _Spread(run.spread.sums.shape[1])
        display.epoch(epoch)
        if run.best.says_stop(epoch, self._restorable()):
            self.stop("early stopping")
        if self.schedule.observe(epoch, self._schedule_state):
            self.stop("schedule")
        run.callbacks.on_epoch_end(self, epoch)
        self._checkpoint(run, ended=True)

    def _run_lbfgs(self, run: _Run, display: progress.Silent) -> None:
        """Train by SciPy's L-BFGS; an iteration is an epoch."""
        from .lbfgs import minimize_rows

        data = run.train.data
        # Where a part of the rows is held out.
        if isinstance(run.held_out, _Rows) and run.held_out.x is run.train.x:
            data = run.train.only().data
        start = time.perf_counter()

        def end_iteration(intermediate_result) -> None:
            nonlocal start
            losses, scores = self._score_rows(data, run.train.n)
            weights = data.weights if data.weights.size else np.ones(len(losses))
            run.totals[kernels.COST_SUM] = intermediate_result.fun * run.train.n
            run.totals[kernels.SCORE_SUM] = weights @ scores
            run.totals[kernels.WEIGHT_SUM] = weights.sum()
            run.first, run.lr = run.train.n, None
            now = time.perf_counter()
            self._end_epoch(run, now - start, display)
            start = time.perf_counter()
            if self._stop_reason is not None:
                raise StopIteration

        optimizer: Any = self.optimizer
        result = minimize_rows(
            self,
            data,
            max_iter=run.n_epochs - len(self.history),
            callback=end_iteration,
            options={
                "maxfun": optimizer.max_fun,
                "gtol": optimizer.tol,
                "ftol": 0.0,
                "maxcor": optimizer.history_size,
            },
        )
        if not np.isfinite(result.fun):
            raise self._divergence(started=True)
        self.stop("epochs" if len(self.history) == run.n_epochs else "converged")

    def _figures(self, run: _Run, seconds: float) -> Epoch:
        """Of the epoch that has just been trained."""
        totals, n_rows = run.totals, run.n_rows
        if isinstance(self.average, SWA) and len(self.history) + 1 >= self.average.start:
            self._n_averaged += 1
            self._other += (self.net.params - self._other) / self._n_averaged
        val_cost = val_metric = None
        with self.averaged():
            if run.held_out is not None:
                val_cost, val_metric = self._score(run.held_out)
            more = self._metrics(run)
        if run.record_norms:
            more |= self._norms(run.train.data)
        return Epoch(
            epoch=len(self.history) + 1,
            cost=totals[kernels.COST_SUM] / n_rows,
            metric=self._metric(
                totals[kernels.SCORE_SUM],
                totals[kernels.WEIGHT_SUM],
                run.train if run.stream is None else run.spread,
            ),
            val_cost=val_cost,
            val_metric=val_metric,
            seconds=seconds,
            samples_per_second=n_rows / seconds,
            lr=run.lr,
            more=more,
        )

    def _count(self, run: _Run, n_rows: int) -> None:
        """Take note that so many rows of an epoch have been trained on."""
        self._seen += n_rows
        n_whole, rest = divmod(n_rows, run.rows_of_update)
        self._updates += n_whole + int(rest > 0 and n_rows == run.n_rows)

    def _pace_of(self, batch_size: int) -> Pace:
        """The pace of steps of that many rows; what earlier calls of fit have learnt of it is kept."""
        if self._pace is None or self._pace[0] != batch_size:
            step_flops = 6.0 * batch_size * self.net.params.size
            self._pace = batch_size, Pace(self.n_threads, step_flops, n_shares=-(-batch_size // TILE_ROWS))
        return self._pace[1]

    def _check_sparse_if_lazy(self, rows: _Rows) -> None:
        if self.lazy and rows.data.starts.size == 0:
            raise ValueError("lazy is for sparse rows, but x is dense.")

    def _run_epoch(self, run: _Run, display: progress.Silent) -> None:
        """What is left of an epoch, block by block; rows in memory are a single one."""
        run.rates = None
        if run.stream is None:
            if self.shuffle and run.first == 0:
                shuffle(run.train.data.indices, self._rng.integers(2**64, dtype=np.uint64))
            self._run_block(run, display)
            return
        while run.first < run.n_rows and self._stop_reason is None:
            run.train, spread = next(run.blocks)
            self._check_sparse_if_lazy(run.train)
            self._run_block(run, display)
            if run.first == run.begin + run.train.n:  # else a callback has stopped it
                run.begin += run.train.n
                run.spread.add(spread)

    def _run_block(self, run: _Run, display: progress.Silent) -> None:
        """What is left of a block, in compiled calls whose length the pace tells."""
        data, totals, batch_size = run.train.data, run.totals, run.batch_size
        end = run.begin + data.indices.size
        pace = self._pace_of(batch_size)
        network = self.net._network(self._dropout_seed, sparse=data.starts.size > 0)
        work = self._reserve(batch_size, data)
        state, rates = self._state_of_block(run)
        lr = self.lr
        while run.first < end and self._stop_reason is None:
            if self.lr != lr:  # a callback has set it
                state, rates = self._state_of_block(run)
                lr = self.lr
            n_parts, n_steps = pace.chunk()
            if run.callbacks.wants_batches:
                n_steps = 1
            elif run.clock is not None:
                n_steps = run.clock.at_most(n_steps, self._batches)
            loaded = _n_loaded()
            start = time.perf_counter()
            first, n_rows = run.first - run.begin, min(n_steps * batch_size, end - run.first)
            plan = (first, n_rows, batch_size, self._batches + 1)
            before = totals.copy()
            args = (network, work, data, self._objective, state, plan, totals)
            launch(kernels.train_part, self.net.dtype, n_parts, new_team(), *args)
            if totals[kernels.FAILED] == kernels.NOT_TOGETHER:
                totals[kernels.FAILED] = 0
                pace.alone()
                continue
            n_steps = int(totals[kernels.STEPS_DONE] - before[kernels.STEPS_DONE])
            self._batches += n_steps
            if totals[kernels.FAILED] == kernels.NOT_FINITE:
                raise self._divergence(bool(totals[kernels.ROWS_DONE]))
            if _n_loaded() == loaded:  # else most of the time went into compiling or loading
                pace.note(n_parts, n_steps, time.perf_counter() - start)
            run.lr = float(rates[(first + n_rows - 1) // run.rows_of_update])
            run.first += n_rows
            display.rows(run.first)
            if run.callbacks.wants_batches:
                cost = (totals - before)[kernels.COST_SUM] / n_rows
                batch = Batch(len(self.history) + 1, self._batches, n_rows, float(cost), run.lr)
                run.callbacks.on_batch_end(self, batch)
            self._checkpoint(run)

    def _state_of_block(self, run: _Run) -> tuple[kernels.Optimizer, np.ndarray]:
        """The update's settings and buffers with the rates of a block, and the learning rates alone."""
        if run.rates is None or run.rates[0] != self.lr:
            n_updates = -(-run.n_rows // run.rows_of_update)
            rates = self.schedule.rates(
                self.lr, len(self.history), run.n_epochs, n_updates, self._seen, self._schedule_state
            )
            run.rates = self.lr, rates
        done = run.begin // run.rows_of_update
        rates = run.rates[1][done:][: -(-run.train.n // run.rows_of_update)]
        state = self._state._replace(rates=self.optimizer.rates(rates, self._updates + done))
        if isinstance(self.average, EMA):
            state = state._replace(average=self._other)
        return state, rates

    def _divergence(self, started: bool) -> DivergenceError:
        epoch = len(self.history) + 1
        when = f"in epoch {epoch}" if started else f"in the first batch of epoch {epoch}"
        return DivergenceError(
            f"the cost became NaN or infinite {when} (after {self._batches} steps). Try a smaller learning "
            f"rate than {self.lr:g}, or standardise x and y. The network keeps its last finite weights."
        )

    # --- averages of the weights --------------------------------------------------------------------

    def _restorable(self) -> list[np.ndarray]:
        """What belongs to an epoch's network: parameters, averaged if they are, and running statistics."""
        params = self._other if self._is_averaging else self.net.params
        return [params, self.net._running]

    @property
    def _is_averaging(self) -> bool:
        """Whether an average has been begun, and training is on."""
        return self._training and (isinstance(self.average, EMA) or self._n_averaged > 0)

    _training = False

    def _resume_weights(self) -> None:
        """Take up the weights that training goes on with, where the network holds their average."""
        if self.average is None:
            return
        params = self.net.params
        if self._other.size == 0:
            self._other = aligned_zeros(params.size, params.dtype)
            self._other[:] = params
        elif isinstance(self.average, EMA) or self._n_averaged > 0:
            params[:], self._other[:] = self._other.copy(), params.copy()
        self._training = True

    def _swap_average(self) -> None:
        """Put the average into the network at the end of training."""
        averaging, self._training = self._is_averaging, False
        if averaging:
            params = self.net.params
            params[:], self._other[:] = self._other.copy(), params.copy()

    @contextlib.contextmanager
    def averaged(self):
        """While it lasts, the network has the averaged weights, if there are any: for callbacks."""
        if not self._is_averaging:
            yield
            return
        params = self.net.params
        kept = params.copy()
        params[:] = self._other
        try:
            yield
        finally:
            params[:] = kept

    # --- checkpoints --------------------------------------------------------------------------------

    def _digest(self, run: _Run, early_stopping: EarlyStopping | None) -> dict[str, Any]:
        """What a checkpoint must have in common with a training to be one of its own."""
        data = run.train.data
        total: Any = 0
        for array in (data.x, data.labels, data.targets, data.weights, data.starts, data.columns):
            total = zlib.crc32(np.ascontiguousarray(array).data, total)
        if run.stream is not None:
            total = run.stream.fingerprint()
        settings = {name: getattr(self, name) for name in _SETTINGS} | {"early_stopping": early_stopping}
        # As text, in which functions have addresses: those differ from process to process.
        digest: dict[str, Any] = {
            name: re.sub(r" at 0x[0-9a-fA-F]+", "", repr(setting)) for name, setting in settings.items()
        }
        n_held_out = getattr(run.held_out, "n", getattr(run.held_out, "n_rows", 0))
        return digest | {
            "random generator": type(self._rng.bit_generator).__name__,
            "rows": [run.n_rows, n_held_out],
            "data": total,
            "first epoch": len(self.history) + 1,
        }

    def _arrays(self, run: _Run) -> dict[str, np.ndarray]:
        """Everything that training changes, by name, and the rows in their order."""
        arrays = {name: getattr(self._state, name) for name in ("m", "v", "u", "whole")}
        arrays |= {"params": self.net.params, "running": self.net._running, "other": self._other}
        arrays |= {"totals": run.totals}
        if run.stream is None:
            arrays["indices"] = run.train.data.indices
        else:
            arrays["spread"] = run.spread.sums
        if isinstance(run.held_out, _Rows):
            arrays["held_out"] = run.held_out.data.indices
        return arrays | {f"best.{k}": kept for k, kept in enumerate(run.best.kept)}

    def _checkpoint(self, run: _Run, ended: bool = False) -> None:
        """Write a checkpoint if one is due: within an epoch, or at its end; then Ctrl-C may end training."""
        if run.clock is None or (run.first == run.n_rows and not ended):
            return
        finished = ended and (self._stop_reason is not None or len(self.history) == run.n_epochs)
        is_due = run.clock.is_due(self._batches, len(self.history) if ended else None)
        if finished or is_due or run.pressed:
            self._write_checkpoint(run)
            run.clock.written(self._batches)
        if run.pressed and not finished:
            raise KeyboardInterrupt

    def _write_checkpoint(self, run: _Run) -> None:
        state = {
            "digest": run.digest,
            "batches": self._batches,
            "updates": self._updates,
            "seen": self._seen,
            "lr": self.lr,
            "schedule": self._schedule_state,
            "rng": self._rng.bit_generator.state,
            "dropout": self._dropout_seed,
            "first": run.first,
            "begin": run.begin,
            "seed": run.seed,
            "stop_reason": self._stop_reason,
            "n_averaged": self._n_averaged,
            "best": run.best.state,
            "history": [epoch._asdict() for epoch in self.history.epochs],
        }
        run.checkpoint.write(self._batches, state, self._arrays(run))

    def _find_checkpoint(self, run: _Run, early_stopping: EarlyStopping | None):
        """State and arrays of the newest checkpoint to go on from; None if there is none."""
        if run.checkpoint is None:
            return None
        if isinstance(self.optimizer, LBFGS):
            raise ValueError("checkpoint does not go with optimizer 'lbfgs', whose state SciPy keeps.")
        run.digest, run.clock = self._digest(run, early_stopping), Clock(run.checkpoint, self._batches)
        run.checkpoint.made_folder()  # now, rather than fail after the first epoch
        found = run.checkpoint.read() if run.checkpoint.resume else None
        if found is None:
            return None
        for name, value in run.digest.items():
            then = found[0]["digest"].get(name)
            if then != value:
                raise ValueError(
                    f"the checkpoints in {str(run.checkpoint.folder)!r} are of another training: {name} was "
                    f"{then}, and is {value}. Use another folder, or do not resume."
                )
        return found

    def _restore(self, run: _Run, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Go on from a checkpoint."""
        for name, array in self._arrays(run).items():
            array[:] = arrays[name]
        run.first, run.begin, run.seed = state["first"], state["begin"], state["seed"]
        self._batches, self._updates, self._seen = state["batches"], state["updates"], state["seen"]
        self.lr, self._schedule_state = state["lr"], state["schedule"]
        self._rng.bit_generator.state = state["rng"]
        self._dropout_seed, self._n_averaged = state["dropout"], state["n_averaged"]
        self._stop_reason = state["stop_reason"]
        run.best.state = state["best"]
        self.history.epochs[:] = [Epoch(**epoch) for epoch in state["history"]]
        run.clock = Clock(run.checkpoint, self._batches)

    # --- figures ------------------------------------------------------------------------------------

    @property
    def _task(self) -> str | None:
        """What kind of predictions metrics judge."""
        several = self.net.sizes[-1] > 1
        kinds = {
            "class": "multiclass",
            "labels": "multilabel" if several else "binary",
            "probabilities": None,
        }
        return kinds.get(self.loss.kind, "regression")

    def _as_metrics(self, metrics: Any) -> list[Metric]:
        if isinstance(metrics, str) or not isinstance(metrics, Iterable):
            metrics = [metrics]
        metrics, task = list(metrics), self._task
        if task is None and metrics:
            raise ValueError(f"metrics need one right answer a row, but loss {self.loss.name!r} has none.")
        return [as_metric(metric, str(task)) for metric in metrics]

    def _names(self, run: _Run) -> dict[str, Metric]:
        """The metrics by the names that the history gives them."""
        prefix = "" if run.held_out is None else "val_"
        return {prefix + metric.name: metric for metric in run.metrics}

    def _check_monitors(self, run: _Run, early_stopping: EarlyStopping | None) -> None:
        """Refuse to follow figures that there will not be."""
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            raise TypeError(f"early_stopping must be a fastnn.EarlyStopping, got {early_stopping!r}.")
        for name, rule in {"early_stopping": early_stopping, "schedule": self.schedule}.items():
            monitor = getattr(rule, "monitor", None)
            if monitor is None:
                continue
            _checks.check_name(f"monitor of {name}", monitor, [*MONITORS, *self._names(run)])
            if monitor in ("val_cost", "val_metric") and run.held_out is None:
                raise ValueError(
                    f"{name} monitors {monitor!r}, but there is no validation_data and no "
                    "validation_fraction."
                )

    def _falls(self, run: _Run, rule: EarlyStopping | None) -> bool:
        """Whether the figure that is monitored is better when it is lower."""
        if rule is None or rule.monitor in MONITORS:
            return rule is None or rule.monitor.endswith("cost")
        return not self._names(run)[rule.monitor].higher_is_better

    def _metrics(self, run: _Run) -> dict[str, float]:
        """What the metrics say of the validation rows or, where there are none, of the training rows."""
        if not run.metrics:
            return {}
        if isinstance(run.held_out, Stream):
            with contextlib.closing(read_ahead(self._check_blocks(run.held_out))) as blocks:
                judged = [self._to_judge(rows) for rows, _ in blocks]
            truth, output, of_rows = (np.concatenate(parts) for parts in zip(*judged, strict=True))
            weights = of_rows if of_rows.size else None
        else:
            rows = run.held_out or run.train
            (truth, output, _), weights = self._to_judge(rows), rows.weights
        if self.net.output == "identity" and self._task in ("binary", "multilabel"):
            output = 0.5 + 0.5 * np.tanh(0.5 * output)  # margins: ranked as probabilities would be
        return {
            name: metric(truth, output, sample_weight=weights) for name, metric in self._names(run).items()
        }

    def _to_judge(self, rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right answers, the network's outputs, and weights, which are empty where all weigh the same."""
        truth = rows.pick(rows.data.labels if rows.data.labels.size else rows.data.targets)
        output = self.net.predict_raw(rows.pick(rows.x), n_threads=self.n_threads)
        return truth, output, np.empty(0) if rows.weights is None else rows.weights

    def _check_metrics(self, run: _Run) -> None:
        """Refuse metrics that the history has no column for, or that cannot judge these rows."""
        names = self._names(run)
        if len(names) < len(run.metrics) or not names.keys().isdisjoint(Epoch._fields):
            raise ValueError(f"metrics need names of their own in the history, got {', '.join(names)}.")
        if run.stream is not None and run.held_out is None and run.metrics:
            raise ValueError("metrics need validation_data where the rows to train on are a stream.")
        if isinstance(run.held_out, Stream):
            return  # it is not read through for that
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an untrained network may well predict one class only
                self._metrics(run)
        except Exception as error:  # they raise what they like
            raise ValueError(f"a metric of {', '.join(names)} does not fit: {error}") from error

    def _norms(self, data: kernels.Data) -> dict[str, float]:
        """Norms of each layer's weights and of their gradient over one batch."""
        n_rows = min(self.batch_size or data.indices.size, data.indices.size)
        _, grads = self._gradient_of(data, n_rows)
        figures = {}
        for kind, arrays in (("grad", self.net._split(grads)[0]), ("weight", self.net.weights)):
            for depth, array in enumerate(arrays):
                figures[f"layers.{depth}.{kind}_norm"] = float(np.linalg.norm(array))
        return figures

    def _metric(self, score_sum: float, weight_sum: float, rows: _Rows | _Spread) -> float:
        """Accuracy, or R squared over all outputs together (0 where the targets do not vary)."""
        if not self.loss.is_regression:
            return float(score_sum / weight_sum)
        spread = rows.spread * self.net.sizes[-1]
        return float(1.0 - score_sum / spread) if spread > 0 else 0.0

    def _score_rows(self, data: kernels.Data, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Losses and scores of checked data, row by row, not weighted."""
        flops, sparse = n_rows * self.net._row_flops(data), data.starts.size > 0
        n_parts = parts_for(self.n_threads, flops, PARALLEL_CALL_FLOPS, -(-n_rows // ROW_BLOCK))
        n_targets = data.labels.shape[1] + data.targets.shape[1]
        capacity, n_entries = min(n_rows, ROW_BLOCK) * n_parts, 0 if sparse else None
        work = self.net._layout.workspace(capacity, n_targets, n_entries=n_entries)
        losses, scores = np.empty(n_rows), np.empty(n_rows)
        data = data._replace(weights=np.empty(0))
        args = (losses, scores, self.net._network(sparse=sparse), work, data, self._objective)
        launch(kernels.score_part, self.net.dtype, n_parts, *args)
        return losses, scores

    def _score(self, rows: _Rows | Stream) -> tuple[float, float]:
        """Mean cost and metric of checked rows."""
        if isinstance(rows, Stream):
            return self._score_blocks(rows)
        losses, scores = self._score_rows(rows.data, rows.n)
        weights = np.ones(rows.n) if rows.weights is None else rows.weights
        cost = float(np.average(losses, weights=weights))
        return cost, self._metric(weights @ scores, weights.sum(), rows)

    def _score_blocks(self, stream: Stream) -> tuple[float, float]:
        """The same of a stream."""
        sums, spread = np.zeros(3), _Spread(self.loss.n_targets(self.net.sizes[-1]))
        with contextlib.closing(read_ahead(self._check_blocks(stream))) as blocks:
            for rows, of_block in blocks:
                losses, scores = self._score_rows(rows.data, rows.n)
                weights = np.ones(rows.n) if rows.weights is None else rows.weights
                sums += weights @ losses, weights @ scores, weights.sum()
                spread.add(of_block)
        return float(sums[0] / sums[2]), self._metric(sums[1], sums[2], spread)

    def evaluate(self, x, y=None, *, sample_weight=None) -> dict[str, float]:
        """Cost (mean loss, without penalty) and metric of some rows.

        Parameters
        ----------
        x, y, sample_weight : array-like
            As in :meth:`fit`; x may be a stream.

        Returns
        -------
        dict
            "cost", and "accuracy" or "r2".
        """
        if isinstance(x, Stream):
            self._check_stream("x", x)
            rows: _Rows | Stream = x
        else:
            rows = self._check_rows(x, y, sample_weight)
        cost, metric = self._score(rows)
        return {"cost": cost, self.history.metric_name: metric}

    def losses(self, x, y) -> np.ndarray:
        """Loss of each row, float64 of shape (n,); their mean is the cost. Arguments as in :meth:`fit`."""
        rows = self._check_rows(x, y)
        return self._score_rows(rows.data, rows.n)[0]

    def _gradient_of(self, data: kernels.Data, n_rows: int) -> tuple[float, np.ndarray]:
        """Cost and gradient of the first rows, as a vector laid out as the parameters."""
        work = self._reserve(n_rows, data)
        network = self.net._network(self._dropout_seed, sparse=data.starts.size > 0)
        kernels.transpose_weights(network)
        grads = aligned_zeros(network.params.size, self.net.dtype)
        cost = kernels.gradient(grads, network, work, data, self._objective, n_rows)
        return float(cost), grads

    def gradient(self, x, y, *, sample_weight=None) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
        """Cost over all the rows as one batch, and its gradient, as a step of training computes them.

        Parameters
        ----------
        x, y, sample_weight : array-like
            As in :meth:`fit`.

        Returns
        -------
        cost : float
            Without penalty. Dropout is that of the first step; batches are normalised by their own mean.
        grad_weights : list of ndarray, shape (n_in, n_out) each
        grad_biases : list of ndarray, shape (n_out,) each
        """
        rows = self._check_rows(x, y, sample_weight)
        cost, grads = self._gradient_of(rows.data, rows.n)
        return cost, *self.net._split(grads)


@dataclass
class _Run:
    """One call of fit: what it was given, and where it is."""

    train: _Rows  # of a stream, the present block
    held_out: _Rows | Stream | None
    metrics: list[Metric]
    callbacks: CallbackList
    checkpoint: Any
    record_norms: bool
    batch_size: int
    rows_of_update: int
    n_epochs: int  # when the history has so many, it is done
    stream: Stream | None
    n_rows: int  # of an epoch
    label_counts: np.ndarray | None  # of a stream
    spread: _Spread  # of the targets of a stream's blocks that are done
    begin: int = 0  # where the block begins in the epoch
    seed: int = 0  # of the order of a stream's rows
    rates: tuple[float, np.ndarray] | None = None  # learning rates of the epoch, and from what
    first: int = 0  # rows of the epoch that are done
    lr: float | None = None  # of the last step
    pressed: Sequence[int] = ()  # Ctrl-C, once for each time

    def __post_init__(self) -> None:
        self.totals = np.zeros(kernels.N_TOTALS)
        self.blocks: Generator[tuple[_Rows, np.ndarray]] = (_ for _ in ())
        self.best: Best
        self.clock: Clock | None = None
        self.digest: dict[str, Any] = {}
