"""Training steps, timed through the public interface."""

from __future__ import annotations

from .common import NETWORKS, OPTIMIZERS, Network, step_us

_NETWORKS = {f"{network.name}, {network.batch}": network for network in NETWORKS}


class Networks:
    """The eight networks of scripts/compare.py, Adam, float32."""

    params = (list(_NETWORKS),)
    param_names = ("network, batch",)
    unit = "us"

    def track_step(self, name):
        return step_us(_NETWORKS[name])


class Optimizers:
    """Cost of the update and of float64."""

    params = (list(_NETWORKS)[2:5:2], ["sgd", "adam"], ["float32", "float64"])
    param_names = ("network, batch", "optimizer", "dtype")
    unit = "us"

    def track_step(self, name, optimizer, dtype):
        return step_us(_NETWORKS[name], OPTIMIZERS[optimizer], dtype)


class Threads:
    """Small, medium and large networks on one and two threads."""

    params = (list(_NETWORKS)[2:5], [1, 2])
    param_names = ("network, batch", "n_threads")
    unit = "us"

    def track_step(self, name, n_threads):
        return step_us(_NETWORKS[name], n_threads=n_threads)


class Width:
    """Two hidden layers as wide as the input; rows with a stride of 1024 floats share cache sets."""

    params = ([16, 64, 256, 1000, 1024],)
    param_names = ("width",)
    unit = "us"

    def track_step(self, width):
        return step_us(Network((width, width, width, 10), 128))


class Depth:
    """Networks of 1 to 16 hidden layers of 64 units."""

    params = ([1, 4, 16],)
    param_names = ("hidden layers",)
    unit = "us"

    def track_step(self, depth):
        return step_us(Network((64,) * (depth + 1) + (10,), 64))


class Batch:
    """Batch sizes of 784-128-10."""

    params = ([1, 32, 256, 2048],)
    param_names = ("batch",)
    unit = "us"

    def track_step(self, batch):
        return step_us(Network((784, 128, 10), batch))
