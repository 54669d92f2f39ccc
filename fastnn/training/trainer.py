"""The trainer, which checks its arguments and connects the owners of rows, state, scores and the loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..data.streams.stream import Stream
from ..history import History
from ..losses import Loss
from ..network.mlp import MLP
from ..optimizers import SGD, Optimizer
from ..schedules import Schedule
from .averages import EMA, SWA
from .callbacks import CallbackList
from .checkpoint import Checkpoint
from .core import Core
from .evaluator import Evaluator
from .lbfgs import train_by_lbfgs
from .loop import Run
from .resume import Checkpoints
from .scores import Scores
from .settings import Settings
from .sources import open_sources
from .state import State, StepPlan
from .steps import Steps
from .stopping import Best, EarlyStopping


class Trainer(Evaluator):
    """Train a network by mini-batch gradient descent.

    Parameters
    ----------
    net : MLP
        Changed in place.
    loss : str, Loss or callable
        A name listed at :class:`fastnn.Loss`, with the targets it expects, such as "cross_entropy" (class
        numbers), "binary_cross_entropy" (0 and 1, for one output or several) or "mse"; or your own function
        ``loss(a, y)`` of two numbers.
    optimizer : str or Optimizer, default="adam"
        "sgd", "rmsprop", "adagrad", "adadelta", "adam", "amsgrad", "adamw", "nadam", "radam", "lion",
        "lbfgs", or an object such as ``fastnn.Adam(lr=1e-3)``.
    schedule : str, Schedule or callable, optional
        Schedule of the learning rate; see :mod:`fastnn.schedules`.
    batch_size : int or None, default=32
        None for all rows at once. The last batch of an epoch may be smaller.
    l1, l2 : float, default=0.0
        ``(l2 / 2 * sum(w ** 2) + l1 * sum(abs(w))) / n`` is added to the cost of a batch of n rows; biases
        are left out. The history has it apart from the cost, as "penalty".
    clip_value : float, optional
        Clip every element of the gradient to this size.
    clip_norm : float, optional
        Scale the gradient as a whole down to this norm.
    accumulate : int, default=1
        Number of batches per update: the result is that of batches this many times larger, in less memory.
    max_norm : float, optional
        Scale the weights into each unit down to this norm after every update.
    rate_factors : dict, optional
        Factors on the learning rate: for a layer by its number (0 is the first, -1 the last), for all biases,
        gains, shifts and slopes by "bias", for embeddings by "embeddings". 0 freezes them.
    average : EMA or SWA, optional
        Validate and end with an average of the weights; training itself uses the unaveraged weights, to which
        the running statistics of batch normalisations belong.
    class_weight : dict, "balanced" or None, default=None
        Weight of the rows of each class, by class number; "balanced" is ``n / (n_classes * count)``.
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new random order.
    lazy : bool, default=False
        For sparse rows: do not update the weights of features that a batch lacks, nor their moments; penalty
        and decay leave them alone. With many features, far less memory is moved; the result differs
        (PyTorch's SparseAdam). Plain "sgd", under which such weights would not move, is always lazy.
    seed : int or numpy.random.Generator, optional
        Seed for the order of the rows and for dropout. The same seed gives the same weights to the bit, for
        any n_threads.
    n_threads : int, optional
        Largest number of threads; all usable cores by default, fewer when the work is small.

    Attributes
    ----------
    settings : Settings
        The arguments above, checked; they never change.
    history : History
    lr : float
        The optimiser's learning rate, from which the schedule starts; may be set.
    n_rows : int
        Number of rows that the last call of :meth:`fit` trained on, without held-out rows.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here, or cannot be combined with another.

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

    # A setting that is assigned to the trainer itself is an error: it would have no effect.
    __slots__ = ("__weakref__", "_steps", "core", "net", "settings", "state")

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
        rng = _checks.make_rng(seed)
        self.net = net
        self.settings = Settings.check(
            net.compiled_network.architecture,
            loss=loss,
            optimizer=optimizer,
            schedule=schedule,
            batch_size=batch_size,
            l1=l1,
            l2=l2,
            clip_value=clip_value,
            clip_norm=clip_norm,
            accumulate=accumulate,
            max_norm=max_norm,
            rate_factors=rate_factors,
            average=average,
            class_weight=class_weight,
            shuffle=shuffle,
            lazy=lazy,
            n_threads=n_threads,
        )
        self.state = State(net.compiled_network, self.settings, rng)
        self.core = Core(net.compiled_network, self.settings, self.state)
        self._steps: Steps | None = None
        # Last, so that a constructor that raises leaves the network unchanged.
        net.output = self.settings.output_for(net.compiled_network.architecture)

    @property
    def lr(self) -> float:
        """The optimiser's learning rate, from which the schedule starts; may be set."""
        return self.state.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.state.lr = lr

    @property
    def history(self) -> History:
        """Figures of all epochs, from all calls of :meth:`fit`."""
        return self.state.history

    @property
    def n_rows(self) -> int:
        """Number of rows that the last call of :meth:`fit` trained on, without held-out rows."""
        return self.state.n_rows

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("net", "settings", "state")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.net, self.settings, self.state = state["net"], state["settings"], state["state"]
        self.core = Core(self.net.compiled_network, self.settings, self.state)
        self._steps = None

    def fit(
        self,
        x: ArrayLike | Stream,
        y: ArrayLike | None = None,
        epochs: int = 10,
        *,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Any, ...] | Stream | None = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStopping | None = None,
        metrics: Any = (),
        callbacks: Any = (),
        checkpoint: Checkpoint | None = None,
        record_norms: bool = False,
        verbose: int = 1,
    ) -> History:
        """Train for some epochs; another call continues the training.

        Parameters
        ----------
        x : array-like or sparse matrix of shape (n, n_in), or Stream
            Copied only where it is not a contiguous array of the network's dtype, or CSR. A stream is data
            larger than memory: a thread reads its blocks ahead of the training.
        y : array-like of shape (n,) or (n, n_out)
            Targets, as the loss expects them. A stream brings its own.
        epochs : int, default=10
        sample_weight : array-like of shape (n,), optional
            Weights of the rows: the cost of a batch is the weighted mean of its losses; metrics are weighted,
            too.
        validation_data : tuple (x_val, y_val) or (x_val, y_val, weight_val), or Stream, optional
        validation_fraction : float in (0, 1), optional
            Hold out this share of the rows instead; classes keep their proportions. Needs scikit-learn. Not
            for a stream, which has its own ``split``.
        early_stopping : EarlyStopping, optional
        metrics : str, callable or sequence of them
            More figures for the history: names of scikit-learn's scorers, or functions
            ``metric(y_true, y_pred)``. They are computed on the validation rows or, without any, on the
            training rows, unless those are a stream.
        callbacks : Callback, callable or sequence of them
            See :class:`fastnn.Callback`; a function is called with the trainer and the figures of each epoch.
        checkpoint : Checkpoint, optional
            Save the state of the training regularly, and continue from it when called again after a crash.
        record_norms : bool, default=False
            Add to the history the norms of each layer's weights and of their gradient over the epoch's first
            batch (for a stream, the first batch of its last block): they show vanishing gradients.
        verbose : int, default=1
            0 shows no progress, 1 a bar, 2 a table of the last epochs and a curve of the cost; without a
            terminal, both print a line now and then.

        Returns
        -------
        History
            The trainer's history, with all epochs so far. Ctrl-C ends training with a warning and
            keeps network and history as they are. With `checkpoint`, it first writes one to continue from;
            pressing Ctrl-C twice does not wait for it.

        Raises
        ------
        DivergenceError
            If the cost becomes NaN or infinite. The network keeps its last finite weights.
        ValueError, TypeError
            If an argument is not what is described here.
        """
        _checks.check_count("epochs", epochs)
        _checks.check_count("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
        record_norms = _checks.check_flag("record_norms", record_norms)
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            raise TypeError(
                f"early_stopping must be a fastnn.EarlyStopping, got {_checks.shown(early_stopping)}."
            )
        core, state = self.core, self.state
        data = x, y, sample_weight
        called = CallbackList(callbacks)
        with state.undrawn_if_refused():
            source, held_out = open_sources(core, data, validation_data, validation_fraction)
            scores = Scores(self.net, core, source, held_out, metrics, record_norms)
            scores.check_monitors(early_stopping=early_stopping, schedule=self.settings.schedule)
            run = Run(
                trainer=self,
                core=core,
                source=source,
                scores=scores,
                best=Best(early_stopping, state.epoch_params(), scores.falls(early_stopping)),
                checkpoints=Checkpoints(checkpoint, core, source, held_out, early_stopping),
                callbacks=called,
                n_epochs=len(state.history) + epochs,
                verbose=verbose,
            )
        run.execute(train_by_lbfgs if self.settings.is_lbfgs else Run.train_epochs)
        return state.history

    def step(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        output_grad: ArrayLike | None = None,
    ) -> float:
        """Train on one batch: for online learning, reinforcement learning, and loops of your own.

        A step does what a step of :meth:`fit` does, to the bit, at the lowest cost per call. All rows of the
        batch make one update, so `batch_size` does not count; with `accumulate`, they go through the network
        in that many parts. The history, and an SWA, grow with the epochs of :meth:`fit` alone.

        Parameters
        ----------
        x : array-like or sparse matrix of shape (n, n_in)
            Taken as it is if it is an array of the network's dtype in C order.
        y : array-like of shape (n,) or (n, n_out)
            Targets, as the loss expects them: taken as they are if they are int32 or int64 labels, or values
            of the network's dtype.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        output_grad : array-like of shape (n, n_out), optional
            In place of y: the gradient, by the network's outputs, of a cost computed elsewhere, such as a
            policy gradient, or a loss of several rows or networks together. It is the cost of the batch as
            a whole, so a mean over rows must be in it. Outputs are after the output activation, as
            ``net.predict_raw`` gives them.

        Returns
        -------
        float
            Cost of the batch before the update: the mean loss, and the penalty, if there is any. With
            `output_grad`, ``(output_grad * outputs).sum()`` stands for the loss.

        Raises
        ------
        DivergenceError
            If the cost is NaN or infinite. The network keeps its last finite weights.
        ValueError, TypeError
            If an argument is not what is described here; if the schedule needs :meth:`plan_steps` first; if
            the optimiser is "lbfgs", or `class_weight` is "balanced", which need all rows at once.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> trainer = fastnn.Trainer(fastnn.MLP([2, 8, 1], seed=0), loss="mse")
        >>> rng = np.random.default_rng(0)
        >>> for _ in range(500):
        ...     x = rng.random((32, 2), dtype="float32")
        ...     cost = trainer.step(x, x[:, 0] * x[:, 1])
        >>> cost < 0.01
        True
        """
        if self._steps is None:
            self._steps = Steps(self.core)
        if output_grad is None:
            return self._steps(x, y, sample_weight)
        if y is not None or sample_weight is not None:
            raise ValueError("output_grad takes the place of y and sample_weight: give it alone.")
        return self._steps.by_gradient(x, output_grad)

    def plan_steps(self, n_steps: int, n_epochs: int = 1) -> None:
        """Say how many calls of :meth:`step` will follow, for a schedule that depends on it.

        After the last of them, the learning rate stays as it is then.

        Parameters
        ----------
        n_steps : int
            Number of steps that the schedule takes for an epoch.
        n_epochs : int, default=1
            Number of such epochs.

        Raises
        ------
        ValueError, TypeError
            If a number is not an integer above 0.

        Examples
        --------
        >>> import fastnn
        >>> trainer = fastnn.Trainer(fastnn.MLP([2, 8, 1]), loss="mse", schedule="cosine")
        >>> trainer.plan_steps(10_000)
        """
        n_steps, n_epochs = _checks.check_count("n_steps", n_steps), _checks.check_count("n_epochs", n_epochs)
        self.state.planned, self._steps = StepPlan(n_steps, n_epochs, self.state.n_seen), None

    def stop(self, reason: str = "stopped") -> None:
        """End training after the epoch or, if called in ``on_batch_end``, after the batch; for callbacks.

        Parameters
        ----------
        reason : str, default="stopped"
            Stored as ``history.stop_reason``.
        """
        self.state.stop(reason if isinstance(reason, str) else _checks.shown(reason))

    def change_lr(self, lr: float) -> None:
        """Change the learning rate but keep the velocity of momentum, ``lr * m``.

        scikit-learn and Keras define momentum in this way. Setting ``lr`` keeps m instead, as PyTorch does:
        the velocity then changes with the rate.

        Parameters
        ----------
        lr : float
            The new learning rate, above 0.

        Raises
        ------
        ValueError
            If the optimiser is not SGD, and so has no velocity; or if lr is not above 0.
        """
        optimizer = self.settings.optimizer
        if not isinstance(optimizer, SGD):
            raise ValueError(f"change_lr is for SGD's momentum, but the optimiser is {optimizer!r}.")
        lr = _checks.check_number("lr", lr, 0.0, open_low=True)
        self.state.m[:] *= self.lr / lr
        self.lr = lr

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Give the network its averaged weights, if there are any, within a ``with`` block; for callbacks.

        Returns
        -------
        context manager
        """
        return self.state.averager.averaged()
