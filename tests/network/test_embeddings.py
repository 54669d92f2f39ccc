"""Embedded columns from outside: what they compute, learn and refuse, and where they are kept."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from training.resuming import CrashAfter, CrashError

import fastnn
from fastnn import EMA, SGD, Checkpoint, EarlyStopping, _threads
from fastnn.kernels.records import FAILED
from fastnn.training import pace
from network.networks import assert_same_network, rewrite

SIZES = (4, 9, 9, 3)
TABLES = {2: (6, 3), 0: (3, 2)}
N_ROWS = 60


def make_rows(n_rows=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, 4)).astype(np.float32)
    for column, (n_categories, _) in TABLES.items():
        x[:, column] = rng.integers(0, n_categories, n_rows)
    return x, rng.integers(0, 3, n_rows)


def make_net(**options):
    options = {"embeddings": TABLES, "output": "softmax", "seed": 0, **options}
    return fastnn.MLP(SIZES, "tanh", **options)


def tables(net):
    return [array for name, array in net.parameters().items() if name.startswith("embeddings")]


def fit(net, x, y, epochs=3, **options):
    given = {"batch_size": 16, "seed": 0, **options}
    trainer = fastnn.Trainer(net, loss="cross_entropy", **given)
    trainer.fit(x, y, epochs=epochs, verbose=0)
    return trainer


# --- what they compute ------------------------------------------------------------------------------


def test_vectors_follow_the_numeric_features(rng):
    net = fastnn.MLP((4, 3), embeddings=TABLES, dtype="float64", seed=0)
    x, _ = make_rows()
    p = net.parameters()
    assert p["embeddings.0.weight"].shape == (3, 2)
    assert p["embeddings.2.weight"].shape == (6, 3)
    first, second = (p[f"embeddings.{c}.weight"][x[:, c].astype(int)] for c in (0, 2))
    inputs = np.hstack([x[:, [1, 3]], first, second])
    ref = inputs @ net.weights[0] + net.biases[0]
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-12, atol=1e-13)  # sums of eight terms


def test_vectors_start_as_standard_normal_numbers():
    table = fastnn.MLP((1, 2), embeddings={0: (500, 400)}, seed=0).parameters()["embeddings.0.weight"]
    # 200,000 draws: standard errors are 0.0022, and 0.0016 of the deviation
    assert abs(table.mean()) < 0.01
    assert table.std() == pytest.approx(1, abs=0.008)
    assert len(np.unique(table, axis=0)) == 500


def one_number_each(vectors, dtype="float64"):
    """A network that says a category's only number."""
    net = fastnn.MLP((1, 1), embeddings={0: (len(vectors), 1)}, init=[[[1.0]]], dtype=dtype)
    tables(net)[0][:, 0] = vectors
    return net


def test_a_step_by_hand(dtype):
    """Category 0 comes once, 1 three times, 2 never."""
    net = one_number_each([1.0, 2.0, 3.0], dtype)
    trainer = fastnn.Trainer(net, loss="mse", optimizer=SGD(lr=0.5), batch_size=4, shuffle=False)
    trainer.fit([[1], [0], [1], [1]], [3.0, 5.0, 1.0, 6.0], epochs=1, verbose=0)
    # 2 (a - y) / 4:  category 0 (1 - 5) / 2 = -2;  category 1 ((2 - 3) + (2 - 1) + (2 - 6)) / 2 = -2
    assert tables(net)[0].ravel().tolist() == [1 + 0.5 * 2, 2 + 0.5 * 2, 3]
    # weight: (1 * -4 + 2 * -4) / 2 = -6;  bias: -4
    assert [net.weights[0].item(), net.biases[0].item()] == [1 + 0.5 * 6, 0.5 * 4]


def test_a_category_that_does_not_occur_keeps_its_vector():
    (x, y), net = make_rows(), make_net()
    x = x[(x[:, 2] != 4) & (x[:, 0] != 0)]
    before = [array.copy() for array in tables(net)]
    fit(net, x, y[: len(x)], optimizer=SGD(lr=0.1))
    for array, old, absent in zip(tables(net), before, (0, 4), strict=True):
        has_moved = (array != old).any(axis=1)
        assert has_moved.tolist() == [category != absent for category in range(len(array))]


