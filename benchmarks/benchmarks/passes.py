"""The three passes of a dense layer on one thread: fastnn's kernels, and NumPy's products without more.

fastnn's passes run as in training, in blocks of rows or of weights; they add the bias and apply ReLU or its
derivative, which NumPy's products do not.

The compile cache notices edits of fastnn, not of this file: after one, remove its ``__pycache__``.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn
from fastnn._jit import jit
from fastnn.app.machine import describe, peak_gflops
from fastnn.kernels.dense import dense_backward_data, dense_backward_weights, dense_forward
from fastnn.kernels.records import Network, Workspace, delta_of, input_of, output_of, panels_of, transposed_of
from fastnn.kernels.simd import matrix
from fastnn.kernels.sizes import BLOCK_COLS, BLOCK_ROWS, PAD, ROW_BLOCK, TILE_ROWS

Shape = tuple[int, int, int]  # rows of the batch, n_in, n_out
Run = Callable[[int], Any]  # computes a pass a number of times


@jit
def _block(n_rows):
    """Rows of a block, of which all have about as many."""
    n_blocks = (n_rows + ROW_BLOCK - 1) // ROW_BLOCK
    return ((n_rows + n_blocks - 1) // n_blocks + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@jit
def _forward(n, network, work, grad, n_rows):
    layer, block = network.layers[1], _block(n_rows)
    w, stride = panels_of(layer, network)
    out, a, f = output_of(layer, work), input_of(layer, work), layer.activation
    for _ in range(n):
        for r0 in range(0, n_rows, block):
            r1 = min(n_rows, r0 + block)
            dense_forward(out, a, w, work.capacity, stride, f, layer.n_in, layer.n_out, r0, r1)


@jit
def _backward_data(n, network, work, grad, n_rows):
    layer, before, block = network.layers[1], network.layers[0], _block(n_rows)
    w_t, stride = transposed_of(layer, network), layer.t_rows * PAD
    out, delta, a, f = delta_of(before, work), delta_of(layer, work), input_of(layer, work), before.activation
    for _ in range(n):
        for r0 in range(0, n_rows, block):
            r1 = min(n_rows, r0 + block)
            dense_backward_data(out, delta, w_t, work.capacity, stride, a, f, layer.n_in, layer.n_out, r0, r1)


@jit
def _backward_weights(n, network, work, grad, n_rows):
    layer = network.layers[1]
    a, delta = input_of(layer, work), delta_of(layer, work)
    for _ in range(n):
        for i0 in range(0, layer.w_rows, BLOCK_ROWS):
            i1 = min(layer.w_rows, i0 + BLOCK_ROWS)
            for o0 in range(0, layer.w_cols, BLOCK_COLS):
                o1 = min(layer.w_cols, o0 + BLOCK_COLS)
                out = matrix(grad, -i0 * (o1 - o0) - o0, i1, o1 - o0)  # its [i0, o0] is the first of grad
                dense_backward_weights(out, a, delta, work.capacity, n_rows, i0, i1, o0, o1)


KERNELS = {
    "forward": _forward,
    "backward_data": _backward_data,
    "backward_weights": _backward_weights,
}
PASSES = tuple(KERNELS)


def hidden_layer(shape: Shape, dtype: str) -> tuple[Network, Workspace, np.ndarray]:
    """Return a network whose layer 1 has this shape, a batch of random numbers, and room for gradients."""
    n_rows, n_in, n_out = shape
    net = fastnn.MLP((1, n_in, n_out, 1), dtype=dtype, seed=0).compiled_network
    network, work = net.view(packed=True), net.layout.workspace(n_rows, 0)
    rng = np.random.default_rng(0)
    for buffer in (work.activations, work.deltas):
        buffer[:] = rng.random(buffer.size, dtype=dtype)
    return network, work, np.empty(net.layout.n_block, dtype)


def fastnn_passes(shape: Shape, dtype: str) -> dict[str, Run]:
    """Return fastnn's passes of a hidden layer by name.

    Examples
    --------
    >>> fastnn_passes((2, 3, 4), "float32")["forward"](1)
    """
    args = *hidden_layer(shape, dtype), shape[0]
    return {name: functools.partial(_run, kernel, args) for name, kernel in KERNELS.items()}


def _run(kernel: Callable[..., Any], args: tuple[Any, ...], n: int) -> None:
    kernel(n, *args)


def numpy_products(shape: Shape, dtype: str) -> dict[str, Callable[[], Any]]:
    """Return the passes' products by name.

    Examples
    --------
    >>> numpy_products((2, 3, 4), "float32")["forward"]().shape
    (2, 4)
    """
    n_rows, n_in, n_out = shape
    rng = np.random.default_rng(0)
    a, w, delta = (rng.random(size, dtype=dtype) for size in ((n_rows, n_in), (n_in, n_out), (n_rows, n_out)))
    operands = {"forward": (a, w), "backward_data": (delta, w.T), "backward_weights": (a.T, delta)}
    return {
        name: functools.partial(np.matmul, *pair, out=np.empty((len(pair[0]), pair[1].shape[1]), dtype))
        for name, pair in operands.items()
    }


def numpy_passes(shape: Shape, dtype: str) -> dict[str, Run]:
    """Return NumPy's passes by name."""

    def repeated(product: Callable[[], Any], n: int) -> None:
        for _ in range(n):
            product()

    products = numpy_products(shape, dtype)
    return {name: functools.partial(repeated, product) for name, product in products.items()}


def pass_rates(library: str, dtype: str) -> Callable[[str, Shape, float], float]:
    """Return a function of a pass, a shape and a number of seconds that measures GFLOP/s.

    Parameters
    ----------
    library : {"fastnn", "NumPy"}
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> pass_rates("NumPy", "float64")("backward_data", (2, 3, 4), 0.0) > 0
    True
    """
    prepare = functools.lru_cache(1)({"fastnn": fastnn_passes, "NumPy": numpy_passes}[library])

    def rate(name: str, shape: Shape, seconds: float) -> float:
        run = prepare(tuple(shape), dtype)[name]

        def timed(n: int) -> float:
            start = time.perf_counter()
            run(n)
            return time.perf_counter() - start

        timed(1)  # compiles, or loads compiled code
        n = 1
        while (taken := timed(n)) < seconds:
            n = max(2 * n, math.ceil(n * seconds / taken))
        return 2e-9 * math.prod(shape) * n / taken

    return rate


def machine_facts(dtype: str) -> Callable[[int], tuple[dict[str, Any], float]]:
    """Return a function that describes the machine and measures the peak of a number of threads."""
    return lambda n_threads: (describe(), peak_gflops(dtype, n_threads))
