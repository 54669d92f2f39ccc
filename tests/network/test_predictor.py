"""Predictor: the bits of the network's own prediction, at any number of rows and threads."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import _threads
from fastnn._threads import usable_cores


@pytest.mark.parametrize("n_rows", [1, 5, 239, 240, 241, 1000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_prediction_does_not_depend_on_the_other_rows(n_rows, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    net = fastnn.MLP([6, 17, 4], output="softmax", seed=0)
    x = np.random.default_rng(1).standard_normal((1000, 6)).astype(np.float32)
    comp = net.predict_proba(x[:n_rows], n_threads=n_threads)
    assert np.array_equal(comp, net.predict_proba(x, n_threads=1)[:n_rows])
    np.testing.assert_allclose(comp.sum(axis=1), 1, rtol=1e-6)  # a few roundings of float32


@pytest.mark.parametrize("n_threads", [1, 2, None])
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_predictor(dtype, output, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    net = fastnn.MLP([6, 17, 4], output=output, dtype=dtype, seed=0)
    predict = net.predictor(n_threads=n_threads)
    x = np.random.default_rng(0).standard_normal((1000, 6)).astype(dtype)
    for rows in (x[:1], x[:7], x, x[::3], x[:, ::-1], x[:2].tolist(), x[:9].astype(np.longdouble)):
        comp = predict(rows)
        np.testing.assert_array_equal(comp, net.predict_raw(rows))
        assert comp.dtype == dtype
    net.weights[0][:] += 1  # it follows the weights
    np.testing.assert_array_equal(predict(x), net.predict_raw(x))


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_predictor_shares_out_a_large_call_of_a_small_network(monkeypatch):
    net, parts, real = fastnn.MLP([6, 17, 4], seed=0), [], _threads.run_parts
    monkeypatch.setattr(_threads, "run_parts", lambda *args: (parts.append(args[1]), real(*args)))
    x = np.zeros((100_000, 6), np.float32)  # 80 MFLOP
    predict = net.predictor(n_threads=None)
    predict(x[:1000])
    assert parts == []
    predict(x)
    assert parts[0] >= 2


def test_predictor_from_several_threads():
    net = fastnn.MLP([6, 100, 4], seed=0)
    predict, x = net.predictor(), np.random.default_rng(0).standard_normal((8, 200, 6)).astype(np.float32)
    expected, found = [net.predict_raw(rows) for rows in x], [[] for _ in x]

    def work(k):
        for _ in range(100):
            found[k].append(predict(x[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(x))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ref, results in zip(expected, found, strict=True):
        assert all(np.array_equal(ref, comp) for comp in results)


@pytest.mark.parametrize(
    ("x", "message"),
    [(np.zeros(6), "2 dimensions"), (np.zeros((2, 5)), "5 features"), ([["a"] * 6], "numeric")],
)
def test_predictor_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([6, 17, 4], seed=0).predictor()(x)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predictor_of_kept_layers(kept, rng, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    predict, x = kept.predictor(n_threads=n_threads), rng.standard_normal((1000, 6)).astype(kept.dtype)
    whole = kept.predict_raw(x, n_threads=1)
    for rows in (x[:1], x[:241], x):
        np.testing.assert_array_equal(predict(rows), whole[: len(rows)])
        np.testing.assert_array_equal(kept.predict_raw(rows, n_threads=n_threads), whole[: len(rows)])
    for array in kept.parameters().values():  # it follows them
        array *= 0.5
    np.testing.assert_array_equal(predict(x), kept.predict_raw(x))
    assert (predict(x) != whole).any()


@pytest.mark.parametrize("n_threads", [0, -1])
def test_bad_thread_count(n_threads):
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        fastnn.MLP([4, 2], seed=0).predict(np.zeros((1, 4)), n_threads=n_threads)