def test_one_category_is_a_bias(dtype):
    """Of one category the vector is the same in all rows: a plain network can do the same."""
    net = fastnn.MLP((3, 8, 3), "tanh", embeddings={1: (1, 2)}, output="softmax", dtype=dtype, seed=0)
    plain = fastnn.MLP((2, 8, 3), "tanh", output="softmax", dtype=dtype, seed=0)
    x, _ = make_rows()
    x = np.column_stack([x[:, 1], np.zeros(N_ROWS), x[:, 3]])
    for depth in range(2):
        plain.weights[depth][:], plain.biases[depth][:] = net.weights[depth][: plain.sizes[depth]], 0
    plain.biases[0][:] = tables(net)[0][0] @ net.weights[0][2:]
    bound = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(net.predict_proba(x), plain.predict_proba(x[:, [0, 2]]), rtol=bound)


# --- what they learn --------------------------------------------------------------------------------


def test_a_table_of_categories_is_learnt(rng):
    """y is a random number for each of thirty categories, plus a slope of a feature."""
    values = rng.standard_normal(30)
    x = np.column_stack([rng.standard_normal(2000), rng.integers(0, 30, 2000)])
    y = values[x[:, 1].astype(int)] + 0.5 * x[:, 0]
    r2 = {}
    for name, embeddings in {"vectors": {1: (30, 2)}, "numbers": None}.items():
        net = fastnn.MLP((2, 16, 1), "tanh", embeddings=embeddings, seed=0)
        trainer = fastnn.Trainer(net, loss="mse", optimizer=fastnn.Adam(lr=0.01), seed=0)
        trainer.fit(x[:1500], y[:1500], epochs=15, verbose=0)
        r2[name] = trainer.evaluate(x[1500:], y[1500:])["r2"]
    assert r2["vectors"] > 0.97
    assert r2["numbers"] < 0.6


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_rate_factors(optimizer):
    (x, y), nets = make_rows(), [make_net(), make_net(), make_net()]
    start = make_net()
    for net, factors in zip(nets, ({"embeddings": 0}, {0: 0, 1: 0, 2: 0}, {"bias": 0}), strict=True):
        fit(net, x, y, optimizer=optimizer, rate_factors=factors)
    frozen, alone, no_bias = nets
    for array, old in zip(tables(frozen), tables(start), strict=True):
        np.testing.assert_array_equal(array, old)
    assert all((w != old).any() for w, old in zip(frozen.weights, start.weights, strict=True))
    assert all((array != old).any() for array, old in zip(tables(alone), tables(start), strict=True))
    for array, old in zip(alone.weights + alone.biases, start.weights + start.biases, strict=True):
        np.testing.assert_array_equal(array, old)
    assert all((array != old).any() for array, old in zip(tables(no_bias), tables(start), strict=True))
    assert not any(b.any() for b in no_bias.biases)


def test_a_factor_is_on_the_rate():
    """Twice the rate for vectors alone is what SGD gives them with twice the rate."""
    x, y = make_rows()
    nets = [make_net(dtype="float64") for _ in range(3)]
    options = {"batch_size": N_ROWS, "epochs": 1}
    fit(nets[0], x, y, optimizer=SGD(lr=0.1), rate_factors={"embeddings": 2.0}, **options)
    fit(nets[1], x, y, optimizer=SGD(lr=0.2), **options)
    fit(nets[2], x, y, optimizer=SGD(lr=0.1), **options)
    for k, array in enumerate(tables(nets[0])):
        np.testing.assert_allclose(array, tables(nets[1])[k], rtol=1e-13)
    for array, twin in zip(nets[0].weights, nets[2].weights, strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.5), fastnn.LBFGS()], ids=["sgd", "lbfgs"])
def test_l2(optimizer):
    if isinstance(optimizer, fastnn.LBFGS):
        net = one_number_each([1.0, 2.0, 3.0])
        trainer = fastnn.Trainer(net, loss="mse", optimizer=optimizer, l2=2.0)
        pytest.importorskip("scipy.optimize")
        from fastnn.training.lbfgs import minimize

        minimize(trainer, [[0], [1]], [1.0, -1.0], tol=1e-10)
        assert abs(tables(net)[0][2, 0]) < 1e-5  # nothing but the penalty says what it is
        return
    net = one_number_each([1.0, 2.0, 3.0])
    trainer = fastnn.Trainer(net, loss="mse", optimizer=optimizer, l2=0.8, batch_size=2, shuffle=False)
    history = trainer.fit([[0], [1]], [1.0, 2.0], epochs=1, verbose=0)
    # No residual; 0.8 / 2 is the decay of a batch of two rows, and 1 the square of the weight.
    assert history.epochs[0].cost == 0
    assert history.epochs[0].penalty == pytest.approx(0.4 / 2 * (1 + 1 + 4 + 9), rel=1e-14)
    kept = 1 - 0.5 * 0.4
    np.testing.assert_allclose(tables(net)[0].ravel(), [kept, 2 * kept, 3 * kept], rtol=1e-14)


