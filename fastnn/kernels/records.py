"""The records that the kernels share: the layer table, the network, a batch's buffers, the data, the update.

Vectors here are long buffers; a layer's row of the layer table locates its part of each.
The functions below give that part as a matrix, without a copy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._jit import jit
from .simd import matrix
from .sizes import GRAIN_COLS, TILE_ROWS

LAYER = np.dtype(
    (
        np.record,
        [
            (name, np.int64)
            for name in (
                "n_in",
                "n_out",
                "activation",
                "w_start",  # weights: (w_rows, w_cols) in params, grads and optimiser state
                "w_rows",  # n_in, the bias, and a row for each kind of other parameters, one an output
                "w_cols",
                "t_start",  # transposed weights: (n_out, t_cols)
                "t_cols",
                "in_start",  # incoming activations: (capacity, in_cols); starts are those of a batch of 1
                "in_cols",
                "out_start",  # outgoing activations
                "out_cols",
                "d_start",  # delta: (capacity, d_cols)
                "d_cols",
                "p_start",  # sums over tiles: an entry for every TILE_ROWS x GRAIN_COLS weights
                # The rest is read by hooks:
                "hooked",  # whether the hooks of network take part in this layer's passes
                "function",  # address of the activation
                "saved_start",  # matrices saved from forward to backward: (capacity, w_cols) each
                "norm",
                "prelu",
                "residual",
                "s_start",  # statistics of a batch normalisation: see hooks/rows.py
                "column",  # column of the features that an embedding looks up; -1 for a layer
                "input_start",  # where the vector of an embedding begins among the first layer's inputs
            )
        ]
        + [(name, np.float64) for name in ("alpha", "dropout", "input_dropout")],
    )
)
# Places in the array of totals through which a call reports.
COST_SUM, SCORE_SUM, WEIGHT_SUM, STEPS_DONE, ROWS_DONE, FAILED, N_TOTALS = range(7)
NOT_FINITE, NOT_TOGETHER = 1, 2


class Network(NamedTuple):
    """A network as the kernels see it; it holds hooks by address, 0 where there is none.

    The transposed weights are a copy, which a training step keeps up to date and `transpose_weights` renews.
    """

    layers: np.ndarray  # (n_layers + n_embeddings,) LAYER: the layers come first
    n_layers: int
    columns: np.ndarray  # place of each feature among the inputs; -1 if embedded. Empty if none is.
    params: np.ndarray
    params_t: np.ndarray
    output: int  # code of the output layer's activation; its row of the layer table has identity
    running: np.ndarray  # running mean and variance of batch normalisations
    embed_hook: int  # looks up the embeddings of some rows
    forward_hook: int  # ends the forward pass of a hooked layer
    backward_hook: int  # begins the backward pass of a hooked layer
    gradient_hook: int  # sums the gradient of parameters other than weights and biases
    sparse_forward: int  # takes sparse rows through the first layer
    sparse_sort: int  # sorts their entries by feature
    sparse_gradient: int  # sums the gradient of the first layer's weights from the sorted entries
    sparse_update: int  # updates only the weights of the features that the batch has
    rows_coupled: bool  # whether the rows of a batch depend on each other
    seed: int  # of dropout


class Workspace(NamedTuple):
    """Buffers of one batch of at most `capacity` rows."""

    capacity: int
    activations: np.ndarray
    deltas: np.ndarray
    saved: np.ndarray  # what hooked layers save from forward to backward
    row_scale: np.ndarray  # (n_layers * capacity,) of layer normalisations
    statistics: np.ndarray  # float64, of batch normalisations
    codes: np.ndarray  # (capacity, n_embeddings) int64: the rows' categories
    y: np.ndarray  # (capacity, n_targets)
    entries: np.ndarray  # (2 * parts, entries of a batch) int64: the entries of sparse rows, and room to sort
    values: np.ndarray  # of the same shape: their values
    counts: np.ndarray  # (parts, hooks.sparse.N_COUNTS) int64: of the sort
    row_loss: np.ndarray  # (capacity,) float64
    row_score: np.ndarray  # (capacity,) float64


class Data(NamedTuple):
    """Rows to train on, to score or to predict; absent arrays have size 0."""

    x: np.ndarray  # (n, n_in), or (1, number of entries) if sparse
    labels: np.ndarray  # (n, n_labels) int32
    targets: np.ndarray  # (n, n_out)
    indices: np.ndarray  # (n,) int64
    weights: np.ndarray  # (n,) float64
    starts: np.ndarray  # (n + 1,) int64: where the entries of a sparse row begin
    columns: np.ndarray  # (number of entries,) int32


class Objective(NamedTuple):
    """The loss by code or by address, the factor it is scaled by, and the loss's own numbers."""

    loss: int
    scale: float
    function: int
    numbers: np.ndarray


