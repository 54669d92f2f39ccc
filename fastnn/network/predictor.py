"""Prediction at the lowest cost per call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._fork import new_lock
from .._jit import entry_point
from .._threads import launch, parts_for
from ..kernels.predict import predict_hooked_part, predict_part, predict_sparse_part
from ..kernels.records import LAYER, Data, Network
from ..kernels.sizes import PACKED_CALL_ROWS, PARALLEL_CALL_FLOPS, ROW_BLOCK
from .compiled import CompiledNetwork
from .inputs import check_dense, is_ready


@functools.cache
def _plain_entry_point(dtype: np.dtype[Any]) -> Callable[..., None]:
    matrix, vector, of_rows = np.empty((0, 0), dtype), np.empty(0, dtype), np.empty(0)
    layers = np.empty(0, LAYER)
    return entry_point(
        predict_part, (0, 1, matrix, matrix, layers, vector, vector, 0, vector, of_rows, of_rows)
    )


class Predictor:
    """A network prepared to predict at the lowest cost per call.

    It returns what :meth:`fastnn.MLP.predict_raw` returns, to the bit, and follows the network's weights as
    they change. Several Python threads may call it; they take turns. Create one by
    :meth:`fastnn.MLP.predictor`.

    Parameters
    ----------
    network : CompiledNetwork
    n_threads : int or None, default=1
        Largest number of threads; None for all usable cores. Small work takes a single one.
    n_rows : int, default=240
        Number of rows to make room for; more rows are processed in blocks of this size.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> predict = fastnn.MLP([4, 8, 3], seed=0).predictor()
    >>> predict(np.zeros((1, 4), dtype="float32")).shape
    (1, 3)
    """

    def __init__(self, network: CompiledNetwork, n_threads: int | None = 1, n_rows: int = ROW_BLOCK) -> None:
        self._network = network
        architecture = network.architecture
        self._n_in, self._n_out = architecture.sizes[0], architecture.sizes[-1]
        self._dtype, self._embeds = architecture.dtype, bool(architecture.embeddings)
        self._row_flops = 2.0 * network.params.size
        # Room for the most threads that a call may get: how much work it brings is not known yet.
        self._most_parts = parts_for(n_threads, 0, 0, -(-n_rows // ROW_BLOCK))
        capacity = min(n_rows, ROW_BLOCK) * self._most_parts
        self.work = work = network.layout.workspace(capacity, 0, backward=False)
        self._lock = new_lock()
        self._panels: np.ndarray | None = None  # weights in panels, for calls of many rows
        self._view = view = network.view_to_predict()
        self._is_hooked = bool(self._embeds or view.layers["hooked"].any())
        self._kernel, self._predict_alone = predict_part, _plain_entry_point(self._dtype)
        if self._is_hooked:
            matrix = np.empty((0, 0), self._dtype)
            self._kernel = predict_hooked_part
            self._predict_alone = entry_point(predict_hooked_part, (0, 1, matrix, matrix, view, work))
        self._state = self._state_of(view)

    def _state_of(self, view: Network) -> tuple[Any, ...]:
        """Return the kernel's last arguments."""
        work = self.work
        if self._is_hooked:
            return view, work
        state = view.layers, view.params, view.panels, view.output
        return *state, work.activations, work.row_loss, work.row_score

    def _packed_state(self) -> tuple[Any, ...]:
        """Return the kernel's last arguments, with the weights in panels of the predictor's own."""
        view = self._network.packed(self._view, self._panels)
        self._panels = view.panels
        return self._state_of(view)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Compute the activated outputs of the network.

        Parameters
        ----------
        x : array-like of shape (n, n_in)
            An array of the network's dtype in C order is taken as it is, and not searched for NaN; anything
            else is checked and converted as by :meth:`fastnn.MLP.predict_raw`.

        Returns
        -------
        ndarray of shape (n, n_out), of the network's dtype

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.
        """
        if self._embeds or not is_ready(x, self._n_in, self._dtype):  # category numbers must be checked
            x = check_dense("x", x, self._network.architecture, min_rows=0)
        n_rows = len(x)
        out = np.empty((n_rows, self._n_out), self._dtype)
        if n_rows == 0:
            return out
        with self._lock:
            state = self._state if n_rows < PACKED_CALL_ROWS else self._packed_state()
            if self._most_parts == 1 or n_rows * self._row_flops < PARALLEL_CALL_FLOPS:
                self._predict_alone(0, 1, out, x, *state)
            else:
                n_parts = max(1, min(self._most_parts, -(-n_rows // ROW_BLOCK)))
                rows = _checks.writable_view(x)
                launch(self._kernel, self._dtype, n_parts, out, rows, *state)
        return out


def predict_sparse(network: CompiledNetwork, data: Data, n_threads: int | None) -> np.ndarray:
    """Compute the activated outputs of the network for sparse rows."""
    n_rows, architecture = data.starts.size - 1, network.architecture
    out = np.empty((n_rows, architecture.sizes[-1]), architecture.dtype)
    if n_rows == 0:
        return out
    n_blocks = -(-n_rows // ROW_BLOCK)
    n_parts = parts_for(n_threads, n_rows * network.row_flops(data), PARALLEL_CALL_FLOPS, n_blocks)
    work = network.layout.workspace(min(n_rows, ROW_BLOCK) * n_parts, 0, backward=False, n_entries=0)
    view = network.view_to_predict(sparse=True)
    launch(predict_sparse_part, architecture.dtype, n_parts, out, data, view, work)
    return out