def test_early_stopping_restores_them():
    (x, y), (x_val, y_val) = make_rows(), make_rows(seed=1)
    net, kept = make_net(), []
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.05), seed=0)
    history = trainer.fit(
        x,
        y,
        epochs=30,
        validation_data=(x_val, y_val),
        early_stopping=EarlyStopping(patience=8),
        callbacks=lambda trainer, epoch: kept.append([array.copy() for array in tables(trainer.net)]),
        verbose=0,
    )
    best = history.best_epoch
    assert best < len(history)
    for array, of_best, of_last in zip(tables(net), kept[best - 1], kept[-1], strict=True):
        np.testing.assert_array_equal(array, of_best)
        assert (array != of_last).any()


def test_an_average_has_them():
    (x, y), nets = make_rows(), [make_net(), make_net()]
    fit(nets[0], x, y, average=EMA(0.9))
    fit(nets[1], x, y)
    start = tables(make_net())
    for average, last, first in zip(*map(tables, nets), start, strict=True):
        # It has gone a part of the way.
        way = np.linalg.norm(last - first)
        assert 0.05 * way < np.linalg.norm(average - first) < 0.95 * way


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9), "adam"], ids=["sgd", "adam"])
def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path, optimizer):
    x, y = make_rows()

    def train(callback, folder=None):
        net = make_net(input_dropout=0.1, residual=True)
        options = {"optimizer": optimizer, "batch_size": 16, "accumulate": 2, "seed": 0}
        trainer = fastnn.Trainer(net, loss="cross_entropy", **options)
        checkpoint = None if folder is None else Checkpoint(folder, every_steps=1)
        trainer.fit(x, y, epochs=3, callbacks=callback, checkpoint=checkpoint, verbose=0)
        return net

    with pytest.raises(CrashError):
        train(CrashAfter(7), folder=tmp_path)
    left, all_batches = CrashAfter(100), CrashAfter(100)
    np.testing.assert_array_equal(train(left, folder=tmp_path).params, train(all_batches).params)
    assert [100 - left.n_left, 100 - all_batches.n_left] == [6, 12]  # it did go on


@pytest.mark.skipif(_threads.usable_cores() < 2, reason="needs two cores")
def test_two_threads_give_the_same_bits(monkeypatch):
    x, y = make_rows(1000)
    ref, came, real = make_net(), [], _threads.run_parts
    trainer = fit(ref, x, y, n_threads=1, batch_size=64)
    losses = trainer.losses(x, y)

    def spy(address, n_parts, args):
        real(address, n_parts, args)
        came.append(n_parts == 2 and not (args[-1].ndim == 1 and args[-1][FAILED]))

    monkeypatch.setattr(pace, "PARALLEL_STEP_FLOPS", 0)
    monkeypatch.setattr("fastnn.training.core.PARALLEL_CALL_FLOPS", 0)
    for _ in range(20):  # on a busy machine threads may not meet in time
        net = make_net()
        with monkeypatch.context() as patch:
            patch.setattr(_threads, "run_parts", spy)
            trainer = fit(net, x, y, n_threads=2, batch_size=64)
        np.testing.assert_array_equal(net.params, ref.params)
        if any(came):
            break
    assert any(came)
    np.testing.assert_array_equal(trainer.losses(x, y), losses)


def test_norms_are_those_of_layers():
    (x, y), net = make_rows(), make_net()
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=SGD(lr=1e-12), seed=0)
    more = trainer.fit(x, y, epochs=1, record_norms=True, verbose=0).epochs[0].more
    for depth, w in enumerate(net.weights):
        assert more[f"layers.{depth}.weight_norm"] == pytest.approx(np.linalg.norm(w), rel=1e-6)
        assert more[f"layers.{depth}.grad_norm"] > 0
    assert len(more) == 2 * len(net.weights)


# --- where they are kept ----------------------------------------------------------------------------


@pytest.fixture
def kept(dtype):
    """A network with other layers around, trained a little."""
    net = make_net(dtype=dtype, input_dropout=0.1, dropout=0.2, norm="batch", residual=True)
    fit(net, *make_rows())
    return net


def test_round_trips(kept, tmp_path):
    x, y = make_rows(seed=2)
    kept.save(tmp_path / "model")
    for net in (fastnn.load(tmp_path / "model"), pickle.loads(pickle.dumps(kept))):
        assert net.embeddings == {0: (3, 2), 2: (6, 3)}
        assert_same_network(net, kept, x)
        twin = pickle.loads(pickle.dumps(kept))
        for one in (net, twin):
            fit(one, x, y, epochs=1)
        np.testing.assert_array_equal(net.params, twin.params)


