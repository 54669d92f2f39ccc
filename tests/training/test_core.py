"""A step: penalties, clipping, factors, groups of batches; memory and pace."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
from itertools import pairwise

import numpy as np
import pytest

import fastnn
import fastnn.kernels
from fastnn.optimizers import OPTIMIZERS
from training.examples import (
    LR,
    make_binary_rows,
    make_blobs_trainer,
    make_whole_batch_trainer,
)


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads the kernel's high-water mark")
@pytest.mark.parametrize(("sizes", "batch_size"), [((500, 800, 900, 10), 100), ((1024, 4096, 10), 64)])
def test_memory_is_the_parameters_a_few_times_and_the_workspace(run_python, sizes, batch_size):
    code = f"""
import json, numpy as np, fastnn

def high_water():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def train(sizes, batch_size):
    net = fastnn.MLP(sizes, seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=batch_size)
    trainer.fit(x[:, :sizes[0]].copy(), y, epochs=2, verbose=0)
    return net, trainer

x, y = np.ones((1000, {sizes[0]}), np.float32), np.arange(1000) % 10
train((20, 30, 10), 100)  # loads the compiled code
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the high-water mark starts anew
before = high_water()
net, trainer = train({sizes!r}, {batch_size})
used, data_and_workspace = high_water() - before, x.nbytes + sum(a.nbytes for a in trainer.core._work[1:])
n_packed = int(net.compiled_network.layout.n_panels + net.compiled_network.layout.n_panels_t)
print(json.dumps([used, data_and_workspace, n_packed, fastnn._jit.compile_seconds()]))
"""
    for _ in range(2):
        used, data_and_workspace, n_packed, seconds = json.loads(run_python(code).stdout)
        if seconds == 0:  # else the compiler's memory is in it
            break
    n_params = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    # Weights, two moments, and the copies in panels; a fit of any network takes 1.5 MB besides.
    assert n_packed <= 1.05 * 2 * n_params
    assert used <= 1.05 * (4 * (3 * n_params + n_packed) + data_and_workspace) + 2**20


def test_what_one_fit_learnt_of_threads_the_next_goes_on_with(blobs):
    trainer = make_blobs_trainer()
    trainer.fit(*blobs, epochs=1, verbose=0)
    batch_size, pace = trainer.core._pace
    trainer.fit(*blobs, epochs=1, verbose=0)
    assert trainer.core._pace[1] is pace
    trainer.fit(blobs[0][: batch_size - 1], blobs[1][: batch_size - 1], epochs=1, verbose=0)
    assert trainer.core._pace[1] is not pace


def test_scaled_loss():
    x, y = make_binary_rows()
    loss = fastnn.Loss("huber", delta=0.5)
    tripled = loss.scaled(3.0)
    net = fastnn.MLP([4, 6, 1], dtype="float64", seed=0)
    once, thrice = (
        fastnn.Trainer(copy.deepcopy(net), loss=loss).gradient(x, y.astype(float)) for loss in (loss, tripled)
    )
    assert thrice[0] == pytest.approx(3 * once[0])
    np.testing.assert_allclose(thrice[1][0], 3 * once[1][0])
    assert loss.scale == 1.0
    assert tripled != loss
    for other in (pickle.loads(pickle.dumps(tripled)), copy.deepcopy(tripled), loss.scaled(1.5).scaled(2.0)):
        assert other == tripled
        assert hash(other) == hash(tripled)
    assert repr(tripled) == "Loss('huber', delta=0.5).scaled(3.0)"
    assert loss.scaled(1.0) == loss
    with pytest.raises(ValueError, match="factor must lie"):
        loss.scaled(0.0)


def one_step(three_classes, dtype="float64", **options):
    """A trainer after a step, with the gradient of it without any option, and the weights before."""
    trainer = make_whole_batch_trainer(dtype=dtype, **options)
    _, *grads = make_whole_batch_trainer(dtype=dtype).gradient(*three_classes)
    before = [array.copy() for array in (*trainer.net.weights, *trainer.net.biases)]
    trainer.fit(*three_classes, epochs=1, verbose=0)
    return trainer, [g for part in grads for g in part], before


def all_of(net):
    return [*net.weights, *net.biases]


def assert_close(comp, ref):
    # One step of numbers of size 1.
    eps = 8 * np.finfo(comp[0].dtype).eps
    for array, expected in zip(comp, ref, strict=True):
        np.testing.assert_allclose(array, expected, rtol=eps, atol=eps)


def test_l1_and_l2(three_classes, dtype):
    l1, l2 = 3.0, 2.0
    trainer, grads, before = one_step(three_classes, dtype, l1=l1, l2=l2)
    n_layers, n = len(trainer.net.weights), 60
    ref = [
        w - LR * (g + (l2 * w + l1 * np.sign(w)) / n * (k < n_layers))
        for k, (w, g) in enumerate(zip(before, grads, strict=True))
    ]
    assert_close(all_of(trainer.net), ref)
    penalty = sum(
        (l2 / 2 * w.astype(np.float64) ** 2 + l1 * abs(w.astype(np.float64))).sum() for w in before[:n_layers]
    )
    cost = make_whole_batch_trainer(dtype=dtype).gradient(*three_classes)[0]
    tol, epoch = 1e-6 if dtype == "float32" else 1e-14, trainer.history.epochs[0]
    assert epoch.cost == pytest.approx(cost, rel=tol)
    assert epoch.penalty == pytest.approx(penalty / n, rel=tol)


def test_clip_value(three_classes, dtype):
    trainer, grads, before = one_step(three_classes, dtype, clip_value=0.01)
    assert sum((abs(g) > 0.01).sum() for g in grads) > 10
    assert sum((abs(g) < 0.01).sum() for g in grads) > 10
    assert_close(
        all_of(trainer.net), [w - LR * np.clip(g, -0.01, 0.01) for w, g in zip(before, grads, strict=True)]
    )


@pytest.mark.parametrize("share", [0.1, 10.0])
def test_clip_norm(three_classes, dtype, share):
    grads = one_step(three_classes, "float64")[1]
    norm = math.sqrt(sum((g**2).sum() for g in grads))
    trainer, grads, before = one_step(three_classes, dtype, clip_norm=share * norm)
    # PyTorch adds 1e-6 to the norm, and so does this.
    factor = min(1.0, share * norm / (norm + 1e-6))
    assert_close(all_of(trainer.net), [w - LR * factor * g for w, g in zip(before, grads, strict=True)])


def test_max_norm(three_classes, dtype):
    trainer, grads, before = one_step(three_classes, dtype, max_norm=0.7)
    ref = [w - LR * g for w, g in zip(before, grads, strict=True)]
    for k, w in enumerate(ref[:2]):
        norms = np.sqrt((w**2).sum(axis=0))
        assert (norms > 0.7).any()
        ref[k] = w * np.minimum(1, 0.7 / norms)
    assert_close(all_of(trainer.net), ref)
    trainer.fit(*three_classes, epochs=10, verbose=0)
    for w in trainer.net.weights:
        assert np.sqrt((w.astype(np.float64) ** 2).sum(axis=0)).max() < 0.7 * (1 + 4 * np.finfo(dtype).eps)


def test_weight_decay_is_apart_from_the_gradient(three_classes, dtype):
    trainer, grads, before = one_step(three_classes, dtype, optimizer=fastnn.SGD(lr=LR, weight_decay=0.5))
    ref = [w - LR * g for w, g in zip(before, grads, strict=True)]
    for k in range(2):  # of weights, not of biases
        ref[k] = ref[k] - LR * 0.5 * before[k]
    assert_close(all_of(trainer.net), ref)


@pytest.mark.parametrize(
    ("factors", "of_layers", "of_rest"),
    [
        ({0: 0.0}, (0, 1), (0, 1)),
        ({-1: 0.0}, (1, 0), (1, 0)),
        ({"bias": 0.0}, (1, 1), (0, 0)),
        ({0: 0.5, "bias": 3.0}, (0.5, 1), (1.5, 3)),
        ({0: 0.0, 1: 0.0}, (0, 0), (0, 0)),
    ],
)
def test_rate_factors(three_classes, dtype, factors, of_layers, of_rest):
    trainer, grads, before = one_step(three_classes, dtype, rate_factors=factors)
    ref = [w - LR * f * g for w, g, f in zip(before, grads, of_layers + of_rest, strict=True)]
    assert_close(all_of(trainer.net), ref)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_a_factor_of_0_freezes_to_the_bit(three_classes, optimizer):
    net = fastnn.MLP([4, 7, 6, 3], ["prelu", "tanh"], norm="layer", seed=0)
    before = {name: array.copy() for name, array in net.parameters().items()}
    options = {"l1": 0.1, "l2": 0.1, "clip_norm": 1.0, "average": fastnn.EMA(0.5)}
    make_whole_batch_trainer(net, optimizer=optimizer, rate_factors={0: 0, 2: 0}, **options).fit(
        *three_classes, epochs=3, verbose=0
    )
    for name, array in net.parameters().items():
        assert (array == before[name]).all() == ("layers.1." not in name), name


@pytest.mark.parametrize("optimizer", [fastnn.SGD(lr=0.1, momentum=0.9), fastnn.Adam(lr=0.01)])
@pytest.mark.parametrize("options", [{}, {"l1": 0.3, "clip_norm": 0.2}], ids=str)
def test_accumulate_is_a_larger_batch(three_classes, dtype, optimizer, options):
    """Batches of 7 in threes beside batches of 21; the last ones are 18 rows: 7, 7 and 4."""
    weights = np.arange(60) % 5
    options = {"optimizer": optimizer, "l2": 0.5, "dtype": dtype} | options
    comp, ref = (
        make_whole_batch_trainer(batch_size=7, accumulate=3, **options),
        make_whole_batch_trainer(batch_size=21, **options),
    )
    for trainer in (comp, ref):
        trainer.fit(*three_classes, epochs=4, sample_weight=weights, verbose=0)
    assert comp.state.n_updates == ref.state.n_updates == 12
    # Twelve updates of sums in another order; Adam divides by the size of a slope, however small.
    tol = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(comp.net.params, ref.net.params, rtol=tol, atol=tol)


@pytest.mark.parametrize("sizes", [(20, 4), (20, 30, 7, 4)])
def test_l2_penalty(four_classes, dtype, sizes):
    l2, lr, n_rows = 3.0, 0.5, 300
    net = fastnn.MLP(sizes, "tanh", dtype=dtype, seed=0)
    for b in net.biases:
        b[:] = 0.5
    options = {"optimizer": fastnn.SGD(lr=lr), "batch_size": None, "shuffle": False}
    plain = fastnn.Trainer(net, loss="cross_entropy", **options)
    cost, grad_weights, grad_biases = plain.gradient(*four_classes)
    weights, biases = ([array.astype(np.float64) for array in arrays] for arrays in (net.weights, net.biases))
    decayed = fastnn.Trainer(net, loss="cross_entropy", l2=l2, **options)
    history = decayed.fit(*four_classes, epochs=1, verbose=0)
    # One step of numbers of size 1: some eps; the biases bear no penalty.
    eps = np.finfo(dtype).eps
    penalty = l2 / (2 * n_rows) * sum((w**2).sum() for w in weights)
    np.testing.assert_allclose(history.epochs[0].cost, cost, rtol=4 * eps)
    np.testing.assert_allclose(history.epochs[0].penalty, penalty, rtol=4 * eps)
    for comp, w, grad in zip(net.weights, weights, grad_weights, strict=True):
        np.testing.assert_allclose(comp, w - lr * (grad + l2 / n_rows * w), rtol=4 * eps, atol=4 * eps)
    for comp, b, grad in zip(net.biases, biases, grad_biases, strict=True):
        np.testing.assert_allclose(comp, b - lr * grad, rtol=4 * eps)
