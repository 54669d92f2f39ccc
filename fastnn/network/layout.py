"""Positions of the parts of a network in its flat, aligned and padded vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from .._memory import check_memory
from ..kernels.activations import IDENTITY
from ..kernels.caches import L1_BYTES
from ..kernels.hooks.rows import BATCH_NORM, LAYER_NORM, N_STATISTICS
from ..kernels.hooks.sparse import N_COUNTS
from ..kernels.records import LAYER, Workspace
from ..kernels.simd import WIDTH_BYTES
from ..kernels.sizes import ALIAS_BYTES, BLOCK_COLS, BLOCK_ROWS, GRAIN_COLS, PACKS_WEIGHTS, PAD

ALIGN_BYTES = 64


def aligned_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return a C-contiguous array of zeros whose data starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    raw = np.zeros(size * dtype.itemsize + ALIGN_BYTES, dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGN_BYTES
    return np.ndarray(shape, dtype, buffer=raw, offset=start)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """Return a copy of an array whose data starts on a cache line."""
    copy = aligned_zeros(array.shape, array.dtype)
    copy[...] = array
    return copy


def row_length(n: int) -> int:
    """Pad `n` columns to whole panels."""
    return -(-n // PAD) * PAD


def weights_row_length(n: int, itemsize: int) -> int:
    """Pad `n` columns of weights to whole panels, off strides at which rows share cache sets.

    The same on every CPU: checkpoints hold the vectors of weights as they are.
    """
    length = row_length(n)
    return length + PAD if length * itemsize % ALIAS_BYTES == 0 else length


def panel_length(n: int) -> int:
    """Pad `n` rows of a panel to an odd number of cache lines, so that panels do not share cache sets."""
    return n | 1


def from_panels(panels: np.ndarray, n_rows: int) -> np.ndarray:
    """Return a copy of a matrix that is stored in panels of `n_rows` rows (see kernels/simd.py)."""
    return panels.reshape(-1, n_rows, PAD).transpose(1, 0, 2).copy().reshape(n_rows, -1)


class LayerSpec(NamedTuple):
    """Everything a layer does besides its matrix product, in the kernels' codes."""

    activation: int = IDENTITY  # that the core applies; IDENTITY where a hook does
    norm: int = 0
    prelu: bool = False
    residual: bool = False
    dropout: float = 0.0
    alpha: float = 0.0
    hooked: bool = False

    @property
    def n_more(self) -> int:
        """Number of rows of parameters below the bias: shift and gain, and learned slopes."""
        return 2 * (self.norm > 0) + self.prelu

    @property
    def n_saved(self) -> int:
        """Number of matrices saved from forward to backward; see kernels/hooks/rows.py."""
        return 2 + (self.norm > 0) + self.prelu + self.residual if self.hooked else 0