def test_a_trainer_pickles():
    (x, y), net = make_rows(), make_net()
    trainer = fit(net, x, y, rate_factors={"embeddings": 0.5})
    twin = pickle.loads(pickle.dumps(trainer))
    for one in (trainer, twin):
        one.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(twin.net.params, net.params)


def test_a_pickle_in_another_process(kept, tmp_path, run_python):
    x, _ = make_rows(5)
    (tmp_path / "net").write_bytes(pickle.dumps((kept, x)))
    code = f"import pickle; net, x = pickle.load(open({str(tmp_path / 'net')!r}, 'rb'));"
    code += " print(net.predict_proba(x).tolist())"
    assert json.loads(run_python(code).stdout) == kept.predict_proba(x).tolist()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predictor(kept, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    predict, (x, _) = kept.predictor(n_threads=n_threads), make_rows(1000)
    x = x.astype(kept.dtype)
    whole = kept.predict_proba(x, n_threads=1)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)
    for rows in (x[:1], x[:241], x, x.tolist()):
        np.testing.assert_array_equal(predict(rows), whole[: len(rows)])
        np.testing.assert_array_equal(kept.predict_proba(rows, n_threads=n_threads), whole[: len(rows)])
    tables(kept)[1][:] += 1  # it follows them
    assert (predict(x) != whole).any(axis=1).all()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "architecture.embeddings must be a list"),
        (3, "architecture.embeddings must be a list"),
        ([], "do not fit its architecture"),
        ([[0, 3, 2]], "do not fit its architecture"),
        ([[0, 3, 2], [1, 6, 3]], "do not fit its architecture"),
        ([[0, 3, 2], [2, 6]], "embeddings[1] must be a list of 3 values"),
        ([[0, 3, 2], [2, 6, 3, 1]], "embeddings[1] must be a list of 3 values"),
        ([[0, 3, 2], [2, 7, 3]], "embeddings.2.weight"),
        ([[0, 2, 3], [2, 6, 3]], "layers.0.weight"),
        ([[0, 10**9, 2], [2, 6, 3]], "can represent at most 16777216"),
        ([[0, 10**15, 2], [2, 6, 3]], "embeddings[0][1] must be an integer from 1 to"),
        ([[0, 0, 2], [2, 6, 3]], "embeddings[0][1] must be an integer from 1"),
        ([[0, 3, 2], [2, 6.0, 3]], "embeddings[1][1] must be an integer"),
        ([[0, 3, 2], [2, True, 3]], "embeddings[1][1] must be an integer"),
        ([[0, 3, 2], [4, 6, 3]], "embeddings has column 4, but x has 4 features"),
        ([[-1, 3, 2], [2, 6, 3]], "embeddings[0][0] must be an integer from 0"),
        ([["0", 3, 2], [2, 6, 3]], "embeddings[0][0] must be an integer"),
        ([[[0], 3, 2], [2, 6, 3]], "embeddings[0][0] must be an integer"),
    ],
)
def test_a_damaged_entry_is_refused(tmp_path, entry, reason):
    make_net().save(tmp_path / "model")
    rewrite(tmp_path / "model", lambda own, architecture: architecture.update(embeddings=entry))
    with pytest.raises(ValueError, match="not a usable fastnn model") as caught:
        fastnn.load(tmp_path / "model")
    assert reason in str(caught.value)


def test_a_file_without_the_entry_is_refused(tmp_path):
    make_net().save(tmp_path / "model")
    rewrite(tmp_path / "model", lambda own, architecture: architecture.pop("embeddings"))
    with pytest.raises(ValueError, match="architecture lacks the entry 'embeddings'"):
        fastnn.load(tmp_path / "model")


def test_a_vector_that_is_not_finite_is_refused(tmp_path):
    net = make_net()
    tables(net)[1][3, 1] = np.nan
    net.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"tensor embeddings\.2\.weight has values that are NaN"):
        fastnn.load(tmp_path / "model")


