"""Memory that training takes, and that a step takes none."""

from __future__ import annotations

import tracemalloc

import psutil
from numba.core.runtime import _nrt_python, rtsys

from .common import NETWORKS, Network, make_rows, make_trainer

_NETWORKS = {network.name: network for network in NETWORKS[3:6]}


class Peak:
    """Peak of the whole process; the data come from a process of their own, which also compiles."""

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
    """What 10,000 further steps of a small network take and keep."""

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
        """Of all that Python and NumPy allocate: the second epoch's entry in the history, and no more."""
        return self._traced_peak(epochs=2) - self._traced_peak(epochs=1)

    track_python_bytes.unit = "bytes"

    def track_resident_growth(self):
        """Growth of the process."""
        before = psutil.Process().memory_info().rss
        self._fit(epochs=1)
        return psutil.Process().memory_info().rss - before

    track_resident_growth.unit = "bytes"

    def track_compiled_allocations(self):
        """How often a step asks numba's run-time for memory; some calls an epoch take their arguments in."""
        _nrt_python.memsys_enable_stats()
        before = rtsys.get_allocation_stats().alloc
        self._fit(epochs=1)
        return (rtsys.get_allocation_stats().alloc - before) / 10_000

    track_compiled_allocations.unit = "allocations/step"
