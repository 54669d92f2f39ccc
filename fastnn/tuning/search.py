"""A search for good hyper-parameters, by Optuna: seeded, pruned, and resumable after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import sqlite3
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ..losses import Loss, as_loss
from ..metrics import Metric
from ..network.mlp import MLP
from ..optimizers import as_optimizer
from ..training.callbacks import Callback, CallbackList
from ..training.loop import DivergenceError
from ..training.stopping import EarlyStopping
from ..training.trainer import Trainer
from . import display

# What a network is trained with unless the search says otherwise; the names are all that may be searched.
DEFAULTS: dict[str, Any] = {
    "n_layers": 1,
    "width": 128,
    "activation": "relu",
    "dropout": 0.0,
    "input_dropout": 0.0,
    "norm": None,
    "residual": False,
    "init": None,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "schedule": "constant",
    "batch_size": 32,
    "l1": 0.0,
    "l2": 0.0,
    "clip_norm": None,
    "class_weight": None,
    "label_smoothing": 0.0,
}
_OF_NETWORK = ("activation", "dropout", "input_dropout", "norm", "residual", "init")
_OF_TRAINER = ("schedule", "batch_size", "l1", "l2", "clip_norm", "class_weight")
_OF_OPTIMIZER = ("lr", "weight_decay")
_WHOLE = ("n_layers", "width", "batch_size")

PRUNERS = ("median", "hyperband", "halving", "none")
HELD_OUT = 0.2  # share of the rows, where the caller names none to validate on
REPORTS = 25  # of a training to the pruner, at most about: each is a write to the storage
AWAKE_SECONDS = 0.05
RANDOM_TRIALS = 10  # before Optuna's model of the costs takes over


def default_space(loss: str | Loss, n_rows: int) -> dict[str, Any]:
    """Where :func:`tune` searches, if nothing else is said.

    Parameters
    ----------
    loss : str, Loss or callable
        Label smoothing is searched where the loss has it.
    n_rows : int
        Of the training; batches have at most an eighth of them.

    Returns
    -------
    dict
        For each name a list of choices, or ``(low, high)``, or ``(low, high, "log")``.

    Examples
    --------
    >>> default_space("mse", n_rows=1000)["batch_size"]
    [16, 32, 64]
    """
    space: dict[str, Any] = {
        "n_layers": (1, 4),
        "width": (32, 512, "log"),
        "activation": ["relu", "silu", "gelu", "tanh"],
        "dropout": (0.0, 0.5),
        "norm": [None, "layer", "batch"],
        "lr": (1e-4, 3e-2, "log"),
        "weight_decay": (1e-4, 1.0, "log"),
        "schedule": ["constant", "one_cycle", "cosine"],
        "batch_size": [2**k for k in range(4, 10) if 2**k <= max(32, n_rows // 8)],
    }
    if "label_smoothing" in as_loss(loss).parameters:
        space["label_smoothing"] = (0.0, 0.2)
    return space


class Space:
    """What is searched, as Optuna takes it, and what is fixed.

    Parameters
    ----------
    given : mapping
        By name of DEFAULTS: a list of choices, a tuple ``(low, high)`` or ``(low, high, "log")``, or the one
        value that it has.

    Raises
    ------
    ValueError, TypeError
        If a name or a value is not what is described here.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        distributions = _checks.require("optuna.distributions", "tune")
        self.fixed = dict(DEFAULTS)
        self.searched: dict[str, Any] = {}
        self.first: dict[str, Any] = {}  # the defaults, or what comes nearest to them
        self.ends: dict[str, list] = {}  # what is tried of each name before the search begins
        for name, where in given.items():
            what = f"space[{name!r}]"
            _checks.check_name("a name of space", name, DEFAULTS)
            default = DEFAULTS[name]
            if isinstance(where, list):
                _check_choices(what, where)
                self.ends[name] = where
                if len(where) > 1:
                    self.first[name] = default if default in where else _nearest(default, where)
                    self.searched[name] = distributions.CategoricalDistribution(where)
            elif isinstance(where, tuple):
                low, high, log = _check_range(what, where, name in _WHOLE)
                self.ends[name] = [low, high]
                if low < high:
                    kind = "IntDistribution" if name in _WHOLE else "FloatDistribution"
                    self.searched[name] = getattr(distributions, kind)(low, high, log=log)
                    self.first[name] = min(max(low if default is None else default, low), high)
            else:
                self.ends[name] = [where]
            if name not in self.searched:
                self.fixed[name] = self.ends[name][0]

    def settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a trial, from those that the search chose."""
        return self.fixed | dict(chosen)

    def __repr__(self) -> str:
        fixed = {name: value for name, value in self.fixed.items() if name not in self.searched}
        return f"{dict(sorted(self.searched.items()))}, fixed {fixed}"


def _check_choices(what: str, choices: list) -> None:
    if not choices:
        raise ValueError(f"{what} has no choices: expected at least one.")
    for choice in choices:
        if not isinstance(choice, (str, bool, int, float, type(None))):
            raise TypeError(f"{what} must list texts, numbers or None, got {choice!r}.")


def _check_range(what: str, given: tuple, whole: bool) -> tuple[float, float, bool]:
    if len(given) not in (2, 3) or (len(given) == 3 and given[2] != "log"):
        raise ValueError(f'{what} must be (low, high) or (low, high, "log"), got {given!r}.')
    log = len(given) == 3
    low, high = (
        _checks.check_count(what, end) if whole else _checks.check_number(what, end, 0.0, open_low=log)
        for end in given[:2]
    )
    if low > high:
        raise ValueError(f"{what} must rise from low to high, got {given!r}.")
    return low, high, log


def _nearest(default, choices: list):
    """The choice that comes nearest to a number; of anything else the first."""
    if isinstance(default, float | int) and all(isinstance(choice, float | int) for choice in choices):
        return min(choices, key=lambda choice: abs(choice - default))
    return choices[0]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a trainer is made of, but for the settings.

    Attributes
    ----------
    n_in, n_out : int
    loss : Loss
    embeddings : dict or None
    dtype : str
    seed : int
    n_threads : int or None
    """

    n_in: int
    n_out: int
    loss: Loss
    embeddings: Mapping[int, tuple[int, int]] | None = None
    dtype: str = "float32"
    seed: int = 0
    n_threads: int | None = None

    def loss_of(self, smoothing: float) -> Loss:
        """The loss, with so much label smoothing where it has that."""
        parameters = self.loss.parameters
        if "label_smoothing" not in parameters:
            return self.loss
        return Loss(self.loss.name, **{**parameters, "label_smoothing": smoothing})

    def make_trainer(self, settings: Mapping[str, Any], seed: int | None = None) -> Trainer:
        """An untrained network with its trainer; the same seed makes the same to the bit."""
        seeds = np.random.SeedSequence(self.seed if seed is None else seed).spawn(2)
        weights_rng, order_rng = map(np.random.default_rng, seeds)
        net = MLP(
            [self.n_in, *[settings["width"]] * settings["n_layers"], self.n_out],
            **{name: settings[name] for name in _OF_NETWORK},
            embeddings=self.embeddings,
            dtype=self.dtype,
            seed=weights_rng,
        )
        optimizer: Any = as_optimizer(settings["optimizer"])
        fields = {field.name for field in dataclasses.fields(optimizer)}
        its = {name: settings[name] for name in _OF_OPTIMIZER if name in fields}
        return Trainer(
            net,
            loss=self.loss_of(settings["label_smoothing"]),
            optimizer=dataclasses.replace(optimizer, **its),
            **{name: settings[name] for name in _OF_TRAINER},
            seed=order_rng,
            n_threads=self.n_threads,
        )

    def check(self, space: Space) -> None:
        """Refuse values that network or trainer would refuse, before the search begins.

        Raises
        ------
        ValueError, TypeError
        """
        small = space.settings(space.first) | {"width": 1, "n_layers": 1}
        for name, ends in space.ends.items():
            for value in ends:
                if name in _WHOLE and value is not None:
                    _checks.check_count(f"space[{name!r}]", value)
                    continue
                try:
                    self.make_trainer(small | {name: value})
                except (ValueError, TypeError) as error:
                    raise type(error)(f"space[{name!r}]: {error}") from None
        if "label_smoothing" in space.ends and "label_smoothing" not in self.loss.parameters:
            raise ValueError(f"space has label_smoothing, which loss {self.loss.name!r} has not.")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes
    ----------
    number : int
        Counted from 1; those that were broken off do not count.
    score : float
        The lowest validation cost of its epochs, without label smoothing; the mean over the folds. Infinite
        if it diverged; of a pruned one the last that was seen.
    ending : str
        "epochs", "early stopping", "schedule", "pruned" or "diverged".
    epochs, best_epoch : int
        How many were trained, and that of the score; with several folds, of the last one and the median.
    seconds : float
    settings : dict
        With the names of DEFAULTS.
    """

    number: int
    score: float
    ending: str
    epochs: int
    best_epoch: int
    seconds: float
    settings: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Split:
    """Rows to train on, and to validate with."""

    train: tuple[Any, Any]
    held_out: tuple[Any, Any]


class _Watch(Callback):
    """Keeps the best cost of a training, tells it to the search, and ends what is hopeless or not wanted."""

    def __init__(
        self,
        report: Callable[[int, float], bool] = lambda epoch, cost: False,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._report, self._is_over = report, is_over
        self.monitor = "val_cost"
        self.best, self.best_epoch, self.n_epochs = math.inf, 0, 0

    def on_epoch_end(self, trainer, epoch):
        self.n_epochs = epoch.epoch
        cost = epoch.figure(self.monitor)
        if cost < self.best:
            self.best, self.best_epoch = cost, epoch.epoch
        if self._is_over():
            trainer.stop("interrupted")
        elif self._report(epoch.epoch, cost if math.isfinite(cost) else math.inf):
            trainer.stop("pruned")


def _plain_cost(trainer: Trainer, plain: Loss, held_out: tuple[Any, Any]) -> Metric:
    """A metric: the cost of the validation rows without label smoothing, which makes trials comparable."""
    judge = Trainer(trainer.net, loss=plain, optimizer="sgd", n_threads=trainer.settings.n_threads)

    def cost(y_true, y_pred) -> float:
        return judge.evaluate(*held_out)["cost"]

    return Metric(
        "plain_cost", str(trainer.settings.task(trainer.net.sizes[-1])), cost, higher_is_better=False
    )


def _train(
    recipe: Recipe,
    settings: Mapping[str, Any],
    split: _Split,
    epochs: int,
    patience: int,
    watch: _Watch,
    *,
    seed: int | None = None,
    callbacks: Any = (),
    verbose: int = 0,
) -> Trainer:
    """Train as a trial does; a DivergenceError passes through."""
    trainer = recipe.make_trainer(settings, seed)
    smoothed = settings["label_smoothing"] > 0
    watch.monitor = "val_plain_cost" if smoothed else "val_cost"
    trainer.fit(
        *split.train,
        epochs=epochs,
        validation_data=split.held_out,
        early_stopping=EarlyStopping(watch.monitor, patience=patience),
        metrics=_plain_cost(trainer, recipe.loss_of(0.0), split.held_out) if smoothed else (),
        callbacks=[watch, CallbackList(callbacks)],
        verbose=verbose,
    )
    return trainer


class TuneResult:
    """What a search has found.

    Attributes
    ----------
    settings : dict
        Of the best trial, with the names of DEFAULTS.
    score : float
        Of the best trial: the lower, the better.
    best : Trial
    default : Trial
        The first one, with the default settings or those nearest to them.
    trials : list of Trial
        All that ended, in their order.
    stop_reason : {"trials", "timeout", "interrupted"}
    study : optuna.Study
        For Optuna's own plots and figures.
    """

    def __init__(
        self, study, trials: list[Trial], recipe: Recipe, epochs: int, patience: int, stop_reason: str
    ) -> None:
        self.study, self.trials, self.stop_reason = study, trials, stop_reason
        whole = [trial for trial in trials if trial.ending != "pruned"]
        self.best = min(whole, key=lambda trial: trial.score)
        self.default = trials[0]
        self.settings, self.score = self.best.settings, self.best.score
        self._recipe, self._epochs, self._patience = recipe, epochs, patience

    def make_trainer(self, seed: int | None = None) -> Trainer:
        """A new network and its trainer with the best settings, untrained.

        Parameters
        ----------
        seed : int, optional
            By default that of the search.
        """
        return self._recipe.make_trainer(self.settings, seed)

    def fit(
        self, x, y, *, validation_data=None, seed: int | None = None, verbose: int = 1, callbacks: Any = ()
    ) -> Trainer:
        """Train a new network with the best settings.

        Parameters
        ----------
        x, y : array-like
            As :func:`tune` takes them.
        validation_data : tuple (x_val, y_val), optional
            With it, training is what the trial was: as many epochs at most, early stopping, the weights of
            the best epoch. Without it, it lasts as many epochs as the trial needed to its best one.
        seed : int, optional
            By default that of the search.
        verbose, callbacks
            As ``Trainer.fit`` takes them.

        Returns
        -------
        Trainer
            Trained; its ``net`` predicts.
        """
        if validation_data is None:
            trainer = self.make_trainer(seed)
            trainer.fit(x, y, epochs=self.best.best_epoch, verbose=verbose, callbacks=callbacks)
            return trainer
        split = _Split((x, y), tuple(validation_data))
        plan = (self._recipe, self.settings, split, self._epochs, self._patience, _Watch())
        return _train(*plan, seed=seed, verbose=verbose, callbacks=callbacks)

    def importances(self) -> dict[str, float]:
        """How much of the variation of the scores each setting explains, the largest first; their sum is 1.

        By functional ANOVA (Hutter et al., 2014), over the trials that were not pruned; with fewer than two
        different scores there is nothing to explain, and all are 0.

        Raises
        ------
        ImportError
            Where scikit-learn is not installed.
        """
        _checks.require("sklearn", "sklearn")
        optuna = _checks.require("optuna.importance", "tune")
        names = list(self.study.user_attrs["searched"])
        scores = {trial.score for trial in self.trials if trial.ending != "pruned"} - {math.inf}
        if len(scores) < 2:
            return dict.fromkeys(names, 0.0)
        evaluator = optuna.FanovaImportanceEvaluator(seed=self._recipe.seed)
        found = optuna.get_param_importances(self.study, evaluator=evaluator, params=names)
        return {name: float(share) for name, share in found.items()}

    def to_frame(self):
        """The trials as a pandas DataFrame, one row each.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        pandas = _checks.require("pandas", "tables")
        rows = [dataclasses.asdict(trial) for trial in self.trials]
        return pandas.DataFrame([row | row.pop("settings") for row in rows]).set_index("number")

    def __repr__(self) -> str:
        return f"TuneResult({len(self.trials)} trials, score={self.score:.4g}, settings={self.settings})"