# --- what they refuse -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("embeddings", "error", "message"),
    [
        ({4: (3, 2)}, ValueError, "has column 4, but x has 4 features"),
        ({-1: (3, 2)}, ValueError, "a column of embeddings must be at least 0, got -1"),
        ({1.0: (3, 2)}, TypeError, "a column of embeddings must be an integer, got 1.0"),
        ({"a": (3, 2), 1: (3, 2)}, TypeError, "a column of embeddings must be an integer, got 'a'"),
        ({True: (3, 2)}, TypeError, "must be an integer"),
        ({1: 3}, TypeError, r"embeddings\[1\] must be a pair \(n_categories, width\), got 3"),
        ({1: (3,)}, TypeError, "must be a pair"),
        ({1: (3, 2, 1)}, TypeError, "must be a pair"),
        ({1: "32"}, TypeError, "must be a pair"),
        ({1: ([3], 2)}, TypeError, r"embeddings\[1\] must be an integer, got \[3\]"),
        ({1: (0, 2)}, ValueError, r"embeddings\[1\] must be at least 1, got 0"),
        ({1: (3, 0)}, ValueError, "must be at least 1, got 0"),
        ({1: (3, 2.5)}, TypeError, "must be an integer, got 2.5"),
        ({1: (2**24 + 1, 1)}, ValueError, "16777217 categories, but float32 can represent at most 16777216"),
        ([(1, 3, 2)], TypeError, r"embeddings must be a dict \{column: \(n_categories, width\)\}"),
        (0, TypeError, "embeddings must be a dict"),
    ],
)
def test_bad_embeddings(embeddings, error, message):
    with pytest.raises(error, match=message):
        fastnn.MLP(SIZES, embeddings=embeddings)


def test_a_residual_layer_and_init_count_the_vectors():
    # 4 features, of which two become 2 and 3 numbers, make 7
    with pytest.raises(ValueError, match="hidden layer 0 has 7 inputs and 9 outputs"):
        make_net(residual=[True, False])
    with pytest.raises(ValueError, match=r"the layers have \[\(7, 9\)"):
        make_net(init=[np.zeros((4, 9)), np.zeros((9, 9)), np.zeros((9, 3))])


BAD_ROWS = {
    "too large": (6, "column 2 of {} is embedded and must hold whole numbers from 0 to 5, but it holds 6"),
    "far too large": (1e30, r"but it holds 1\.0+2e\+30"),
    "negative": (-1, "but it holds -1"),
    "not whole": (2.5, "but it holds 2.5"),
    "nan": (np.nan, "{} has 1 values that are NaN or infinite"),
    "infinite": (np.inf, "{} has 1 values that are NaN or infinite"),
}


@pytest.mark.parametrize(("value", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows(value, message):
    (x, y), net = make_rows(20), make_net()
    good, x = x.copy(), x.copy()
    x[13, 2] = value
    before = net.params.copy()
    trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
    calls = {
        "x": [
            lambda: net.predict(x),
            lambda: net.predict_proba(x.tolist()),
            lambda: net.predictor()(x),
            lambda: trainer.fit(x, y, verbose=0),
            lambda: trainer.evaluate(x, y),
            lambda: trainer.losses(x, y),
            lambda: trainer.gradient(x, y),
        ],
        "x_val": [lambda: trainer.fit(good, y, validation_data=(x, y), verbose=0)],
    }
    for name, functions in calls.items():
        for call in functions:
            with pytest.raises(ValueError, match=message.format(name)):
                call()
    np.testing.assert_array_equal(net.params, before)


def test_what_a_column_holds_is_said_in_full():
    net = fastnn.MLP((1, 1), embeddings={0: (1_234_567, 1)}, seed=0)
    with pytest.raises(ValueError, match="from 0 to 1234566, but it holds 1234567"):
        net.predict([[1_234_567]])


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    (x, y), net = make_rows(), make_net()
    rows = sparse.csr_matrix(x)
    np.testing.assert_array_equal(net.predict_proba(rows), net.predict_proba(x))
    trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
    for call in (trainer.fit, trainer.evaluate, trainer.gradient):
        with pytest.raises(
            ValueError, match=r"x is sparse, but the network embeds columns: pass x.toarray\("
        ):
            call(rows, y)
    with pytest.raises(ValueError, match="x_val is sparse"):
        trainer.fit(x, y, validation_data=(rows, y), verbose=0)


@pytest.mark.parametrize("kind", ["int64", "int8", "uint16", "bool", "category"])
def test_a_data_frame_with_columns_of_whole_numbers(kind):
    pandas = pytest.importorskip("pandas")
    x, y = make_rows()
    x[:, 0] = x[:, 0] > 0
    frame = pandas.DataFrame(x, columns=list("abcd"))
    frame = frame.astype({"a": kind, "c": "int64" if kind == "bool" else kind})
    one, other = make_net(), make_net()
    np.testing.assert_array_equal(one.predict_proba(frame), one.predict_proba(x))
    fit(one, frame, y)
    fit(other, x, y)
    np.testing.assert_array_equal(one.params, other.params)
