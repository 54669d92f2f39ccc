"""The search itself: ``tune``, and the loop that asks Optuna for settings and trains with them."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _checks
from .._fork import new_lock
from ..losses import Loss, as_loss
from ..training.loop import DivergenceError
from ..training.settings import text_of
from .display import make_search_display
from .recipe import Recipe
from .result import StopReason, TuneResult
from .space import Space, default_space
from .splits import Split, check_rows, make_splits
from .study import PRUNERS, import_optuna, make_pruner, open_storage, open_study, quiet_optuna, storage_errors
from .trial import Trial, TrialMonitor, TrialPlan

if TYPE_CHECKING:
    import optuna

N_REPORTS = 25  # approximate limit on reports to the pruner per training: each is a write to the storage
POLL_SECONDS = 0.05  # between checks of the workers, so that Ctrl-C is noticed
N_RANDOM_TRIALS = 10  # before Optuna's model of the costs takes over


def tune(
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: str | Loss | Callable[[float, float], float],
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
    dtype: DTypeLike = "float32",
    seed: int = 0,
    n_threads: int | None = None,
    n_jobs: int = 1,
    callbacks: Callable[[Trial], Any] | Sequence[Callable[[Trial], Any]] = (),
    verbose: int = 1,
) -> TuneResult:
    """Search for the hyper-parameters with the lowest validation cost.

    The first trial has the default settings, so the result is never worse than those. Optuna (Akiba et al.,
    2019) proposes the others: first at random, later by the tree-structured Parzen estimator (Bergstra et
    al., 2011). Every trial is trained with early stopping and scored by its best epoch; all start from the
    same seed. A trial whose costs are worse than those of the others at the same epoch is pruned.

    Parameters
    ----------
    x : array-like or sparse matrix of shape (n, n_in)
    y : array-like of shape (n,) or (n, n_out)
        Targets as the loss expects them.
    loss : str, Loss or callable
        As in :class:`fastnn.Trainer`. Trials are compared by it, without label smoothing.
    n_out : int, optional
        Number of outputs of the network; taken from y by default.
    validation_data : tuple (x_val, y_val), optional
    folds : int or iterable of pairs of index arrays, optional
        Cross-validation instead: the number of folds (this needs scikit-learn), or (training rows,
        validation rows) of each. Pruning looks at the first fold. With neither, a fifth of the rows is held
        out, which also needs scikit-learn.
    n_trials : int, default=50
        In total, including those in the storage.
    timeout : float, optional
        Seconds after which no further trial starts.
    epochs : int, default=50
        Largest number of epochs per trial.
    patience : int, optional
        Epochs without improvement after which a trial ends; by default a fifth of `epochs`, at least 5.
    storage : path-like, optional
        An SQLite file. After a kill, the same call continues with the trials in it; the trial that was
        interrupted starts again. Only one process may use it at a time. While it is open, and after a kill,
        files with "-wal" and "-shm" after its name belong to it.
    study_name : str, default="fastnn"
        Name of the search in the file, which may hold several.
    space : mapping, optional
        Differences from :func:`default_space`, by name: a list of choices; a tuple ``(low, high)`` or
        ``(low, high, "log")``; or one value, which is then not searched. Names are those of
        ``fastnn.tuning.space.DEFAULTS``: n_layers, width, activation, dropout, input_dropout, norm, residual,
        init, optimizer, lr, weight_decay, schedule, batch_size, l1, l2, clip_norm, class_weight,
        label_smoothing.
    pruner : {"median", "hyperband", "halving", "none"}, default="median"
        "median" prunes trials that are worse than the median of the others at that epoch; "hyperband" is
        that of Li et al. (2018), "halving" that of Jamieson and Talwalkar (2016).
    embeddings : dict, optional
        As in :class:`fastnn.MLP`.
    dtype : {"float32", "float64"}, default="float32"
    seed : int, default=0
        With n_jobs=1, the same seed gives the same trials, even if the search was resumed.
    n_threads : int, optional
        Largest number of threads per training.
    n_jobs : int, default=1
        Number of trials that are trained at the same time, on one core each: faster for small networks.
    callbacks : callable or sequence of callables
        Called with each :class:`Trial` that has ended.
    verbose : int, default=1
        0 shows no progress.

    Returns
    -------
    TuneResult
        After Ctrl-C as well: then of the trials so far, with a warning.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, or the storage is of another search.
    OSError
        If the storage cannot be read or written; the trials in it are kept.
    DivergenceError
        If all trials diverged.
    ImportError
        If Optuna is not installed.

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
    import_optuna()
    _checks.check_count("n_trials", n_trials)
    _checks.check_count("epochs", epochs)
    _checks.check_count("seed", seed, 0, _checks.LARGEST_STATE)
    _checks.check_count("n_jobs", n_jobs)
    _checks.check_limit("timeout", timeout)
    _checks.check_name("pruner", pruner, PRUNERS)
    patience = _checks.check_optional_count("patience", patience) or max(5, epochs // 5)
    dtype = _checks.check_dtype(dtype)
    loss = as_loss(loss)
    rows, targets, n_out = check_rows("x", x, "y", y, loss, n_out, dtype)
    recipe = Recipe(rows.shape[1], n_out, loss, embeddings, dtype.name, seed, n_threads)
    splits = make_splits(rows, targets, recipe, validation_data, folds)
    if not isinstance(space, (Mapping, type(None))):
        raise TypeError(f"space must be a dict of values by setting, got {_checks.shown(space)}.")
    where = Space({**default_space(loss, splits[0].train[0].shape[0]), **(space or {})})
    recipe.check(where)
    if not where.searched:
        raise ValueError("space leaves nothing to search: each name has only one value.")
    facts = {
        "data": [split.checksums() for split in splits],
        "loss": text_of(loss),
        "n_out": n_out,
        "epochs": epochs,
        "patience": patience,
        "space": text_of(where),
        "pruner": pruner,
        "embeddings": text_of(recipe.embeddings),
        "dtype": dtype.name,
        "seed": seed,
    }
    plan = TrialPlan(recipe, epochs, patience)
    with quiet_optuna(), storage_errors(storage), open_storage(storage) as opened:
        study = open_study(opened, study_name, make_pruner(pruner, epochs), facts, where.searched)
        search = Search(study, where, plan, splits, n_jobs, callbacks)
        stop_reason = search.run(n_trials, timeout, verbose)
    trials = search.trials
    if not trials:
        raise KeyboardInterrupt
    if not any(math.isfinite(trial.score) for trial in trials if trial.ending != "pruned"):
        raise DivergenceError(
            f"all {len(trials)} trials diverged: standardise x and y, or search lower learning rates."
        )
    if stop_reason == "interrupted":
        warnings.warn(
            f"The search was interrupted after {len(trials)} of {n_trials} trials; the result is the best of "
            "them.",
            stacklevel=2,
        )
    return TuneResult(study, trials, plan, stop_reason)


class Search:
    """Loop of a search, which asks Optuna for settings, trains, and reports the cost.

    Parameters
    ----------
    study : optuna.Study
    space : Space
    plan : TrialPlan
    splits : list of Split
    n_jobs : int
    callbacks : callable or sequence of callables

    Attributes
    ----------
    trials : list of Trial
        Trials that have ended, starting with those in the storage.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        plan: TrialPlan,
        splits: list[Split],
        n_jobs: int,
        callbacks: Callable[[Trial], Any] | Sequence[Callable[[Trial], Any]],
    ) -> None:
        self._optuna = import_optuna()
        self._states = self._optuna.trial.TrialState
        self._study, self._space, self._plan, self._splits = study, space, plan, splits
        self._n_jobs = n_jobs
        self._callbacks = (
            [callbacks] if callable(callbacks) else _checks.check_items("callbacks", callbacks, "functions")
        )
        ended = study.get_trials(deepcopy=False, states=(self._states.COMPLETE, self._states.PRUNED))
        self.trials = [
            Trial(k, _score(trial), **trial.user_attrs["fastnn"], settings=space.settings(trial.params))
            for k, trial in enumerate(ended, 1)
        ]
        self._n_started = len(ended)
        self._lock = new_lock()
        self._stopping = threading.Event()
        self._interrupted = False

    def run(self, n_trials: int, timeout: float | None, verbose: int) -> StopReason:
        """Run the trials that remain, and return why the search ended."""
        self._n_trials, self._stop_at = n_trials, time.monotonic() + (timeout or math.inf)
        self._display = make_search_display(verbose, n_trials, self._stop_at)
        for trial in self.trials:
            self._display.trial(trial, self._searched_settings(trial), before=True)
        with self._display:
            try:
                if self._n_jobs == 1:
                    self._run_trials()
                else:
                    self._run_workers()
            except KeyboardInterrupt:
                self._interrupted = True
        if self._interrupted:
            return "interrupted"
        return "trials" if len(self.trials) >= n_trials else "timeout"

    def _run_workers(self) -> None:
        """Run trials in several threads."""
        with ThreadPoolExecutor(self._n_jobs) as pool:
            workers = {pool.submit(self._run_trials) for _ in range(self._n_jobs)}
            try:
                while workers:
                    ended, workers = wait(workers, POLL_SECONDS, FIRST_COMPLETED)
                    for worker in ended:
                        worker.result()
            finally:  # an error in one of them, or Ctrl-C here, ends them all
                self._stopping.set()

    def _run_trials(self) -> None:
        """Run one trial after another, until none is left."""
        while (started := self._start_trial()) is not None:
            trial, number = started
            try:
                if not self._run_trial(trial, number):
                    self._interrupted = True
                    self._stopping.set()
            except BaseException:
                with contextlib.suppress(Exception):  # the error may well be the storage's
                    self._study.tell(trial, state=self._states.FAIL)
                raise

    def _start_trial(self) -> tuple[optuna.Trial, int] | None:
        """Return the next trial and its number, or None if the search is to end."""
        with self._lock:
            is_late = self._n_started > 0 and time.monotonic() >= self._stop_at
            if self._stopping.is_set() or is_late or self._n_started >= self._n_trials:
                return None
            # Each trial has its own sampler: after a kill it draws what it would have drawn without it.
            seed = np.random.SeedSequence([self._plan.recipe.seed, self._n_started]).generate_state(1)[0]
            self._study.sampler = self._optuna.samplers.TPESampler(
                n_startup_trials=N_RANDOM_TRIALS,
                multivariate=True,
                constant_liar=self._n_jobs > 1,
                seed=int(seed),
            )
            waiting = self._study.get_trials(deepcopy=False, states=(self._states.WAITING,))
            if self._n_started == 0 and not waiting:
                self._study.enqueue_trial(self._space.initial)
            self._n_started += 1
            return self._study.ask(self._space.searched), self._n_started

    def _run_trial(self, trial: optuna.Trial, number: int) -> bool:
        """Train with the settings of a trial and report the score to Optuna; return False if interrupted."""
        settings = self._space.settings(trial.params)
        every = max(1, self._plan.epochs // N_REPORTS)
        start = time.perf_counter()
        monitors: list[TrialMonitor] = []
        ending = ""

        def report(epoch: int, cost: float) -> bool:
            if len(monitors) > 1 or epoch % every:  # pruning looks at the first fold
                return False
            trial.report(cost, epoch)
            return number > 1 and trial.should_prune()

        try:
            for split in self._splits:
                monitors.append(TrialMonitor(report, self._stopping.is_set))
                trainer = self._plan.train(settings, split, monitors[-1])
                ending = trainer.history.stop_reason or ""
                if ending == "interrupted":
                    self._study.tell(trial, state=self._states.FAIL)
                    return False
                if ending == "pruned":
                    break
        except DivergenceError:
            ending = "diverged"
        score = math.inf if ending == "diverged" else float(np.mean([each.best for each in monitors]))
        notes: dict[str, Any] = {
            "ending": ending,
            "epochs": monitors[-1].n_epochs,
            "best_epoch": int(np.median([each.best_epoch for each in monitors])),
            "seconds": time.perf_counter() - start,
        }
        with self._lock:
            trial.set_user_attr("fastnn", notes)
            if ending == "pruned":
                frozen = self._study.tell(trial, state=self._states.PRUNED)
            else:
                frozen = self._study.tell(trial, score, state=self._states.COMPLETE)
            ended = Trial(len(self.trials) + 1, _score(frozen), settings=settings, **notes)
            self.trials.append(ended)
            self._display.trial(ended, self._searched_settings(ended))
            for callback in self._callbacks:
                callback(ended)
        return True

    def _searched_settings(self, trial: Trial) -> dict[str, Any]:
        """Return the settings of a trial that the search chose."""
        return {name: trial.settings[name] for name in self._space.searched}


def _score(trial: optuna.trial.FrozenTrial) -> float:
    return math.inf if trial.value is None else trial.value
