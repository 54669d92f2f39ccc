"""Cost of a step on sparse rows with the features of a vocabulary."""

from __future__ import annotations

import statistics

import fastnn

from .common import make_text

_UPDATES: dict[str, dict] = {
    "sgd": {"optimizer": "sgd"},
    "adam": {"optimizer": "adam"},
    "lazy adam": {"optimizer": "adam", "lazy": True},
}


class Text:
    """Rows of 80 words, a layer of 100 units, batches of 128, one thread."""

    params = ([3_000, 30_000, 100_000], list(_UPDATES))
    param_names = ("n_features", "update")
    unit = "us"

    def setup(self, n_features, update):
        self.x, self.y = make_text(5_120, n_features)
        self.net = fastnn.MLP([n_features, 100, 10], seed=0)
        options = {"loss": "cross_entropy", "batch_size": 128, "seed": 0, "n_threads": 1}
        self.trainer = fastnn.Trainer(self.net, **options, **_UPDATES[update])
        self.trainer.fit(self.x, self.y, epochs=1, verbose=0)  # compiles, or loads compiled code
        self.net.predict(self.x)

    def track_step(self, *_):
        history = self.trainer.fit(self.x, self.y, epochs=5, verbose=0)
        return 1e6 * statistics.median(epoch.seconds for epoch in history.epochs[1:]) / 40

    def time_predict(self, *_):
        self.net.predict_raw(self.x, n_threads=1)

    def peakmem_fit(self, *_):
        self.trainer.fit(self.x, self.y, epochs=1, verbose=0)
