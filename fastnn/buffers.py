"""Flat, aligned, padded vectors: parameters, optimiser state, and the workspace of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ._tuning import ALIAS_BYTES, BLOCK_COLS, BLOCK_ROWS, GRAIN_COLS, PAD, TILE_ROWS
from .kernels.step import LAYER, Workspace

ALIGN_BYTES = 64


def aligned_zeros(shape, dtype) -> np.ndarray:
    """A C-contiguous array of zeros whose data starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    raw = np.zeros(size * dtype.itemsize + ALIGN_BYTES, dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGN_BYTES
    return np.ndarray(shape, dtype, buffer=raw, offset=start)


def row_length(n: int, itemsize: int) -> int:
    """`n` padded to whole cache lines, and off the strides whose rows share cache sets."""
    padded = -(-n // PAD) * PAD
    return padded + PAD if padded * itemsize % ALIAS_BYTES == 0 else padded


class Layout:
    """Where everything of a network stands in its flat vectors; depends on sizes and dtype alone.

    Attributes
    ----------
    layers : ndarray of LAYER, shape (n_layers,)
    n_params, n_params_t, n_activations, n_deltas : int
        Lengths of the vectors, padding included; the last two for a batch of one row.
    n_penalties, n_block : int
        Entries of the penalty, and weights in the largest block that is updated at once.
    """

    def __init__(self, sizes: Sequence[int], activations: Sequence[int], dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.layers = np.zeros(len(sizes) - 1, dtype=LAYER)
        width = self.dtype.itemsize
        w_end = t_end = d_end = p_end = 0
        in_cols = row_length(sizes[0] + 1, width)
        in_start, out_start = 0, in_cols
        for layer, n_in, n_out, code in zip(self.layers, sizes[:-1], sizes[1:], activations, strict=True):
            w_cols, t_cols = row_length(n_out, width), row_length(n_in, width)
            out_cols = row_length(n_out + 1, width)
            layer["n_in"], layer["n_out"], layer["activation"] = n_in, n_out, code
            layer["w_start"], layer["w_cols"] = w_end, w_cols
            layer["t_start"], layer["t_cols"] = t_end, t_cols
            layer["in_start"], layer["in_cols"] = in_start, in_cols
            layer["out_start"], layer["out_cols"] = out_start, out_cols
            layer["d_start"], layer["d_cols"] = d_end, w_cols
            layer["p_start"] = p_end
            w_end += (n_in + 1) * w_cols
            p_end += -(-n_in // TILE_ROWS) * -(-w_cols // GRAIN_COLS)
            if in_start > 0:  # nothing flows back through the first layer
                t_end += n_out * t_cols
            d_end += w_cols
            in_start, in_cols = out_start, out_cols
            out_start += out_cols
        self.n_params, self.n_params_t = w_end, t_end
        self.n_activations, self.n_deltas, self.n_penalties = out_start, d_end, p_end
        self.n_block = min(BLOCK_ROWS, max(sizes[:-1]) + 1) * min(BLOCK_COLS, max(self.layers["w_cols"]))

    def weights(self, flat: np.ndarray) -> list[np.ndarray]:
        """Views of a flat vector as one (n_in + 1, n_out) matrix a layer, the bias in the last row."""
        return [
            flat[layer["w_start"] :][: (layer["n_in"] + 1) * layer["w_cols"]].reshape(
                layer["n_in"] + 1, layer["w_cols"]
            )[:, : layer["n_out"]]
            for layer in self.layers
        ]

    def transposed(self, flat_t: np.ndarray) -> list[np.ndarray]:
        """Views of the transposed weights, (n_out, n_in) each, of every layer but the first."""
        return [
            flat_t[layer["t_start"] :][: layer["n_out"] * layer["t_cols"]].reshape(
                layer["n_out"], layer["t_cols"]
            )[:, : layer["n_in"]]
            for layer in self.layers[1:]
        ]

    def workspace(self, capacity: int, n_targets: int, backward: bool = True) -> Workspace:
        """Buffers for batches of up to `capacity` rows; with no room for deltas if not `backward`."""
        return Workspace(
            capacity=capacity,
            activations=aligned_zeros(capacity * self.n_activations, self.dtype),
            deltas=aligned_zeros(capacity * self.n_deltas if backward else 0, self.dtype),
            y=aligned_zeros((capacity, n_targets), self.dtype),
            row_loss=aligned_zeros(capacity, np.float64),
            row_score=aligned_zeros(capacity, np.float64),
        )
