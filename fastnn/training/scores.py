"""Figures of an epoch: costs, metrics and norms, and those that rules can monitor."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _checks
from ..history import MONITORS, Epoch
from ..kernels.records import COST_SUM, PENALTY_SUM, SCORE_SUM, WEIGHT_SUM
from ..metrics import Metric, as_metric
from ..network.mlp import MLP
from .core import Core
from .rows import Rows
from .sources import Source
from .stopping import EarlyStopping


class Scores:
    """Computation of the figures of a training's epochs.

    Parameters
    ----------
    net : MLP
    core : Core
    source : Source
        Rows to train on.
    held_out : Source or None
        Rows to validate with.
    metrics : str, callable or sequence of them
    record_norms : bool

    Raises
    ------
    ValueError, TypeError
        If a metric cannot score these rows, or has the name of another figure.
    """

    def __init__(
        self,
        net: MLP,
        core: Core,
        source: Source,
        held_out: Source | None,
        metrics: Any,
        record_norms: bool,
    ) -> None:
        self._net, self._core, self._source, self._held_out = net, core, source, held_out
        self._task = core.settings.task(net.sizes[-1])
        self._record_norms = record_norms
        prefix, metrics = "" if held_out is None else "val_", self._as_metrics(metrics)
        self._metrics = {prefix + metric.name: metric for metric in metrics}
        self._check_metrics(len(metrics))

    def _as_metrics(self, metrics: Any) -> list[Metric]:
        if isinstance(metrics, str) or not isinstance(metrics, Iterable):
            metrics = [metrics]
        metrics = list(metrics)
        if self._task is None and metrics:
            raise ValueError(
                f"metrics need one right answer per row, but loss {self._core.settings.loss.name!r} has none."
            )
        return [as_metric(metric, str(self._task)) for metric in metrics]

    def _check_metrics(self, n_metrics: int) -> None:
        names = self._metrics
        if len(names) < n_metrics or not names.keys().isdisjoint(Epoch._fields):
            raise ValueError(f"metrics need names of their own in the history, got {', '.join(names)}.")
        judged = self._held_out or self._source
        if judged is self._source and judged.is_streamed and names:
            raise ValueError("metrics need validation_data where the rows to train on are a stream.")
        if judged.is_streamed:
            return  # a trial would read the whole stream
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an untrained network may well predict a single class
                self._judge()
        except Exception as error:  # metrics may raise anything
            raise ValueError(f"a metric of {', '.join(names)} does not fit: {error}") from error

    def check_monitors(self, **rules: Any) -> None:
        """Raise ValueError if a rule, such as early_stopping, monitors a figure that will not exist."""
        for name, rule in rules.items():
            monitor = getattr(rule, "monitor", None)
            if monitor is None:
                continue
            _checks.check_name(f"monitor of {name}", monitor, [*MONITORS, *self._metrics])
            if monitor in ("val_cost", "val_metric") and self._held_out is None:
                raise ValueError(
                    f"{name} monitors {monitor!r}, but there is no validation_data and no "
                    "validation_fraction."
                )

    def falls(self, rule: EarlyStopping | None) -> bool:
        """Return whether a lower value of the figure that a rule monitors is better."""
        if rule is None or rule.monitor in MONITORS:
            return rule is None or rule.monitor.endswith("cost")
        return not self._metrics[rule.monitor].higher_is_better

    def epoch(self, totals: np.ndarray, seconds: float, lr: float | None) -> Epoch:
        """Return the figures of the epoch that has just been trained.

        Parameters
        ----------
        totals : ndarray of shape (N_TOTALS,)
            Sums computed by the kernels.
        seconds : float
            Training time.
        lr : float or None
            Learning rate of the last step.
        """
        n_rows, state, settings = self._source.n_rows, self._core.state, self._core.settings
        val_cost = val_metric = None
        with state.averager.averaged():
            if self._held_out is not None:
                val_cost, val_metric = cost_and_metric(self._core, self._held_out)
            more = self._judge()
        if self._record_norms:
            more |= self._norms(self._source.rows)
        return Epoch(
            epoch=state.epoch,
            cost=float(totals[COST_SUM] / n_rows),
            metric=_metric(self._core, totals[SCORE_SUM], totals[WEIGHT_SUM], self._source),
            val_cost=val_cost,
            val_metric=val_metric,
            seconds=seconds,
            samples_per_second=n_rows / seconds,
            lr=lr,
            penalty=float(totals[PENALTY_SUM]) / n_rows if settings.l1 + settings.l2 > 0 else None,
            more=more,
        )

    def _judge(self) -> dict[str, float]:
        """Return the metrics of the validation rows or, without any, of the training rows."""
        if not self._metrics:
            return {}
        judged = self._held_out or self._source
        with contextlib.closing(judged.blocks()) as blocks:
            parts = [
                (rows.answers, self._predict(rows), np.empty(0) if rows.weights is None else rows.weights)
                for rows in blocks
            ]
        truth, output, weights = (
            arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in zip(*parts, strict=True)
        )
        if self._net.output == "identity" and self._task in ("binary", "multilabel"):
            output = 0.5 + 0.5 * np.tanh(0.5 * output)  # margins, mapped to the order of probabilities
        given = weights if weights.size else None
        return {name: metric(truth, output, sample_weight=given) for name, metric in self._metrics.items()}

    def _predict(self, rows: Rows) -> np.ndarray:
        return self._net.predict_raw(rows.pick(rows.x), n_threads=self._core.settings.n_threads)

    def _norms(self, rows: Rows) -> dict[str, float]:
        """Return the norms of each layer's weights and of their gradient over one batch."""
        n_rows = min(self._core.settings.batch_size or rows.n, rows.n)
        _, grads = self._core.gradient(rows.data, n_rows)
        return {
            f"layers.{depth}.{kind}_norm": float(np.sqrt(np.square(array, dtype=np.float64).sum()))
            for kind, flat in (("grad", grads), ("weight", self._net.params))
            for depth, array in enumerate(self._net.compiled_network.split(flat)[0])
        }


def cost_and_metric(core: Core, source: Source) -> tuple[float, float]:
    """Compute the mean loss and the metric (accuracy or R squared) over all rows of a source.

    The sums are NumPy's own: those of BLAS, which ``@`` takes, depend on the number of its threads.
    """
    cost_sum = score_sum = weight_sum = 0.0
    with contextlib.closing(source.blocks()) as blocks:
        for rows in blocks:
            losses, scores = core.score(rows.data, rows.n)
            weights = np.ones(rows.n) if rows.weights is None else rows.weights
            cost_sum += (losses * weights).sum()
            score_sum += (scores * weights).sum()
            weight_sum += weights.sum()
    return float(cost_sum / weight_sum), _metric(core, score_sum, weight_sum, source)


def _metric(core: Core, score_sum: float, weight_sum: float, source: Source) -> float:
    """Return accuracy, or R squared over all outputs together (0 if the targets do not vary)."""
    if not core.settings.loss.is_regression:
        return float(score_sum / weight_sum)
    spread = source.spread * core.network.architecture.sizes[-1]
    return float(1.0 - score_sum / spread) if spread > 0 else 0.0
