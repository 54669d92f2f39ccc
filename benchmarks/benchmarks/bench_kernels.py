"""Each kernel alone, on one thread."""

from __future__ import annotations

import statistics

import numpy as np

from fastnn._jit import jit
from fastnn.kernels.activations import ACTIVATIONS, IDENTITY, activate, multiply_by_derivative, softmax
from fastnn.kernels.batches import gather, shuffle
from fastnn.kernels.losses import LOSSES, loss_and_delta
from fastnn.kernels.simd import WIDTH_BYTES
from fastnn.kernels.sizes import PAD
from fastnn.kernels.updates import UPDATE_SETTINGS, step_rates, transpose, update
from fastnn.network.inputs import as_data
from fastnn.network.layout import aligned_zeros, panel_length, row_length

from .children import SIMD, Child
from .common import OPTIMIZERS
from .passes import pass_rates


def _matrix(n_rows: int, n_cols: int) -> np.ndarray:
    """Random numbers in whole rows, as long and as aligned as in the workspace."""
    matrix = aligned_zeros((n_rows, row_length(n_cols)), np.float32)
    matrix[:] = np.random.default_rng(0).standard_normal(matrix.shape)
    return matrix


def _panels(n_rows: int, n_cols: int) -> np.ndarray:
    """Room for a matrix in panels."""
    return aligned_zeros((row_length(n_cols) // PAD * n_rows, PAD), np.float32)


class _Kernels:
    """Every `setup` ends in a call of the timed functions: otherwise asv would time their compilation."""

    repeat = (10, 100, 1.0)


class Dense:
    """The three passes of a layer, float32: GFLOP/s of the product, bias and activation included."""

    params = (
        [
            (32, 64, 64),
            (128, 128, 64),
            (128, 512, 512),
            (120, 784, 512),
            (240, 1024, 1024),
            (240, 2048, 2048),
            (17, 33, 65),
            (128, 784, 10),
        ],
        list(SIMD),
    )
    param_names = ("rows, in, out", "vectors")
    unit = "GFLOP/s"

    def setup(self, shape, simd):
        if simd != "native" and WIDTH_BYTES <= 32:
            raise NotImplementedError("this CPU has no wider vectors than these")
        self.child = Child(pass_rates, "fastnn", "float32", simd=simd)

    def teardown(self, *_):
        if hasattr(self, "child"):
            self.child.close()

    def _median_rate(self, name, shape):
        return round(statistics.median(self.child.ask(name, shape, 0.05) for _ in range(9)), 1)

    def track_forward(self, shape, simd):
        return self._median_rate("forward", shape)

    def track_backward_data(self, shape, simd):
        return self._median_rate("backward_data", shape)

    def track_backward_weights(self, shape, simd):
        return self._median_rate("backward_weights", shape)


class Activation(_Kernels):
    """In place on 128 x 512."""

    params = (list(ACTIVATIONS),)
    param_names = ("activation",)

    def setup(self, name):
        a, delta = _matrix(128, 512), _matrix(128, 512)
        code = ACTIVATIONS[name]
        self.forward = (a, code, 0, 128, 0, 512)
        self.backward = (delta, a, code, 0, 128, 0, 512)
        self.time_activate()
        self.time_derivative()

    def time_activate(self, *_):
        activate(*self.forward)

    def time_derivative(self, *_):
        multiply_by_derivative(*self.backward)


class Softmax(_Kernels):
    """In place on 128 rows."""

    params = ([10, 1000],)
    param_names = ("n_out",)

    def setup(self, n_out):
        self.args = (_matrix(128, n_out), *np.empty((2, 128)), n_out, 0, 128)
        self.time_softmax()

    def time_softmax(self, *_):
        softmax(*self.args)


class Loss(_Kernels):
    """Loss and output delta of 128 rows."""

    params = (list(LOSSES), [10, 1000])
    param_names = ("loss", "n_out")

    def setup(self, loss, n_out):
        z, delta = _matrix(128, n_out + 1), _matrix(128, n_out)
        y = (_matrix(128, n_out) > 0).astype("float32")
        row_loss, row_score = np.empty(128), np.empty(128)
        code, scale, share = LOSSES[loss], 1.0, 1 / 128
        self.args = (row_loss, row_score, delta, z, y, code, scale, share, IDENTITY, n_out, 0, 128)
        self.time_loss_and_delta()

    def time_loss_and_delta(self, *_):
        loss_and_delta(*self.args)


@jit
def _update(w, g, m, v, settings, rates):
    update(w, g, m, v, step_rates(settings, rates, 0, w), 0.0, 0, 1, 0, w.shape[1])


class Update(_Kernels):
    """One step of an optimiser over a row of weights."""

    params = (list(OPTIMIZERS), [10_000, 1_000_000])
    param_names = ("optimizer", "n_params")

    def setup(self, name, n_params):
        w, g, m = (_matrix(1, n_params) for _ in range(3))
        v = np.square(g)
        optimizer, settings = OPTIMIZERS[name], np.zeros(1, UPDATE_SETTINGS)
        for field in set(UPDATE_SETTINGS.names) & set(vars(optimizer)):
            settings[field] = getattr(optimizer, field)
        settings["kind"] = optimizer.core_kind
        rates = optimizer.rates(np.array([optimizer.lr]), 100)
        self.args = (w, g, m, v, settings[0], rates)
        self.time_update()

    def time_update(self, *_):
        _update(*self.args)


class Copies(_Kernels):
    """Copies that a step makes without computing."""

    params = ([64, 784, 4096],)
    param_names = ("n_in",)

    def setup(self, n_in):
        rng = np.random.default_rng(0)
        labels = rng.integers(10, size=(4096, 1), dtype=np.int32)
        x = rng.standard_normal((4096, n_in), dtype="float32")
        data = as_data(x)._replace(labels=labels, indices=rng.permutation(4096))
        capacity = panel_length(128)
        self.rows = (_panels(capacity, n_in + 1), _matrix(128, 1), data, capacity, 0, 0, n_in, 0, 128)
        w_t, w = _panels(capacity, n_in), _matrix(n_in, 128)
        self.weights = (w_t, w, capacity, 0, n_in, 0, 128)
        self.order = np.arange(100_000)
        self.time_gather()
        self.time_transpose()
        self.time_shuffle()

    def time_gather(self, *_):
        gather(*self.rows)

    def time_shuffle(self, *_):
        shuffle(self.order, 1)

    def time_transpose(self, *_):
        transpose(*self.weights)
