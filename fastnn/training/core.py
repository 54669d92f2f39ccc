"""Calls of the compiled kernels, and the records passed to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._threads import launch, parts_for
from ..kernels import step as kernels
from ..kernels.hooks import link
from ..kernels.records import Data, Network, Objective, UpdateState, Workspace
from ..kernels.sizes import BLOCK_ROWS, GRAIN_ROWS, PACKED_CALL_ROWS, PARALLEL_CALL_FLOPS, ROW_BLOCK
from ..kernels.team import new_team, run_parts
from ..kernels.updates import N_RATES, UPDATE_SETTINGS
from ..losses import Loss
from ..network.compiled import CompiledNetwork
from ..network.layout import aligned_zeros
from .pace import Pace
from .settings import Settings
from .state import State


class Core:
    """The compiled side of a training. It is valid in one process only, so unpickling creates it again.

    Parameters
    ----------
    network : CompiledNetwork
    settings : Settings
    state : State
        The kernels write to its arrays.

    Attributes
    ----------
    objective : Objective
    update : UpdateState
        Settings and buffers of the update, without learning rates.
    """

    def __init__(self, network: CompiledNetwork, settings: Settings, state: State) -> None:
        self.network, self.settings, self.state = network, settings, state
        self.objective = make_objective(settings.loss, network.params.dtype)
        self.update = _make_update(network, settings, state)
        self._work: Workspace | None = None
        self._pace: tuple[int, Pace] | None = None

    def pace(self, batch_size: int) -> Pace:
        """Return the pace of steps of this batch size, with the measurements of earlier calls of fit."""
        if self._pace is None or self._pace[0] != batch_size:
            step_flops = 6.0 * batch_size * self.network.params.size
            n_shares = -(-batch_size // GRAIN_ROWS)
            self._pace = batch_size, Pace(self.settings.n_threads, step_flops, n_shares=n_shares)
        return self._pace[1]

    def records(self, data: Data, batch_size: int) -> tuple[Network, Workspace]:
        """Return the network's record, with weights in panels, and the workspace for these rows."""
        network = self.network.view(self.state.dropout_seed, sparse=data.starts.size > 0, packed=True)
        return network, self.reserve(batch_size, data)

    def train(self, n_parts: int, *args: Any) -> None:
        """Train on some batches; `args` are the arguments of ``kernels.step.train_part`` after the team."""
        launch(kernels.train_part, self.network.params.dtype, n_parts, new_team(), *args)

    @staticmethod
    def pack_weights(network: Network) -> None:
        """Renew the weights' panels from the parameters, which others may have written."""
        kernels.pack_weights(network)

    def gradient(self, data: Data, n_rows: int) -> tuple[float, np.ndarray]:
        """Compute the cost of the first rows, and its gradient in the layout of the parameters."""
        network, work = self.records(data, n_rows)
        grads = aligned_zeros(network.params.size, network.params.dtype)
        cost = kernels.gradient(grads, network, work, data, self.objective, n_rows)
        return float(cost), grads

    def score(self, data: Data, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the unweighted loss and score of each row: float64 of shape (n_rows,) each."""
        flops, is_sparse = n_rows * self.network.row_flops(data), data.starts.size > 0
        n_parts = parts_for(self.settings.n_threads, flops, PARALLEL_CALL_FLOPS, -(-n_rows // ROW_BLOCK))
        n_targets = data.labels.shape[1] + data.targets.shape[1]
        capacity, n_entries = min(n_rows, ROW_BLOCK) * n_parts, 0 if is_sparse else None
        work = self.network.layout.workspace(capacity, n_targets, n_entries=n_entries)
        losses, scores = np.empty(n_rows), np.empty(n_rows)
        data = data._replace(weights=np.empty(0))
        network = self.network.view(sparse=is_sparse)
        if n_rows >= PACKED_CALL_ROWS:
            network = self.network.packed(network)
        args = losses, scores, network, work, data, self.objective
        launch(kernels.score_part, self.network.params.dtype, n_parts, *args)
        return losses, scores

    def reserve(self, capacity: int, data: Data) -> Workspace:
        """Return a workspace for batches of these rows; allocate one only if the last does not suffice."""
        work, n_entries = self._work, None
        if data.starts.size > 0:  # room for a batch of the longest rows
            lengths = np.sort(np.diff(data.starts))
            n_entries = int(lengths[-capacity:].sum())
        is_sparse = work is not None and work.counts.size > 0
        if (
            work is None
            or work.capacity < capacity
            or work.y.shape[1] != data.labels.shape[1] + data.targets.shape[1]
            or is_sparse != (n_entries is not None)
            or work.entries.shape[1] < (n_entries or 0)
        ):
            n_targets, n_parts = data.labels.shape[1] + data.targets.shape[1], self.update.grad.shape[0]
            work = self._work = self.network.layout.workspace(
                capacity, n_targets, n_entries=n_entries, n_parts=n_parts
            )
        return work


def make_objective(loss: Loss, dtype: np.dtype[Any]) -> Objective:
    """Return the kernels' record of the loss."""
    address = 0 if loss.kernel is None else link.address_of_loss(loss.kernel, dtype)
    return Objective(max(loss.code, 0), loss.scale, address, loss.numbers)


def _make_update(network: CompiledNetwork, settings: Settings, state: State) -> UpdateState:
    """Return the kernels' record of the update's settings and buffers."""
    optimizer, layout, dtype = settings.optimizer, network.layout, network.params.dtype
    is_lbfgs = settings.is_lbfgs
    factors = settings.factors(layout.n_layers, len(layout.layers) - layout.n_layers)
    record = np.zeros(1, dtype=UPDATE_SETTINGS)
    record["l1"], record["l2"], record["accumulate"] = settings.l1, settings.l2, settings.accumulate
    record["clip_value"] = np.inf if settings.clip_value is None else settings.clip_value
    record["clip_norm"], record["max_norm"] = settings.clip_norm or 0.0, settings.max_norm or 0.0
    record["decay"] = getattr(optimizer, "weight_decay", 0.0)
    record["skips_absent"], record["block_rows"] = settings.skips_absent, BLOCK_ROWS
    record["average_decay"] = state.averager.decay
    of_core = optimizer.core_kind is not None and settings.l1 == 0 and settings.clip_value is None
    if of_core and (factors == 1).all():
        record["kind"] = optimizer.core_kind
        for name in ("nesterov", "momentum", "beta1", "beta2", "eps"):
            record[name] = getattr(optimizer, name, 0)
    elif not is_lbfgs:
        record["update_hook"] = link.address_of_update(optimizer.kernel, dtype)
    update = UpdateState(
        settings=record,
        constants=np.empty(0) if is_lbfgs else optimizer.constants(),
        rates=np.zeros((1, N_RATES)),
        factors=factors,
        m=state.m,
        v=state.v,
        u=state.u,
        grad=aligned_zeros((parts_for(settings.n_threads, 0, 0, network.params.size), layout.n_block), dtype),
        full_grad=state.full_grad,
        average=aligned_zeros(0, dtype),
        penalty=aligned_zeros(layout.n_sums, np.float64),
        norms=aligned_zeros(layout.n_sums if settings.clip_norm else 0, np.float64),
    )
    if settings.max_norm is not None or state.averager.decay > 0:
        record["after_hook"] = link.address_of_after(network.view(), layout.workspace(0, 0), update)
    return update


def n_loaded() -> int:
    """Count the compiled forms of the training step's kernels that this process has loaded."""
    return sum(len(getattr(kernel, "overloads", ())) for kernel in (kernels.train_part, run_parts))
