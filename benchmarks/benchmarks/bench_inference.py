"""Time of predictions of 64-128-64-10."""

from __future__ import annotations

from .common import NETWORKS, make_rows, make_trainer


class Predict:
    """Latency of a few rows, throughput of many."""

    params = ([1, 32, 20_000], [1, 2])
    param_names = ("rows", "n_threads")
    repeat = (10, 100, 1.0)

    def setup(self, n_rows, n_threads):
        if not hasattr(self, "net"):  # asv calls setup before every timed call
            self.net = make_trainer(NETWORKS[2]).net
            self.x, _ = make_rows(NETWORKS[2], n_rows)
            self.predictor = self.net.predictor(n_threads=n_threads)
        self.time_predict(n_rows, n_threads)
        self.time_predictor(n_rows, n_threads)

    def time_predict(self, n_rows, n_threads):
        self.net.predict(self.x, n_threads=n_threads)

    def time_predictor(self, n_rows, n_threads):
        self.predictor(self.x)