class UpdateState(NamedTuple):
    """Settings of the update, the optimiser's state, and buffers of the update."""

    settings: np.ndarray  # (1,) updates.UPDATE_SETTINGS
    constants: np.ndarray  # float64: the optimiser's own numbers
    rates: np.ndarray  # (updates of an epoch, N_RATES) float64
    factors: np.ndarray  # (size of layers, 2) float64: on the learning rate, of weights and of the rest
    m: np.ndarray
    v: np.ndarray
    u: np.ndarray
    grad: np.ndarray  # (parts, size of a block): the gradient of the block of weights each part is at
    full_grad: np.ndarray  # (n_params,), or of size 0 if the gradient of every block is used at once
    average: np.ndarray  # (n_params,) or of size 0: mean of the weights over steps
    penalty: np.ndarray  # (n_sums,) float64: penalty of the weights, tile by tile
    norms: np.ndarray  # (n_sums,) float64: squared gradient, tile by tile, if it is clipped by norm


class HookContext(NamedTuple):
    """The part, the batch and the step that a hook works on."""

    network: Network  # in compiled code by pointer, and so is the workspace
    work: Workspace
    part: int
    n_parts: int
    team: np.ndarray
    step: int  # of training, from 1; 0 to predict
    n_rows: int  # of the batch
    learns: bool  # whether the batch enters the running statistics


@jit(inline=True)
def weights_of(layer, flat):
    """Weights, bias and the rows below, (w_rows, w_cols), in a vector laid out as the parameters."""
    return matrix(flat, layer.w_start, layer.w_rows, layer.w_cols)


@jit(inline=True)
def transposed_of(layer, network):
    """Transposed weights without the bias, (n_out, t_cols)."""
    return matrix(network.params_t, layer.t_start, layer.n_out, layer.t_cols)


@jit(inline=True)
def input_of(layer, work):
    """Incoming activations, (capacity, in_cols)."""
    return matrix(work.activations, layer.in_start * work.capacity, work.capacity, layer.in_cols)


@jit(inline=True)
def output_of(layer, work):
    """Outgoing activations, (capacity, out_cols)."""
    return matrix(work.activations, layer.out_start * work.capacity, work.capacity, layer.out_cols)


@jit(inline=True)
def delta_of(layer, work):
    """Gradient of the cost with respect to z, (capacity, d_cols)."""
    return matrix(work.deltas, layer.d_start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def saved_matrix(layer, work, number):
    """One of the matrices that a hooked layer saves, (capacity, w_cols)."""
    start = layer.saved_start + number * layer.w_cols
    return matrix(work.saved, start * work.capacity, work.capacity, layer.w_cols)


@jit(inline=True)
def sum_index(layer, i, o):
    """Place in `penalty` and `norms` of the tile that weight [i, o] of the layer is in."""
    per_row = (layer.w_cols + GRAIN_COLS - 1) // GRAIN_COLS
    return layer.p_start + i // TILE_ROWS * per_row + o // GRAIN_COLS
