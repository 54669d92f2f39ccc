"""The training loop: epochs, batches, validation, stopping."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _checks, optimizers, progress
from ._jit import compile_seconds
from ._threads import Pace, launch, parts_for
from ._tuning import PARALLEL_CALL_FLOPS, ROW_BLOCK, TILE_ROWS
from .buffers import aligned_zeros
from .history import Epoch, History
from .kernels import step as kernels
from .kernels.batches import shuffle
from .kernels.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, MSE
from .kernels.team import new_team, run_parts
from .kernels import updates
from .kernels.updates import N_RATES
from .network import MLP, unlabelled


@dataclass(frozen=True)
class _Loss:
    """A loss by code, the factor on it, and the output activation it is computed with."""

    code: int
    scale: float
    output: str | None


LOSSES = {
    "mse": _Loss(MSE, 1.0, None),
    "squared_error": _Loss(MSE, 0.5, None),
    "binary_cross_entropy": _Loss(BINARY_CROSS_ENTROPY, 1.0, "sigmoid"),
    "cross_entropy": _Loss(CROSS_ENTROPY, 1.0, "softmax"),
}


def _settings(optimizer, l2):
    record = np.zeros(1, dtype=updates.SETTINGS)
    for name in updates.SETTINGS.names or ():
        record[name] = getattr(optimizer, name, 0)
    record["kind"], record["l2"], record["every"], record["limit"] = optimizer.core_kind, l2, 1, np.inf
    return record


def _n_loaded() -> int:
    """How many compiled forms of what a training step calls this process has."""
    return sum(len(getattr(kernel, "overloads", ())) for kernel in (kernels.train_part, run_parts))


class DivergenceError(ArithmeticError):
    """Training was stopped because the cost became NaN or infinite."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a figure has not improved for some epochs.

    Parameters
    ----------
    monitor : {"val_cost", "val_metric", "cost", "metric"}, default="val_cost"
        Costs should fall, metrics rise.
    patience : int, default=10
        Epochs in a row without improvement after which training stops.
    min_delta : float, default=0.0
        A change of less than this is no improvement.
    restore_best : bool, default=True
        Whether the network ends with the weights of its best epoch.

    Examples
    --------
    >>> EarlyStopping(patience=5).monitor
    'val_cost'
    """

    monitor: str = "val_cost"
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        _checks.check_name("monitor", self.monitor, ("val_cost", "val_metric", "cost", "metric"))
        _checks.check_count("patience", self.patience)
        _checks.check_number("min_delta", self.min_delta, 0.0)


class _Best:
    """Early stopping at work: the best epoch so far, its weights, and how long ago it was."""

    def __init__(self, rule: EarlyStopping | None, params: np.ndarray) -> None:
        self._rule = rule
        self._params = params
        self._kept = params.copy() if rule and rule.restore_best else None
        self._value = math.inf
        self._waited = 0
        self.epoch: int | None = None

    def says_stop(self, epoch: Epoch) -> bool:
        """Take note of an epoch; whether patience has run out."""
        if self._rule is None:
            return False
        value = getattr(epoch, self._rule.monitor)
        if self._rule.monitor.endswith("metric"):
            value = -value
        self._waited = 0 if value <= self._value - self._rule.min_delta else self._waited + 1
        if value < self._value:
            self._value, self.epoch = value, epoch.epoch
            if self._kept is not None:
                self._kept[:] = self._params
        return self._waited >= self._rule.patience

    def restore(self) -> int | None:
        """Put the best weights back, if they are kept; the epoch they are of."""
        if self._kept is None or self.epoch is None:
            return None
        self._params[:] = self._kept
        return self.epoch


class Trainer:
    """Trains a network by mini-batch gradient descent.

    Parameters
    ----------
    net : MLP
        Changed in place.
    loss : {"cross_entropy", "binary_cross_entropy", "mse", "squared_error"}
        ``cross_entropy``: y holds class numbers, (n,). ``binary_cross_entropy``: y holds 0 and 1, (n,) or,
        for several labels at once, (n, n_out); mean over the outputs. ``mse``: y holds values, (n,) or
        (n, n_out); mean over the outputs. ``squared_error`` is half of it, as in scikit-learn.
    optimizer : str or optimiser, default="adam"
        "sgd", "adam", or an object such as ``fastnn.Adam(lr=1e-3)``.
    batch_size : int or None, default=32
        None for all rows at once. The last batch of an epoch may be smaller.
    l2 : float, default=0.0
        ``l2 / (2 n) * sum(w ** 2)`` is added to the cost of a batch of n rows; biases are left out.
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new order.
    seed : int or numpy.random.Generator, optional
        Of the order of the rows. The same seed gives the same weights to the bit, for any n_threads.
    n_threads : int, optional
        At most this many; all usable cores by default, fewer when the work is small.

    Attributes
    ----------
    history : History
        Of all calls of :meth:`fit`.
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
        loss: str,
        optimizer: str | optimizers.SGD | optimizers.Adam = "adam",
        batch_size: int | None = 32,
        l2: float = 0.0,
        shuffle: bool = True,
        seed: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        if not isinstance(net, MLP):
            raise TypeError(f"net must be a fastnn.MLP, got {type(net).__name__}.")
        self.net = net
        self.loss = _checks.check_name("loss", loss, LOSSES)
        self.optimizer = optimizers.as_optimizer(optimizer)
        self.batch_size = None if batch_size is None else _checks.check_count("batch_size", batch_size)
        self.l2 = _checks.check_number("l2", l2, 0.0)
        self.shuffle = bool(shuffle)
        self.n_threads = None if n_threads is None else _checks.check_count("n_threads", n_threads)
        self._rng = np.random.default_rng(seed)
        self._choose_output()
        self.history = History("r2" if self._is_regression else "accuracy")

        kind = LOSSES[self.loss]
        self._objective = kernels.Objective(kind.code, kind.scale, 0, np.empty(0))
        n_states, n_params = self.optimizer.n_states, net.params.size
        most_parts = parts_for(self.n_threads, 0, 0, n_params)
        self._state = kernels.Optimizer(
            settings=_settings(self.optimizer, self.l2),
            constants=np.empty(0),
            rates=np.zeros((1, N_RATES)),
            factors=np.ones((len(net.sizes) - 1, 2)),
            m=aligned_zeros(n_params if n_states > 0 else 0, net.dtype),
            v=aligned_zeros(n_params if n_states > 1 else 0, net.dtype),
            u=aligned_zeros(n_params if n_states > 2 else 0, net.dtype),
            grad=aligned_zeros((most_parts, net._layout.n_block), net.dtype),
            whole=aligned_zeros(0, net.dtype),
            average=aligned_zeros(0, net.dtype),
            penalty=aligned_zeros(net._layout.n_sums, np.float64),
            norms=aligned_zeros(0, np.float64),
        )
        self.n_rows = 0
        self._steps = 0
        self._work: kernels.Workspace | None = None
        self._pace: tuple[int, Pace] | None = None

    @property
    def _is_regression(self) -> bool:
        return LOSSES[self.loss].code == MSE

    def _choose_output(self) -> None:
        """Settle the network's output activation with the loss."""
        net, wanted = self.net, LOSSES[self.loss].output
        if wanted is None:
            if net.output == "softmax":
                raise ValueError(
                    f"loss {self.loss!r} does not go with a softmax output: use loss='cross_entropy'."
                )
            net.output = net.output or "identity"
            return
        if net.output not in (None, wanted):
            raise ValueError(
                f"loss {self.loss!r} needs output={wanted!r}, but the network has {net.output!r}."
            )
        if wanted == "softmax" and net.sizes[-1] < 2:
            raise ValueError(
                "loss 'cross_entropy' needs one output a class, but the network has a single output: "
                "use loss='binary_cross_entropy'."
            )
        net.output = wanted

    def _check_data(self, x, y, x_name: str = "x", y_name: str = "y") -> kernels.Data:
        """Rows with their labels or targets, checked and contiguous, as the kernels take them."""
        net = self.net
        x = _checks.check_x(x_name, x, net.sizes[0], net.dtype)
        data = unlabelled(x)
        n_rows, n_out = len(x), net.sizes[-1]
        _checks.check_lengths(x_name, n_rows, y_name, np.shape(y)[0] if np.ndim(y) else 0)
        if self._is_regression:
            targets = _checks.check_targets(y_name, y, n_out, net.dtype)
            return data._replace(targets=_checks.writable_view(targets))
        columns, classes = (1, n_out) if self.loss == "cross_entropy" else (n_out, 2)
        labels = _checks.check_labels(y_name, y, columns, classes)
        return data._replace(labels=_checks.writable_view(labels))

    def _reserve(self, capacity: int, n_targets: int) -> kernels.Workspace:
        """The workspace, made anew only where a larger one is needed."""
        if self._work is None or self._work.capacity < capacity:
            self._work = self.net._layout.workspace(capacity, n_targets)
        return self._work

    def fit(
        self,
        x,
        y,
        epochs: int = 10,
        *,
        validation_data: tuple[Any, Any] | None = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStopping | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for some epochs; called again, train on.

        Parameters
        ----------
        x : array-like of shape (n, n_in)
            Copied only where it is not a contiguous array of the network's dtype.
        y : array-like of shape (n,) or (n, n_out)
            What the loss expects.
        epochs : int, default=10
        validation_data : tuple (x_val, y_val), optional
        validation_fraction : float in (0, 1), optional
            Hold out this share of the rows instead; classes keep their shares. Needs scikit-learn.
        early_stopping : EarlyStopping, optional
        verbose : int, default=1
            0 shows no progress.

        Returns
        -------
        History
            The trainer's own, of all calls so far. Ctrl-C ends training with a warning, and network and
            history stay as they are then.

        Raises
        ------
        DivergenceError
            If the cost becomes NaN or infinite. The network keeps its last finite weights.
        ValueError, TypeError
            If an argument is not what is described here.
        """
        _checks.check_count("epochs", epochs)
        data = self._check_data(x, y)
        data, held_out = self._split(data, validation_data, validation_fraction)
        if early_stopping is not None and early_stopping.monitor.startswith("val") and not held_out:
            raise ValueError(
                f"early_stopping monitors {early_stopping.monitor!r}, but there is no validation_data "
                "and no validation_fraction."
            )
        n_rows = self.n_rows = data.indices.size
        batch_size = min(self.batch_size or n_rows, n_rows)
        work = self._reserve(batch_size, data.labels.shape[1] + data.targets.shape[1])
        spread = self._spread(data)
        held_out_spread = self._spread(held_out) if held_out else 0.0
        best = _Best(early_stopping, self.net.params)
        pace = self._pace_of(batch_size)
        kernels.transpose_weights(self.net._network())

        history = self.history
        history.stop_reason = "epochs"
        display = progress.Display(epochs, n_rows, history) if verbose else progress.Silent()
        try:
            with display:
                for _ in range(epochs):
                    start = time.perf_counter() - compile_seconds()
                    if self.shuffle:
                        shuffle(data.indices, self._rng.integers(2**64, dtype=np.uint64))
                    cost, score_sum = self._run_epoch(data, work, batch_size, pace, display)
                    seconds = time.perf_counter() - compile_seconds() - start
                    val_cost, val_metric = (
                        self._score(held_out, held_out_spread) if held_out else (None, None)
                    )
                    epoch = Epoch(
                        epoch=len(history) + 1,
                        cost=cost,
                        metric=self._metric(score_sum, spread, n_rows),
                        val_cost=val_cost,
                        val_metric=val_metric,
                        seconds=seconds,
                        samples_per_second=n_rows / seconds,
                    )
                    history.epochs.append(epoch)
                    display.epoch(epoch)
                    if best.says_stop(epoch):
                        history.stop_reason = "early stopping"
                        break
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
            warnings.warn("Training was interrupted; the network is kept as it is.", stacklevel=2)
        except DivergenceError:
            history.stop_reason = "diverged"
            raise
        finally:
            history.best_epoch = best.restore()
        return history

    def _split(
        self, data: kernels.Data, validation_data, validation_fraction: float | None
    ) -> tuple[kernels.Data, kernels.Data | None]:
        """Rows to train on, by index, and those to validate on."""
        everything = np.arange(len(data.x))
        if validation_data is not None:
            if validation_fraction is not None:
                raise ValueError("give validation_data or validation_fraction, not both.")
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError("validation_data must be a tuple (x_val, y_val).")
            x_val, y_val = validation_data
            held_out = self._check_data(x_val, y_val, "x_val", "y_val")
            return data._replace(indices=everything), held_out
        if validation_fraction is None:
            return data._replace(indices=everything), None
        _checks.check_number("validation_fraction", validation_fraction, 0.0, 1.0, open_low=True)
        split = _checks.require("sklearn.model_selection", "sklearn").train_test_split
        train, validation = split(
            everything,
            test_size=validation_fraction,
            random_state=int(self._rng.integers(2**31)),
            stratify=data.labels if self.loss == "cross_entropy" else None,
        )
        return data._replace(indices=train), data._replace(indices=validation)

    def _pace_of(self, batch_size: int) -> Pace:
        """The pace of steps of that many rows; what earlier calls of fit have learnt of it is kept."""
        if self._pace is None or self._pace[0] != batch_size:
            step_flops = 6.0 * batch_size * self.net.params.size
            self._pace = batch_size, Pace(self.n_threads, step_flops, n_shares=-(-batch_size // TILE_ROWS))
        return self._pace[1]

    def _run_epoch(
        self,
        data: kernels.Data,
        work: kernels.Workspace,
        batch_size: int,
        pace: Pace,
        display: progress.Silent,
    ) -> tuple[float, float]:
        """One pass over the data, in compiled calls that `pace` measures; mean cost and summed score."""
        n_rows = data.indices.size
        totals = np.zeros(kernels.N_TOTALS)
        n_steps = -(-n_rows // batch_size)
        state = self._state._replace(rates=self.optimizer.rates(np.full(n_steps, self.optimizer.lr), self._steps))
        network = self.net._network()
        first = 0
        while first < n_rows:
            n_parts, n_steps = pace.chunk()
            loaded = _n_loaded()
            start = time.perf_counter()
            plan = (first, min(n_steps * batch_size, n_rows - first), batch_size, self._steps + 1)
            before = totals[kernels.STEPS_DONE]
            args = (network, work, data, self._objective, state, plan, totals)
            launch(kernels.train_part, self.net.dtype, n_parts, new_team(), *args)
            if totals[kernels.FAILED] == kernels.NOT_TOGETHER:
                totals[kernels.FAILED] = 0
                pace.alone()
                continue
            n_steps = int(totals[kernels.STEPS_DONE] - before)
            self._steps += n_steps
            if totals[kernels.FAILED] == kernels.NOT_FINITE:
                raise self._divergence(bool(totals[kernels.ROWS_DONE]))
            if _n_loaded() == loaded:  # else most of the time went into compiling or loading
                pace.note(n_parts, n_steps, time.perf_counter() - start)
            first += plan[1]
            display.rows(first)
        return totals[kernels.COST_SUM] / n_rows, totals[kernels.SCORE_SUM]

    def _divergence(self, started: bool) -> DivergenceError:
        epoch = len(self.history) + 1
        when = f"in epoch {epoch}" if started else f"in the first batch of epoch {epoch}"
        return DivergenceError(
            f"the cost became NaN or infinite {when} (after {self._steps} steps). Try a smaller learning "
            f"rate than {self.optimizer.lr:g}, or standardise x and y. The network keeps its last finite "
            "weights."
        )

    def _spread(self, data: kernels.Data) -> float:
        """What a regression's squared error is measured against: that of predicting the mean."""
        if not self._is_regression:
            return 0.0
        targets = data.targets[data.indices] if data.indices.size else data.targets
        return float(((targets - targets.mean(axis=0, dtype=np.float64)) ** 2).sum())

    def _metric(self, score_sum: float, spread: float, n_rows: int) -> float:
        """Accuracy, or R squared over all outputs together (0 where the targets do not vary)."""
        if not self._is_regression:
            return score_sum / n_rows
        return 1.0 - score_sum / spread if spread > 0 else 0.0

    def _score_rows(self, data: kernels.Data) -> tuple[np.ndarray, np.ndarray]:
        """Losses and scores of checked data, row by row."""
        n_rows = data.indices.size or len(data.x)
        flops = 2.0 * n_rows * self.net.params.size
        n_parts = parts_for(self.n_threads, flops, PARALLEL_CALL_FLOPS, -(-n_rows // ROW_BLOCK))
        n_targets = data.labels.shape[1] + data.targets.shape[1]
        work = self.net._layout.workspace(min(n_rows, ROW_BLOCK) * n_parts, n_targets)
        losses, scores = np.empty(n_rows), np.empty(n_rows)
        args = (losses, scores, self.net._network(), work, data, self._objective)
        launch(kernels.score_part, self.net.dtype, n_parts, *args)
        return losses, scores

    def _score(self, data: kernels.Data, spread: float) -> tuple[float, float]:
        """Mean cost and metric of checked data of that spread."""
        losses, scores = self._score_rows(data)
        return float(losses.mean()), self._metric(scores.sum(), spread, len(losses))

    def evaluate(self, x, y) -> dict[str, float]:
        """Cost (mean loss, without penalty) and metric of some rows.

        Parameters
        ----------
        x, y : array-like
            As in :meth:`fit`.

        Returns
        -------
        dict
            "cost", and "accuracy" or "r2".
        """
        data = self._check_data(x, y)
        cost, metric = self._score(data, self._spread(data))
        return {"cost": cost, self.history.metric_name: metric}

    def losses(self, x, y) -> np.ndarray:
        """Loss of each row, float64 of shape (n,); their mean is the cost. Arguments as in :meth:`fit`."""
        return self._score_rows(self._check_data(x, y))[0]

    def gradient(self, x, y) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
        """Cost over all the rows as one batch, and its gradient.

        Parameters
        ----------
        x, y : array-like
            As in :meth:`fit`.

        Returns
        -------
        cost : float
            Without penalty.
        grad_weights : list of ndarray, shape (n_in, n_out) each
        grad_biases : list of ndarray, shape (n_out,) each
        """
        data = self._check_data(x, y)
        n_rows = len(data.x)
        work = self._reserve(n_rows, data.labels.shape[1] + data.targets.shape[1])
        network = self.net._network()
        kernels.transpose_weights(network)
        flat = aligned_zeros(network.params.size, self.net.dtype)
        cost = kernels.gradient(flat, network, work, data, self._objective, n_rows)
        return float(cost), *self.net._split(flat)
