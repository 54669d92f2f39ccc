"""The records that the kernels share: the layer table, the network, a batch's buffers, the data, the update.

Vectors here are long buffers; a layer's row of the layer table locates its part of each.
The functions below give that part as a matrix, without a copy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._jit import jit
from .simd import matrix, padded
from .sizes import GRAIN_COLS, PAD

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
                "panel_start",  # weights in panels, (panel_rows, padded(n_out)), if panel_rows > 0
                "panel_rows",
                "t_start",  # transposed weights in panels: (t_rows, t_cols)
                "t_rows",
                "t_cols",
                # Matrices of a batch are in panels of `capacity` rows; starts are those of a batch of 1.
                "in_start",  # incoming activations: (capacity, in_cols)
                "in_cols",
                "out_start",  # outgoing activations
                "out_cols",
                "d_start",  # delta: (capacity, d_cols)
                "d_cols",
                "z_start",  # of the output layer: z in whole rows, (capacity, d_cols); out_start if one panel
                "dz_start",  # and its delta
                "p_start",  # sums over tiles: an entry for every PAD x GRAIN_COLS weights
                # The rest is read by hooks:
                "hooked",  # whether the hooks of network take part in this layer's passes
                "function",  # address of the activation
                "saved_start",  # matrices saved from forward to backward: (capacity, d_cols) each
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
COST_SUM, PENALTY_SUM, SCORE_SUM, WEIGHT_SUM, STEPS_DONE, ROWS_DONE, FAILED, N_TOTALS = range(8)
NOT_FINITE, NOT_TOGETHER = 1, 2


class Network(NamedTuple):
    """A network as the kernels see it; it holds hooks by address, 0 where there is none.

    The panels are copies of the weights, which a training step keeps up to date and `pack_weights` renews. A
    network without them reads the weights as they are.
    """

    layers: np.ndarray  # (n_layers + n_embeddings,) LAYER: the layers come first
    n_layers: int
    columns: np.ndarray  # place of each feature among the inputs; -1 if embedded. Empty if none is.
    params: np.ndarray
    panels: np.ndarray  # weights in panels, where that pays
    panels_t: np.ndarray  # transposed weights in panels
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
    """Buffers of one batch of at most `capacity` rows, an odd number: then panels share no cache sets."""

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
def panels_of(layer, network):
    """Weights and bias as the forward product reads them, and the stride of their panels."""
    if layer.panel_rows > 0 and network.panels.size > 0:
        n_rows = layer.panel_rows
        return matrix(
            network.panels, layer.panel_start, padded(layer.n_out) // PAD * n_rows, PAD
        ), n_rows * PAD
    return weights_of(layer, network.params), np.intp(PAD)


@jit(inline=True)
def transposed_of(layer, network):
    """Transposed weights without the bias, (t_rows, t_cols) in panels."""
    return matrix(network.panels_t, layer.t_start, layer.t_cols // PAD * layer.t_rows, PAD)


@jit(inline=True)
def batch_panels(flat, start, n_cols, work):
    """A matrix of the batch, (capacity, n_cols) in panels, in a vector of the workspace."""
    return matrix(flat, start * work.capacity, n_cols // PAD * work.capacity, PAD)


@jit(inline=True)
def input_of(layer, work):
    """Incoming activations, (capacity, in_cols) in panels."""
    return batch_panels(work.activations, layer.in_start, layer.in_cols, work)


@jit(inline=True)
def output_of(layer, work):
    """Outgoing activations, (capacity, out_cols) in panels."""
    return batch_panels(work.activations, layer.out_start, layer.out_cols, work)


@jit(inline=True)
def delta_of(layer, work):
    """Gradient of the cost with respect to z, (capacity, d_cols) in panels."""
    return batch_panels(work.deltas, layer.d_start, layer.d_cols, work)


@jit(inline=True)
def saved_matrix(layer, work, number):
    """One of the matrices that a hooked layer saves, (capacity, d_cols)."""
    start = layer.saved_start + number * layer.d_cols
    return matrix(work.saved, start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def output_rows_of(layer, work):
    """The output layer's z in whole rows, (capacity, d_cols); its panel itself where there is but one."""
    return matrix(work.activations, layer.z_start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def output_delta_of(layer, work):
    """The output layer's delta in whole rows, as :func:`output_rows_of`."""
    return matrix(work.deltas, layer.dz_start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def sum_index(layer, i, o):
    """Place in `penalty` and `norms` of the tile that weight [i, o] of the layer is in."""
    per_row = (padded(layer.n_out) + GRAIN_COLS - 1) // GRAIN_COLS
    return layer.p_start + i // PAD * per_row + o // GRAIN_COLS