class Layout:
    """Offsets and lengths of everything that a network stores in flat vectors.

    Parameters
    ----------
    sizes : sequence of int
    specs : sequence of LayerSpec
        One per layer, the output layer included.
    dtype : dtype
    embeddings : sequence of (column, n_categories, n_out)
        Their vectors are the last of the sizes[0] inputs.
    input_dropout : float, default=0

    Attributes
    ----------
    layers : ndarray of LAYER, shape (n_layers + n_embeddings,)
    n_layers : int
    n_params, n_panels, n_panels_t, n_activations, n_inputs, n_deltas, n_saved : int
        Lengths of the vectors, padding included; the last four for a batch of one row. The inputs are the
        last of the activations: sparse rows have none.
    n_running, n_statistics : int
        Lengths of the running and the batch's statistics of batch normalisations, in columns.
    n_sums, n_block : int
        Number of tiles of all weights, and of weights in the largest block that is updated at once.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        specs: Sequence[LayerSpec],
        dtype: DTypeLike,
        embeddings: Sequence[tuple[int, int, int]] = (),
        input_dropout: float = 0.0,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.n_layers = len(sizes) - 1
        self.layers = np.zeros(self.n_layers + len(embeddings), dtype=LAYER)
        self.layers["column"] = -1
        width = self.dtype.itemsize
        w_end = panel_end = t_end = d_end = p_end = saved_end = s_end = 0
        self.n_inputs = in_cols = row_length(sizes[0] + 1)
        # The loss wants whole rows: one panel has them, and of a wider output there is a copy.
        n_rows_z = row_length(sizes[-1]) if sizes[-1] > PAD else 0
        in_start, out_start = sum(row_length(n_out + 1) for n_out in sizes[1:]) + n_rows_z, 0
        of_layers = zip(self.layers[: self.n_layers], sizes[:-1], sizes[1:], specs, strict=True)
        for layer, n_in, n_out, spec in of_layers:
            w_rows = n_in + 1 + spec.n_more
            n_cols, out_cols = row_length(n_out), row_length(n_out + 1)
            # What stays in L1 is read as fast from whole rows.
            packed = PACKS_WEIGHTS[WIDTH_BYTES] and n_cols > PAD and w_rows * n_cols * width > L1_BYTES
            w_cols = weights_row_length(n_out, width)
            layer["n_in"], layer["n_out"], layer["activation"] = n_in, n_out, spec.activation
            layer["w_start"], layer["w_rows"], layer["w_cols"] = w_end, w_rows, w_cols
            if packed:
                layer["panel_start"], layer["panel_rows"] = panel_end, panel_length(n_in + 1)
                panel_end += layer["panel_rows"] * n_cols
            if w_end > 0 or embeddings:  # else nothing flows back through the first layer
                layer["t_start"], layer["t_rows"] = t_end, panel_length(n_cols)
                layer["t_cols"] = row_length(n_in)
                t_end += layer["t_rows"] * layer["t_cols"]
            layer["in_start"], layer["in_cols"] = in_start, in_cols
            layer["out_start"], layer["out_cols"] = out_start, out_cols
            layer["d_start"], layer["d_cols"] = d_end, n_cols
            layer["p_start"], layer["saved_start"], layer["s_start"] = p_end, saved_end, s_end
            for name in ("hooked", "norm", "prelu", "residual", "alpha", "dropout"):
                layer[name] = getattr(spec, name)
            w_end += w_rows * w_cols
            p_end += -(-w_rows // PAD) * -(-n_cols // GRAIN_COLS)
            d_end += n_cols
            saved_end += spec.n_saved * n_cols
            s_end += w_cols if spec.norm == BATCH_NORM else 0
            in_start, in_cols = out_start, out_cols
            out_start += out_cols
        last = self.layers[self.n_layers - 1]
        last["z_start"], last["dz_start"] = last["out_start"], last["d_start"]
        if n_rows_z > 0:
            last["z_start"], last["dz_start"] = out_start, d_end
            out_start, d_end = out_start + n_rows_z, d_end + n_rows_z
        self.layers["input_dropout"][0] = input_dropout
        input_start = sizes[0] - sum(n_out for *_, n_out in embeddings)
        for table, (column, n_categories, n_out) in zip(
            self.layers[self.n_layers :], embeddings, strict=True
        ):
            w_cols = weights_row_length(n_out, width)
            table["column"], table["input_start"] = column, input_start
            table["n_in"], table["w_rows"], table["n_out"] = n_categories, n_categories, n_out
            table["w_start"], table["w_cols"], table["p_start"] = w_end, w_cols, p_end
            table["d_start"], table["d_cols"] = d_end, row_length(sizes[0])
            w_end += n_categories * w_cols
            p_end += -(-n_categories // PAD) * -(-row_length(n_out) // GRAIN_COLS)
            input_start += n_out
        d_end += row_length(sizes[0]) if embeddings else 0
        self.n_params, self.n_panels, self.n_panels_t = map(int, (w_end, panel_end, t_end))
        self.n_activations, self.n_deltas, self.n_saved = out_start + self.n_inputs, d_end, saved_end
        self.n_running, self.n_statistics, self.n_sums = 2 * s_end, N_STATISTICS * s_end, p_end
        self.n_block = min(BLOCK_ROWS, max(self.layers["w_rows"])) * min(
            BLOCK_COLS, max(self.layers["w_cols"])
        )

    def hidden_outputs(self, work: Workspace) -> list[np.ndarray]:
        """Return copies of the outgoing activations of the hidden layers, (capacity, n_out) each."""
        outputs, n_rows = [], work.capacity
        for layer in self.layers[: self.n_layers - 1]:
            panels = work.activations[layer["out_start"] * n_rows :][: layer["out_cols"] * n_rows]
            outputs.append(from_panels(panels, n_rows)[:, : layer["n_out"]])
        return outputs

    def weights(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return views of a flat vector: one matrix per layer, with all its rows, and one per embedding."""
        return [
            flat[layer["w_start"] :][: layer["w_rows"] * layer["w_cols"]].reshape(
                layer["w_rows"], layer["w_cols"]
            )[:, : layer["n_out"]]
            for layer in self.layers
        ]

    def named_views(self, params: np.ndarray, running: np.ndarray) -> dict[str, np.ndarray]:
        """Return views of parameters and running statistics by name; see :meth:`fastnn.MLP.parameters`."""
        matrices, views = self.weights(params), {}
        for name, (k, first, stop) in self._named_rows().items():
            layer = self.layers[k]
            if name.endswith(("running_mean", "running_variance")):
                start = 2 * layer["s_start"] + first * layer["w_cols"]
                views[name] = running[start:][: layer["n_out"]]
            else:
                views[name] = matrices[k][first] if stop is None else matrices[k][first:stop]
        return views

    def named_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of :meth:`named_views` without allocating anything."""
        return {
            name: (int(self.layers["n_out"][k]),) if stop is None else (stop, int(self.layers["n_out"][k]))
            for name, (k, _, stop) in self._named_rows().items()
        }

    def n_learnt(self) -> dict[str, int]:
        """Count the parameters that training changes, by name."""
        return {
            name: math.prod(shape)
            for name, shape in self.named_shapes().items()
            if not name.endswith(("running_mean", "running_variance"))
        }

    def _named_rows(self) -> dict[str, tuple[int, int, int | None]]:
        """Locate each named part: its layer, first row, and last row + 1 if it has several."""
        rows: dict[str, tuple[int, int, int | None]] = {}
        for k, layer in enumerate(self.layers):
            n_in = int(layer["n_in"])
            if layer["column"] >= 0:
                rows[f"embeddings.{layer['column']}.weight"] = k, 0, n_in
                continue
            rows[f"layers.{k}.weight"] = k, 0, n_in
            names = ["bias"] + ["shift", "gain"] * int(layer["norm"] > 0) + ["slope"] * int(layer["prelu"])
            for row, name in enumerate(names, n_in):
                rows[f"layers.{k}.{name}"] = k, row, None
            if layer["norm"] == BATCH_NORM:
                for row, name in enumerate(("running_mean", "running_variance")):
                    rows[f"layers.{k}.{name}"] = k, row, None
        return rows

    def workspace(
        self,
        capacity: int,
        n_targets: int,
        backward: bool = True,
        n_entries: int | None = None,
        n_parts: int = 1,
    ) -> Workspace:
        """Allocate the buffers for batches of at least `capacity` rows; without deltas if not `backward`.

        A batch of sparse rows has up to `n_entries` entries, which each of `n_parts` sorts; None stands for
        dense rows.
        """
        capacity = panel_length(capacity)
        n_scales = len(self.layers) if LAYER_NORM in self.layers["norm"] else 0
        n_cells = self.n_activations + self.n_saved + (self.n_deltas if backward else 0)
        check_memory(
            f"a batch of {capacity} rows",
            capacity * n_cells * self.dtype.itemsize,
            "the outputs of its layers",
        )
        sparse = n_entries is not None
        # A residual connection around the first layer needs the inputs, which are no wider than its outputs.
        n_activations = self.n_activations - self.n_inputs * (sparse and not self.layers["residual"][0])
        n_sorted = n_entries if n_entries is not None and backward else 0
        return Workspace(
            capacity=capacity,
            activations=aligned_zeros(capacity * n_activations, self.dtype),
            deltas=aligned_zeros(capacity * self.n_deltas if backward else 0, self.dtype),
            saved=aligned_zeros(capacity * self.n_saved, self.dtype),
            row_scale=aligned_zeros(capacity * n_scales, self.dtype),
            statistics=aligned_zeros(self.n_statistics, np.float64),
            codes=np.zeros((capacity, len(self.layers) - self.n_layers), np.int64),
            y=aligned_zeros((capacity, n_targets), self.dtype),
            entries=aligned_zeros((2 * n_parts, n_sorted), np.int64),
            values=aligned_zeros((2 * n_parts, n_sorted), self.dtype),
            counts=np.zeros((n_parts if sparse and backward else 0, N_COUNTS), np.int64),
            row_loss=aligned_zeros(capacity, np.float64),
            row_score=aligned_zeros(capacity, np.float64),
        )