def tune(
    x,
    y,
    *,
    loss: str | Loss,
    n_out: int | None = None,
    validation_data: tuple[Any, Any] | None = None,
    folds: int | Iterable[tuple[Any, Any]] | None = None,
    n_trials: int = 50,
    timeout: float | None = None,
    epochs: int = 50,
    patience: int | None = None,
    storage: str | os.PathLike[str] | None = None,
    study_name: str = "fastnn",
    space: Mapping[str, Any] | None = None,
    pruner: str = "median",
    embeddings: Mapping[int, tuple[int, int]] | None = None,
    dtype: Any = "float32",
    seed: int = 0,
    n_threads: int | None = None,
    n_jobs: int = 1,
    callbacks: Any = (),
    verbose: int = 1,
) -> TuneResult:
    """Search for the hyper-parameters with the lowest validation cost.

    The first trial has the default settings, so the result is never worse than those. Then Optuna (Akiba et
    al., 2019) proposes: at first at random, later by the tree-structured Parzen estimator (Bergstra et al.,
    2011). Every trial trains with early stopping and counts with its best epoch; all start from the same
    seed. A trial that is hopeless beside the others at the same epoch is pruned.

    Parameters
    ----------
    x : array-like or sparse matrix of shape (n, n_in)
    y : array-like of shape (n,) or (n, n_out)
        What the loss expects.
    loss : str, Loss or callable
        As of :class:`fastnn.Trainer`. Trials are compared by it, without label smoothing.
    n_out : int, optional
        Outputs of the network; by default what y tells.
    validation_data : tuple (x_val, y_val), optional
    folds : int or iterable of pairs of index arrays, optional
        Cross-validation instead: the number of folds (which needs scikit-learn), or (training rows,
        validation rows) of each. Pruning looks at the first fold. With neither, a fifth of the rows is held
        out, which needs scikit-learn too.
    n_trials : int, default=50
        In all, with those that the storage holds.
    timeout : float, optional
        Seconds after which no more trial starts.
    epochs : int, default=50
        Of a trial, at most.
    patience : int, optional
        Epochs without improvement after which a trial ends; a fifth of `epochs` by default, 5 at least.
    storage : path-like, optional
        An SQLite file. The same call after a kill goes on with the trials that are in it, and only does what
        is left; the trial that the kill broke off begins anew. One process at a time. While it is open, and
        after a kill, files with "-wal" and "-shm" after its name belong to it.
    study_name : str, default="fastnn"
        Of the search in the file, which may hold several.
    space : mapping, optional
        What differs from :func:`default_space`, by name: a list of choices; a tuple ``(low, high)`` or
        ``(low, high, "log")``; or one value, which is then not searched. Names are those of ``DEFAULTS``:
        n_layers, width, activation, dropout, input_dropout, norm, residual, init, optimizer, lr,
        weight_decay, schedule, batch_size, l1, l2, clip_norm, class_weight, label_smoothing.
    pruner : {"median", "hyperband", "halving", "none"}, default="median"
        "median": what is worse than the median of the others at that epoch; "hyperband" (Li et al., 2018);
        "halving" (Jamieson and Talwalkar, 2016).
    embeddings : dict, optional
        As of :class:`fastnn.MLP`.
    dtype : {"float32", "float64"}, default="float32"
    seed : int, default=0
        With n_jobs=1, the same seed gives the same trials, also where the search was resumed.
    n_threads : int, optional
        Of a training, at most.
    n_jobs : int, default=1
        Trials that are trained at once, on a core each: faster for small networks.
    callbacks : callable or sequence of them
        Called with each :class:`Trial` that has ended.
    verbose : int, default=1
        0 shows no progress.

    Returns
    -------
    TuneResult
        After Ctrl-C too, with a warning, of the trials until then.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here, or the storage is of another search.
    OSError
        If the storage cannot be read or written; the trials in it are kept.
    DivergenceError
        If all trials diverged.
    ImportError
        Where Optuna is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 4))
    >>> y = (x[:, 0] * x[:, 1] > 0).astype(int)
    >>> result = tune(
    ...     x[:150], y[:150], loss="cross_entropy", validation_data=(x[150:], y[150:]),
    ...     n_trials=4, epochs=5, space={"activation": "relu", "width": (8, 32, "log")}, verbose=0,
    ... )
    >>> len(result.trials), result.score <= result.default.score
    (4, True)
    >>> trainer = result.fit(x, y, verbose=0)
    >>> trainer.net.predict(x).shape
    (200,)
    """
    optuna = _checks.require("optuna", "tune")
    _checks.check_count("n_trials", n_trials)
    _checks.check_count("epochs", epochs)
    _checks.check_count("seed", seed, 0)
    _checks.check_count("n_jobs", n_jobs)
    _checks.check_limit("timeout", timeout)
    _checks.check_name("pruner", pruner, PRUNERS)
    patience = max(5, epochs // 5) if patience is None else _checks.check_count("patience", patience)
    dtype = _checks.check_dtype(dtype)
    callbacks = [callbacks] if callable(callbacks) else list(callbacks)
    the_loss = as_loss(loss)
    x, y = _check_rows("x", x, "y", y, the_loss, n_out, dtype)
    n_out = n_out or _n_out(the_loss, y)
    recipe = Recipe(x.shape[1], n_out, the_loss, embeddings, dtype.name, seed, n_threads)
    splits = _splits(x, y, recipe, validation_data, folds)
    where = Space({**default_space(the_loss, splits[0].train[0].shape[0]), **(space or {})})
    recipe.check(where)
    if not where.searched:
        raise ValueError("space leaves nothing to search: each name has one value.")
    facts = {
        "data": [[_digest(part) for part in (*split.train, *split.held_out)] for split in splits],
        "loss": _text(the_loss),
        "n_out": n_out,
        "epochs": epochs,
        "patience": patience,
        "space": _text(where),
        "pruner": pruner,
        "embeddings": _text(recipe.embeddings),
        "dtype": dtype.name,
        "seed": seed,
    }
    with _calm(optuna), _storage_errors(optuna, storage), _opened(optuna, storage) as opened:
        study = _open_study(optuna, opened, study_name, _make_pruner(optuna, pruner, epochs), facts, where)
        search = _Search(optuna, study, where, recipe, splits, epochs, patience, n_jobs, callbacks)
        stop_reason = search.run(n_trials, timeout, verbose)
    if not search.trials:
        raise KeyboardInterrupt
    if not any(math.isfinite(trial.score) for trial in search.trials if trial.ending != "pruned"):
        raise DivergenceError(
            f"all {len(search.trials)} trials diverged: standardise x and y, or search lower learning rates."
        )
    if stop_reason == "interrupted":
        warnings.warn(
            f"The search was interrupted after {len(search.trials)} of {n_trials} trials; this is the best "
            "of them.",
            stacklevel=2,
        )
    return TuneResult(study, search.trials, recipe, epochs, patience, stop_reason)


# --- data -------------------------------------------------------------------------------------------


def _n_out(loss: Loss, y: np.ndarray) -> int:
    if loss.kind == "class":
        return max(2, int(y.max()) + 1)
    return y.shape[1]


def _check_rows(x_name: str, x, y_name: str, y, loss: Loss, n_out: int | None, dtype) -> tuple[Any, Any]:
    """Rows and targets as they are trained on, checked."""
    n_in = np.shape(x)[1] if len(np.shape(x)) == 2 else 0
    check_x = _checks.check_sparse if _checks.is_sparse(x) else _checks.check_x
    x = check_x(x_name, x, n_in, dtype)
    y = np.asarray(y)
    _checks.check_lengths(x_name, x.shape[0], y_name, len(y) if y.ndim else 0)
    if n_out is None:
        if loss.kind == "class":  # where they are no numbers, the check below says so
            is_number = y.dtype.kind in "iub" or (y.dtype.kind == "f" and np.isfinite(y).all())
            n_out = _n_out(loss, y) if is_number else 2
        else:
            n_out = y.shape[1] if y.ndim == 2 else 1
    else:
        _checks.check_count("n_out", n_out)
    return x, loss.check_targets(y_name, y, n_out, dtype)


def _splits(x, y, recipe: Recipe, validation_data, folds) -> list[_Split]:
    """Rows to train on and to validate with: one pair, or one for each fold."""
    if validation_data is not None:
        if folds is not None:
            raise ValueError("give validation_data or folds, not both.")
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise TypeError("validation_data must be a tuple (x_val, y_val).")
        x_val, y_val = validation_data
        dtype = np.dtype(recipe.dtype)
        held_out = _check_rows("x_val", x_val, "y_val", y_val, recipe.loss, recipe.n_out, dtype)
        if held_out[0].shape[1] != recipe.n_in:
            raise ValueError(f"x_val has {held_out[0].shape[1]} features, but x has {recipe.n_in}.")
        return [_Split((x, y), held_out)]
    n_rows = x.shape[0]
    if folds is None or isinstance(folds, int):
        pairs = _random_pairs(y, recipe, folds)
    else:
        pairs = [_check_pair(k, pair, n_rows) for k, pair in enumerate(folds)]
    if not pairs:
        raise ValueError("folds is empty: expected at least one pair (training rows, validation rows).")
    return [_Split((x[train], y[train]), (x[val], y[val])) for train, val in pairs]


def _random_pairs(y, recipe: Recipe, folds: int | None) -> list:
    selection = _checks.require("sklearn.model_selection", "sklearn")
    one_label = recipe.loss.kind in ("class", "labels") and y.shape[1] == 1
    everything, strata = np.arange(len(y)), y[:, 0] if one_label else None
    if folds is None:
        split = selection.train_test_split
        return [split(everything, test_size=HELD_OUT, random_state=recipe.seed, stratify=strata)]
    _checks.check_count("folds", folds, 2)
    made = selection.StratifiedKFold if one_label else selection.KFold
    return list(made(folds, shuffle=True, random_state=recipe.seed).split(everything, strata))


def _check_pair(k: int, pair, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"folds[{k}] must be a pair (training rows, validation rows), got {pair!r}.")
    train, val = (np.asarray(part) for part in pair)
    for part in (train, val):
        if part.ndim != 1 or part.dtype.kind not in "iu" or not part.size:
            raise ValueError(f"folds[{k}] must hold two arrays of row numbers, neither of them empty.")
        if part.min() < 0 or part.max() >= n_rows:
            raise ValueError(f"folds[{k}] holds row {part.max()}, but x has rows 0 to {n_rows - 1}.")
    if np.intersect1d(train, val).size:
        raise ValueError(f"folds[{k}] has rows to train on that are also to validate with.")
    return train, val


def _digest(part) -> int:
    """A checksum of rows or targets."""
    arrays = (part.data, part.indices, part.indptr) if _checks.is_sparse(part) else (part,)
    total = 0
    for array in arrays:
        total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total


def _text(thing) -> str:
    """What it shows of itself, without addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


# --- the study --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _calm(optuna):
    """Optuna says nothing of its own, and an interrupted trial is not reported as such."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "Training was interrupted")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _storage_errors(optuna, storage):
    """What goes wrong with the file, as one sentence."""
    if storage is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        reason = getattr(cause, "orig", None) or error
        raise OSError(
            f"the search cannot go on with storage {str(storage)!r}: {reason}. The trials that it holds "
            "stay: once there is a remedy, the same call goes on with them."
        ) from error


def _open_study(optuna, storage, study_name: str, pruner, facts: dict[str, Any], space: Space):
    """The study, new or as the storage holds it, without trials that a kill broke off."""
    if not isinstance(study_name, str) or not study_name:
        raise TypeError(f"study_name must be a text, got {study_name!r}.")
    try:
        study = optuna.create_study(
            storage=storage, study_name=study_name, pruner=pruner, load_if_exists=True, direction="minimize"
        )
    except optuna.exceptions.OptunaError as error:
        if isinstance(error, optuna.exceptions.StorageInternalError):
            raise
        raise ValueError(f"study {study_name!r} of the storage is not of this search: {error}") from error
    then = study.user_attrs.get("facts")
    if then is None and study.get_trials(deepcopy=False):
        raise ValueError(
            f"study {study_name!r} of the storage was not made by fastnn: use another study_name or file."
        )
    for name, value in facts.items():
        if then is not None and then.get(name) != value:
            shown = "" if name == "data" else f": it was {then.get(name)}, and is {value}"
            raise ValueError(
                f"study {study_name!r} of the storage is of another search, its {name} differ{shown}. Use "
                "another study_name or file."
            )
    if then is None:
        study.set_user_attr("searched", list(space.searched))
        study.set_user_attr("facts", facts)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


@contextlib.contextmanager
def _opened(optuna, storage):
    """An SQLite file as Optuna takes it, made if there is none; None stays None.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
    """
    if storage is None:
        yield None
        return
    path = Path(storage)
    name = repr(str(path))
    if "://" in str(path) or ":/" in str(path)[2:]:
        raise ValueError(f"storage must be the path of an SQLite file, not an address, got {name}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} for the storage.")
    if path.is_dir():
        raise IsADirectoryError(f"storage {name} is a folder, expected an SQLite file.")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise ValueError(f"storage {name} is not an SQLite file.")
        with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if tables and not {"studies", "trials"} <= tables:
                raise ValueError(f"storage {name} is an SQLite file of something else than Optuna.")

    def connect():
        connection = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
        # Each report is a commit. With a log, those need not wait for the disk, and a kill loses none.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    try:  # a path in an address would have to be quoted, in ways that differ
        opened = optuna.storages.RDBStorage("sqlite:///search.db", engine_kwargs={"creator": connect})
    except RuntimeError as error:
        raise ValueError(f"storage {name}: {error}") from error
    try:
        yield opened
    finally:
        opened.engine.dispose()  # which puts the log into the file; opened again where the study is used


def _make_pruner(optuna, name: str, epochs: int):
    pruners = optuna.pruners
    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 5)
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, epochs // 10), max_resource=epochs)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 10))
    return pruners.NopPruner()


