"""Single steps at the lowest cost per call, for data that come batch by batch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import _checks
from .._jit import entry_point
from .._threads import usable_cores
from ..kernels import step as kernels
from ..kernels.hooks import link
from ..kernels.records import (
    COST_SUM,
    FAILED,
    N_TOTALS,
    NOT_FINITE,
    NOT_TOGETHER,
    PENALTY_SUM,
    STEPS_DONE,
    Data,
    Network,
    Objective,
    UpdateState,
)
from ..kernels.sizes import PARALLEL_STEP_FLOPS
from ..kernels.team import new_team
from ..network.inputs import as_data, check_features, is_ready
from ..schedules import Constant
from .core import Core, n_loaded
from .loop import divergence
from .rows import check_rows, weigh_classes
from .sources import check_sparse_if_lazy

_MOST_RATES = 256  # computed at a time
_UNSIGNED: dict[Any, Any] = {np.dtype(np.int32): np.dtype(np.uint32), np.dtype(np.int64): np.dtype(np.uint64)}


class Steps:
    """The steps of a trainer that is given one batch at a time.

    What a step needs beyond its batch is kept from call to call: records, the kernels' compiled forms, the
    rates of the next updates. A batch of arrays that the kernels take as they are is not searched for NaN
    beforehand: one shows in the cost, and only then is the batch searched.

    Parameters
    ----------
    core : Core
    """

    def __init__(self, core: Core) -> None:
        settings, architecture = core.settings, core.network.architecture
        if settings.is_lbfgs:
            raise ValueError("optimizer 'lbfgs' needs all rows at once: expected another for single steps.")
        if settings.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all rows at once: expected a dict of weights.")
        loss = settings.loss
        self._core, self._dtype, self._n_in = core, architecture.dtype, architecture.sizes[0]
        self._n_targets = loss.n_targets(architecture.sizes[-1])
        self._n_classes = {"class": architecture.n_classes, "labels": 2}.get(loss.kind, 0)
        self._is_plain = loss.kind in ("class", "labels", "values")
        self._is_plain &= not architecture.embeddings and settings.class_weight is None
        self._row_flops = 6.0 * core.network.params.size
        self._may_share = settings.n_threads != 1 and usable_cores() > 1
        self._totals, self._team = np.zeros(N_TOTALS), new_team()
        self._empty = as_data(np.empty((0, self._n_in), self._dtype))
        self._labels = np.empty((0, self._n_targets), np.int32)
        self._network: Network | None = None
        self._is_sparse = False
        self._train: Any = None  # compiled forms, without numba's dispatch
        self._pack: Any = None
        self._linear: tuple[int, np.ndarray] | None = None
        self._rates, self._n_used, self._rates_for = np.empty((0, 0)), 0, (0.0, 0)

    def __call__(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Train on one batch; see :meth:`fastnn.Trainer.step`."""
        data = self._take(x, y, sample_weight)
        n_rows = max(data.labels.shape[0], data.targets.shape[0])
        cost = self._update(data, n_rows, self._core.objective)
        if cost is None:
            self._check(x, y, sample_weight)
            raise divergence(self._core.state, "in a single step")
        return cost

    def by_gradient(self, x: Any, output_grad: Any) -> float:
        """Train on the gradient of a cost by the outputs; see :meth:`fastnn.Trainer.step`."""
        architecture = self._core.network.architecture
        x = check_features("x", x, architecture)
        n_rows = x.shape[0]
        grad = _checks.check_targets("output_grad", output_grad, architecture.sizes[-1], self._dtype)
        _checks.check_lengths("x", n_rows, "output_grad", len(grad))
        if self._linear is None:
            from ..kernels.hooks.losses import linear

            self._linear = link.address_of_loss(linear, self._dtype), np.empty(0)
        # The kernels take the mean over the rows, and this cost is a sum.
        objective = Objective(0, float(n_rows), *self._linear)
        data = as_data(x)._replace(targets=_checks.writable_view(grad))
        cost = self._update(data, n_rows, objective)
        if cost is None:
            raise divergence(self._core.state, "in a single step")
        return cost

    def _update(self, data: Data, n_rows: int, objective: Objective) -> float | None:
        """Update by one batch; return its cost, or None if that is not finite."""
        core, state, totals = self._core, self._core.state, self._totals
        batch_size = n_rows
        if core.settings.accumulate > 1:
            batch_size = -(-n_rows // core.settings.accumulate)
            data = data._replace(indices=np.arange(n_rows))
        totals[:] = 0
        with state.averager.training():
            update = core.update._replace(rates=self._next_rates())
            if state.averager.decay > 0:
                update = update._replace(average=state.averager.shadow)
            plan = 0, n_rows, batch_size, state.n_batches + 1
            self._launch(data, batch_size, objective, update, plan)
        if totals[FAILED] == NOT_FINITE:
            return None
        state.count_step(n_rows, int(totals[STEPS_DONE]))
        self._n_used += 1
        return float(totals[COST_SUM] + totals[PENALTY_SUM]) / n_rows

    # --- the batch --------------------------------------------------------------------------------------

    def _take(self, x: Any, y: Any, sample_weight: Any) -> Data:
        """Return the batch for the kernels; convert and search it only where that is needed."""
        if (
            self._is_plain
            and sample_weight is None
            and is_ready(x, self._n_in, self._dtype)
            and type(y) is np.ndarray
            and x.flags.carray
            and y.flags.carray
            and 0 < y.ndim <= 2
            and len(y) == len(x) > 0
            and y.size == len(x) * self._n_targets
        ):
            if not self._n_classes:
                if y.dtype == self._dtype:
                    return self._empty._replace(x=x, targets=y.reshape(-1, self._n_targets))
            elif y.dtype in _UNSIGNED and y.view(_UNSIGNED[y.dtype]).max() < self._n_classes:
                if len(self._labels) < len(y):
                    self._labels = np.empty((len(y), self._n_targets), np.int32)
                labels = self._labels[: len(y)]
                labels[:] = y.reshape(-1, self._n_targets)
                return self._empty._replace(x=x, labels=labels)
        return self._check(x, y, sample_weight)

    def _check(self, x: Any, y: Any, sample_weight: Any) -> Data:
        """Check the batch, and convert what the kernels do not take."""
        settings, architecture = self._core.settings, self._core.network.architecture
        rows = check_rows(architecture, settings.loss, x, y, sample_weight)
        check_sparse_if_lazy(rows, settings)
        rows = weigh_classes(rows, settings.class_weight, architecture.n_classes)
        if rows.weights is not None and not rows.weights.any():
            raise ValueError("the weights of all rows of the batch are 0.")
        return rows.data

    # --- the rates --------------------------------------------------------------------------------------

    def _next_rates(self) -> np.ndarray:
        """Return the optimiser's numbers for the next update: an array of one row."""
        state = self._core.state
        if self._n_used == len(self._rates) or self._rates_for != (state.lr, state.n_updates - self._n_used):
            # As many as were used of the last, and as many again: a rate may be set before every step.
            n = min(2 * self._n_used + 1, _MOST_RATES)
            rates = self._schedule_rates(n)
            self._rates = self._core.settings.optimizer.rates(rates, state.n_updates)
            self._n_used, self._rates_for = 0, (state.lr, state.n_updates)
        return self._rates[self._n_used : self._n_used + 1]

    def _schedule_rates(self, n: int) -> np.ndarray:
        """Return the learning rates of the next steps, n at most."""
        state, schedule = self._core.state, self._core.settings.schedule
        planned = state.planned
        if isinstance(schedule, Constant):
            return np.full(n, state.lr)
        if planned is None:
            raise ValueError(
                f"the schedule {schedule!r} needs to know how many steps there will be: call "
                "trainer.plan_steps(n_steps, n_epochs) before the first step."
            )
        n_steps, n_epochs = planned.n_steps, planned.n_epochs
        epoch = min(planned.n_done // n_steps, n_epochs - 1)
        rates = schedule.rates(state.lr, epoch, n_epochs, n_steps, planned.n_seen, state.schedule)
        return rates[min(planned.n_done - epoch * n_steps, n_steps - 1) :][:n]

    # --- the kernels ------------------------------------------------------------------------------------

    def _launch(
        self, data: Data, batch_size: int, objective: Objective, update: UpdateState, plan: tuple[int, ...]
    ) -> None:
        """Run the kernels, on several threads where the step is long enough."""
        core = self._core
        network, work = self._records(data), core.reserve(batch_size, data)
        args = network, work, data, objective, update, plan, self._totals
        n_parts, pace = 1, None
        if self._may_share and batch_size * self._row_flops >= PARALLEL_STEP_FLOPS:
            pace = core.pace(batch_size)
            n_parts, _ = pace.chunk()
        loaded, start = n_loaded(), time.perf_counter()
        if n_parts > 1:
            core.train(n_parts, *args)
            if self._totals[FAILED] == NOT_TOGETHER:
                self._totals[FAILED] = 0
                core.pace(batch_size).alone()
                n_parts, pace = 1, None
        if n_parts == 1:
            if self._train is None:
                self._train = entry_point(kernels.train_part, (0, 1, self._team, *args))
            self._train(0, 1, self._team, *args)
        if pace is not None and n_loaded() == loaded:  # else most of the time went into compiling
            pace.note(n_parts, 1, time.perf_counter() - start)

    def _records(self, data: Data) -> Network:
        """Return the network's record, with the weights as they are now in its panels."""
        core, is_sparse = self._core, data.starts.size > 0
        if self._network is None or is_sparse != self._is_sparse:
            self._network = core.network.view(core.state.dropout_seed, sparse=is_sparse, packed=True)
            self._is_sparse = is_sparse
            self._pack = entry_point(kernels.pack_weights, (self._network,))
        else:  # others may have written to the parameters
            self._pack(self._network)
        return self._network
