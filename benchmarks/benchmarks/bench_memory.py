"""Memory of a training, and allocations of a step, of which there should be none."""

from __future__ import annotations

import tracemalloc

import psutil
from numba.core.runtime import _nrt_python, rtsys

from .common import NETWORKS, Network, make_rows, make_trainer

_NETWORKS = {network.name: network for network in NETWORKS[3:6]}


class Peak:
    """Peak memory of the process; another process makes the data and compiles."""

    params = (list(_NETWORKS),)
    param_names = ("network",)

    def setup_cache(self):
        data = {name: make_rows(network, 10 * network.batch) for name, network in _NETWORKS.items()}
        for name, (x, y) in data.items():
            make_trainer(_NETWORKS[name]).fit(x, y, epochs=1, verbose=0)
        return data

    def peakmem_train(self, data, name):
        make_trainer(_NETWORKS[name]).fit(*data[name], epochs=3, verbose=0)


class Steps:
    """Memory that 10,000 further steps of a small network allocate and keep."""

    def setup(self):
        network = Network((16, 32, 4), 2)
        self.x, self.y = make_rows(network, 20_000)
        self.trainer = make_trainer(network)
        self._fit(epochs=2)

    def _fit(self, epochs: int) -> None:
        self.trainer.fit(self.x, self.y, epochs=epochs, verbose=0)

    def _traced_peak(self, epochs: int) -> int:
        tracemalloc.start()
        self._fit(epochs)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    def track_python_bytes(self):
        """Allocations of Python and NumPy by one more epoch: only its entry in the history."""
        return self._traced_peak(epochs=2) - self._traced_peak(epochs=1)

    track_python_bytes.unit = "bytes"

    def track_resident_growth(self):
        """Growth of the process's resident memory."""
        before = psutil.Process().memory_info().rss
        self._fit(epochs=1)
        return psutil.Process().memory_info().rss - before

    track_resident_growth.unit = "bytes"

    def track_compiled_allocations(self):
        """Allocations of numba's run-time per step; a few calls per epoch allocate for their arguments."""
        _nrt_python.memsys_enable_stats()
        before = rtsys.get_allocation_stats().alloc
        self._fit(epochs=1)
        return (rtsys.get_allocation_stats().alloc - before) / 10_000

    track_compiled_allocations.unit = "allocations/step"