class _Search:
    """A search at work: asks Optuna for settings, trains, and tells it how that went."""

    def __init__(
        self,
        optuna,
        study,
        space: Space,
        recipe: Recipe,
        splits: list[_Split],
        epochs: int,
        patience: int,
        n_jobs: int,
        callbacks: list[Callable[[Trial], Any]],
    ) -> None:
        self._optuna, self._study, self._space, self._recipe = optuna, study, space, recipe
        self._splits, self._epochs, self._patience = splits, epochs, patience
        self._n_jobs, self._callbacks = n_jobs, callbacks
        states = optuna.trial.TrialState
        ended = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        self.trials = [
            Trial(k, self._score(trial), **trial.user_attrs["fastnn"], settings=space.settings(trial.params))
            for k, trial in enumerate(ended, 1)
        ]
        self._begun = len(ended)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._interrupted = False

    @staticmethod
    def _score(trial) -> float:
        return math.inf if trial.value is None else trial.value

    def run(self, n_trials: int, timeout: float | None, verbose: int) -> str:
        """Do the trials that are left; why it ended."""
        self._n_trials, self._stop_at = n_trials, time.monotonic() + (timeout or math.inf)
        self._display = display.make_search_display(verbose, n_trials, self._stop_at)
        for trial in self.trials:
            self._display.trial(trial, self._chosen(trial), before=True)
        with self._display:
            try:
                if self._n_jobs == 1:
                    self._work()
                else:
                    self._work_together()
            except KeyboardInterrupt:
                self._interrupted = True
        if self._interrupted:
            return "interrupted"
        return "trials" if len(self.trials) >= n_trials else "timeout"

    def _work_together(self) -> None:
        with ThreadPoolExecutor(self._n_jobs) as pool:
            workers = {pool.submit(self._work) for _ in range(self._n_jobs)}
            try:
                while workers:  # awake now and then, for Ctrl-C to be noticed
                    ended, workers = wait(workers, AWAKE_SECONDS, FIRST_COMPLETED)
                    for worker in ended:
                        worker.result()
            finally:  # an error of one, or Ctrl-C here, ends them all
                self._over.set()

    def _work(self) -> None:
        """Trials one after the other, until none is left."""
        while (asked := self._ask()) is not None:
            trial, number = asked
            try:
                if not self._try(trial, number):
                    self._interrupted = True
                    self._over.set()
            except BaseException:
                with contextlib.suppress(Exception):  # what made it end may well be the storage
                    self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                raise

    def _ask(self):
        """The next trial and its number; None where there shall be no more."""
        with self._lock:
            is_late = self._begun > 0 and time.monotonic() >= self._stop_at
            if self._over.is_set() or is_late or self._begun >= self._n_trials:
                return None
            # A sampler of its own for each trial: after a kill it draws what it would have drawn.
            seed = np.random.SeedSequence([self._recipe.seed, self._begun]).generate_state(1)[0]
            self._study.sampler = self._optuna.samplers.TPESampler(
                n_startup_trials=RANDOM_TRIALS,
                multivariate=True,
                constant_liar=self._n_jobs > 1,
                seed=int(seed),
            )
            waiting = self._optuna.trial.TrialState.WAITING
            if self._begun == 0 and not self._study.get_trials(deepcopy=False, states=(waiting,)):
                self._study.enqueue_trial(self._space.first)
            self._begun += 1
            return self._study.ask(self._space.searched), self._begun

    def _try(self, trial, number: int) -> bool:
        """Train with the settings of a trial, and tell Optuna; whether it came to its end."""
        settings = self._space.settings(trial.params)
        every = max(1, self._epochs // REPORTS)
        start = time.perf_counter()
        watches: list[_Watch] = []
        states = self._optuna.trial.TrialState
        ending, state = "", states.COMPLETE

        def report(epoch: int, cost: float) -> bool:
            if len(watches) > 1 or epoch % every:  # pruning looks at the first fold
                return False
            trial.report(cost, epoch)
            return number > 1 and trial.should_prune()

        try:
            for split in self._splits:
                watches.append(_Watch(report, self._over.is_set))
                plan = (self._recipe, settings, split, self._epochs, self._patience, watches[-1])
                trainer = _train(*plan)
                ending = trainer.history.stop_reason
                if ending == "interrupted":
                    self._study.tell(trial, state=states.FAIL)
                    return False
                if ending == "pruned":
                    state = states.PRUNED
                    break
        except DivergenceError:
            ending = "diverged"
        score = math.inf if ending == "diverged" else float(np.mean([watch.best for watch in watches]))
        notes: dict[str, Any] = {
            "ending": ending,
            "epochs": watches[-1].n_epochs,
            "best_epoch": int(np.median([watch.best_epoch for watch in watches])),
            "seconds": time.perf_counter() - start,
        }
        with self._lock:
            trial.set_user_attr("fastnn", notes)
            value = None if ending == "pruned" else score
            frozen = self._study.tell(trial, value, state=state)
            done = Trial(len(self.trials) + 1, self._score(frozen), settings=settings, **notes)
            self.trials.append(done)
            self._display.trial(done, self._chosen(done))
            for callback in self._callbacks:
                callback(done)
        return True

    def _chosen(self, trial: Trial) -> dict[str, Any]:
        """What the search chose of its settings."""
        return {name: trial.settings[name] for name in self._space.searched}
