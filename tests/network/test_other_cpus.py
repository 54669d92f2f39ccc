"""What is written on one CPU is read on another, whatever its vectors: files hold no panels."""

from __future__ import annotations

import json
import platform

import numpy as np
import pytest

import fastnn
from fastnn.kernels import simd
from network.networks import header_of

SIZES = 300, 512, 33  # of which no L1 holds the first weights, and whose rows are off the power of two
EPOCHS = 3


def make_trainer(net=None):
    net = fastnn.MLP(SIZES, "prelu", output="softmax", seed=0) if net is None else net
    options = {"optimizer": fastnn.SGD(lr=0.1, momentum=0.9), "batch_size": 16, "seed": 0, "n_threads": 1}
    return fastnn.Trainer(net, loss="cross_entropy", **options)


def fit(trainer, epochs, **options):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((40, SIZES[0])), rng.integers(0, SIZES[-1], 40)
    return trainer.fit(x, y, epochs=epochs, verbose=0, **options)


WRITE = """
import json, pickle, numpy as np, fastnn
from network.test_other_cpus import fit, make_trainer, simd
trainer = make_trainer()
fit(trainer, 1, checkpoint=fastnn.Checkpoint("checkpoints"))
trainer.net.save("model")
with open("pickle", "wb") as file:
    pickle.dump(trainer.net, file)
np.savez("written", **trainer.net.parameters())
print(json.dumps([simd.WIDTH_BYTES, trainer.net.compiled_network.layout.n_panels > 0]))
"""
READ = """
import json, pickle, numpy as np, fastnn
from network.test_other_cpus import EPOCHS, fit, make_trainer, simd
with open("pickle", "rb") as file:
    nets = {"pickle": pickle.load(file), "model": fastnn.load("model")}
resumed = make_trainer()
fit(resumed, 1, checkpoint=fastnn.Checkpoint("checkpoints"))  # is done already
nets["checkpoint"] = resumed.net
for name, net in nets.items():
    np.savez(f"read {name}", **net.parameters())
    fit(make_trainer(net), 1)
    np.savez(f"trained {name}", **net.parameters())
resumed = make_trainer()
fit(resumed, EPOCHS, checkpoint=fastnn.Checkpoint("checkpoints"))
np.savez("resumed", **resumed.net.parameters())
print(json.dumps([simd.WIDTH_BYTES, resumed.net.compiled_network.layout.n_panels > 0]))
"""


def assert_close(comp, ref):
    """Equality but for the rounding of twelve steps of sums of 512 products, in another order."""
    for name, array in ref.items():
        np.testing.assert_allclose(comp[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or simd.WIDTH_BYTES < 32, reason="needs vectors of AVX2"
)
@pytest.mark.parametrize(("writer", "reader"), [("this", "x86-64"), ("haswell", "this")])
def test_files_of_another_cpu(run_python, tmp_path, monkeypatch, writer, reader):
    monkeypatch.chdir(tmp_path)
    widths = {"this": simd.WIDTH_BYTES, "haswell": 32, "x86-64": 16}
    for code, name in ((WRITE, writer), (READ, reader)):
        limits = {} if name == "this" else {"NUMBA_CPU_NAME": name, "NUMBA_CACHE_DIR": str(tmp_path / name)}
        assert json.loads(run_python(code, **limits).stdout) == [widths[name], widths[name] < 64]
    written = np.load("written.npz")
    header, _ = header_of(tmp_path / "model")
    assert [header[f"layers.{depth}.weight"]["shape"] for depth in (0, 1)] == [[300, 512], [512, 33]]
    for path in fastnn.Checkpoint("checkpoints").files():  # a vector of whole rows, in which no panels are
        assert header_of(path)[0]["params"]["shape"] == [make_trainer().net.params.size]
    trained = make_trainer()
    fit(trained, 1)
    assert_close(written, trained.net.parameters())
    fit(make_trainer(trained.net), 1)
    for name in ("model", "pickle", "checkpoint"):
        read = np.load(f"read {name}.npz")
        assert list(read) == list(written)
        for key, array in written.items():
            np.testing.assert_array_equal(read[key], array, key, strict=True)
        assert_close(np.load(f"trained {name}.npz"), trained.net.parameters())
    ref = make_trainer()
    fit(ref, EPOCHS)
    assert_close(np.load("resumed.npz"), ref.net.parameters())
