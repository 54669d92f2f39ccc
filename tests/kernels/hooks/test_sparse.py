"""Sparse rows: equality with dense rows, to the bit; lazy updates; and embedding bags."""

from __future__ import annotations

import threading
import tracemalloc
from itertools import chain

import numpy as np
import pytest
import reference
import reference_step
from problems import CASES, N_ROWS, make_problem

import fastnn
from fastnn import _checks
from fastnn._threads import usable_cores
from fastnn.kernels import records, step
from fastnn.kernels.activations import TANH
from fastnn.kernels.hooks import sparse as kernels
from fastnn.kernels.hooks.rows import drop_panels
from fastnn.kernels.team import new_team
from fastnn.network.inputs import as_data
from fastnn.network.layout import from_panels, panel_length
from kernels.hooks.panels import put

scipy_sparse = pytest.importorskip("scipy.sparse")
SPARSE = {name: case for name, case in CASES.items() if "embeddings" not in case.net}


def make_csr(rng, n_rows, n_in, share=0.2, dtype="float64", longest=None):
    """Return rows of many lengths, some empty, and a column that no row has."""
    x = rng.standard_normal((n_rows, n_in)) * (rng.random((n_rows, n_in)) < share)
    x[0] = x[n_rows // 2] = 0
    if n_in > 1:
        x[:, n_in // 2] = 0
    if longest is not None:
        x[longest] = rng.standard_normal(n_in)
    return scipy_sparse.csr_matrix(x.astype(dtype))


class Rows:
    """A network's first layer and sparse rows in a random order, in poisoned buffers."""

    def __init__(self, rng, dtype, n_in, n_out, *, n_rows=23, n_parts=1, n_more=0, **options):
        self.net = fastnn.MLP([n_in, n_out, 3], "tanh", dtype=dtype, seed=0, **options)
        self.net.biases[0][:] = rng.standard_normal(n_out)
        self.x = make_csr(rng, n_rows + n_more, n_in, dtype=dtype, longest=3)
        order = rng.permutation(n_rows + n_more)
        self.data = as_data(self.x)._replace(indices=order)
        self.dense = self.x.toarray()[order].astype("f8")  # in the order
        self.network = self.net.compiled_network.view(seed=5)
        self.n_rows, n_entries = n_rows, self.x.nnz
        self.work = self.net.compiled_network.layout.workspace(
            n_rows, 1, n_entries=n_entries, n_parts=n_parts
        )
        for array in self.work[1:]:
            array.fill(np.nan if array.dtype.kind == "f" else -1)
        self.layer = self.net.compiled_network.layout.layers[0]

    def outputs(self):
        """Outgoing activations, padding included, and the rows beyond the batch."""
        return from_panels(records.output_of(self.layer, self.work), self.work.capacity)

    def context(self, number=1, part=0, n_parts=1):
        return records.HookContext(
            self.network, self.work, part, n_parts, np.empty(0, np.int64), number, self.n_rows, False
        )


# --- the hooks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (5, 3), (40, 16), (33, 100), (300, 128), (9, 300)])
def test_forward(rng, dtype, n_in, n_out):
    rows = Rows(rng, dtype, n_in, n_out, n_more=4)
    first, r0, r1 = 4, 2, 19
    kernels.sparse_forward(rows.context(), rows.data, first, r0, r1)
    w, b = (array[0].astype("f8") for array in (rows.net.weights, rows.net.biases))
    out = rows.outputs()
    twin = np.tanh(rows.dense[first:][r0:r1] @ w + b)
    assert rows.layer["activation"] == TANH
    bound = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(out[r0:r1, :n_out], twin, rtol=bound, atol=bound * np.sqrt(n_in))
    assert (out[r0:r1, n_out] == 1).all()
    assert np.isnan(out[:r0]).all()
    assert np.isnan(out[r1:]).all()


def test_forward_of_columns_in_disorder(rng, dtype):
    """Unsorted and repeated columns: the values of a column are added."""
    rows = Rows(rng, dtype, 12, 20)
    columns = rng.integers(0, 12, rows.x.nnz).astype(np.int32)
    data = rows.data._replace(columns=columns)
    kernels.sparse_forward(rows.context(), data, 0, 0, rows.n_rows)
    dense = reference.dense_x(data._replace(x=data.x.astype("f8")), 12)[data.indices]
    w, b = (array[0].astype("f8") for array in (rows.net.weights, rows.net.biases))
    comp = rows.outputs()[: rows.n_rows, :20]
    bound = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(comp, np.tanh(dense @ w + b), rtol=bound, atol=bound)


def entries_of(rows, part=0):
    """Return features, rows and values in sorted order."""
    counts = rows.work.counts[part]
    half, n = 2 * part + counts[kernels.HALF], counts[kernels.N_SORTED]
    entries = rows.work.entries[half, :n]
    return entries >> 32, entries & 0xFFFFFFFF, rows.work.values[half, :n]


# of one feature, of one digit, two and three
@pytest.mark.parametrize("n_in", [1, 2, 7, 300, 2**11, 2**11 + 1, 5000])
def test_sort(rng, dtype, n_in):
    rows = Rows(rng, dtype, n_in, 2, n_parts=2)
    batch = rows.dense[: rows.n_rows]
    for part, (i0, i1) in enumerate([(0, n_in + 1), (n_in // 3, n_in - n_in // 4)]):
        kernels.sparse_sort(rows.context(part=part, n_parts=2), rows.data, 0, i0, i1)
        features, numbers = np.nonzero(batch.T)
        own = (features >= i0) & (features < i1)
        twins = features[own], numbers[own], batch.T[features[own], numbers[own]]
        for comp, twin in zip(entries_of(rows, part), twins, strict=True):
            np.testing.assert_array_equal(comp, twin)


def test_sort_of_many_features(rng):
    """Numbers of 23 bits need three passes of the sort."""
    n_in, n_entries = 2**23 - 5, 4000
    columns = np.sort(rng.integers(0, n_in, n_entries)).astype(np.int32)
    layout = fastnn.MLP([2, 2], seed=0).compiled_network.layout
    work = layout.workspace(1, 1, n_entries=n_entries)
    data = fastnn.network.inputs.as_data(rng.random((1, n_entries), "float32"))
    shuffled = rng.permutation(n_entries)
    data = data._replace(columns=columns[shuffled], starts=np.array([0, n_entries]))
    network = fastnn.MLP([2, 2], seed=0).compiled_network.view()
    context = records.HookContext(network, work, 0, 1, np.empty(0, np.int64), 1, 1, False)
    kernels.sparse_sort(context, data, 0, 0, n_in)
    half = work.counts[0, kernels.HALF]
    np.testing.assert_array_equal(work.entries[half] >> 32, columns)
    order = np.argsort(columns[shuffled], kind="stable")
    np.testing.assert_array_equal(work.values[half], data.x[0, shuffled.argsort()][shuffled][order])


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (5, 3), (40, 16), (33, 100), (300, 128), (9, 300)])
def test_gradient(rng, dtype, n_in, n_out):
    """Blocks of the gradient, with the bias in the last, from the deltas of the whole batch."""
    rows = Rows(rng, dtype, n_in, n_out)
    delta = rng.standard_normal((rows.n_rows, rows.layer["d_cols"])).astype(dtype)
    put(records.delta_of(rows.layer, rows.work), rows.work.capacity, delta)
    unit = np.ones((rows.n_rows, 1))
    twin = np.hstack([rows.dense, unit]).T @ delta.astype("f8")
    bound = 8 * np.finfo(dtype).eps
    kernels.sparse_sort(rows.context(), rows.data, 0, 0, n_in + 1)
    n_cols = delta.shape[1]
    for i0, i1 in [(0, n_in + 1), (n_in // 2, n_in), (n_in // 2, n_in + 1), (n_in, n_in + 1), (0, 0)]:
        for o0, o1 in [(0, n_cols), (n_cols // 32 * 16, n_cols)]:
            comp = np.full((n_in + 2, n_cols), np.nan, dtype)
            kernels.sparse_gradient(comp, rows.context(), i0, i1, o0, o1)
            np.testing.assert_allclose(comp[i0:i1, o0:o1], twin[i0:i1, o0:o1], rtol=bound, atol=4 * bound)
            comp[i0:i1, o0:o1] = np.nan
            assert np.isnan(comp).all()


@pytest.mark.parametrize("rate", [0.2, 0.9])
def test_dropout_is_that_of_dense_rows(rng, dtype, panelled, rate):
    rows = Rows(rng, dtype, 40, 5, input_dropout=rate)
    panels = panelled(rows.dense, dtype)
    capacity = panel_length(len(rows.dense))
    drop_panels(panels, capacity, rows.network, rate, rows.context(number=7), -1, 40, 0, rows.n_rows)
    dropped = from_panels(panels, capacity)[: rows.n_rows, :40]
    kernels.sparse_sort(rows.context(number=7), rows.data, 0, 0, 41)
    features, numbers, values = entries_of(rows)
    comp = np.zeros_like(dropped)
    comp[numbers, features] = values
    np.testing.assert_array_equal(comp, dropped)
    assert 0 < np.count_nonzero(comp) < rows.x.nnz
    kernels.sparse_forward(rows.context(number=7), rows.data, 0, 0, rows.n_rows)
    comp = rows.outputs()[: rows.n_rows, :5]
    twin = np.tanh(dropped.astype("f8") @ rows.net.weights[0].astype("f8") + rows.net.biases[0])
    np.testing.assert_allclose(comp, twin, atol=40 * np.finfo(dtype).eps)
    kernels.sparse_forward(rows.context(number=0), rows.data, 0, 0, rows.n_rows)  # not to predict
    comp = rows.outputs()[: rows.n_rows, :5]
    twin = np.tanh(rows.dense @ rows.net.weights[0].astype("f8") + rows.net.biases[0])
    np.testing.assert_allclose(comp, twin, atol=40 * np.finfo(dtype).eps)


# --- matrices ---------------------------------------------------------------------------------------


def test_a_canonical_matrix_is_not_copied(rng, dtype):
    x = make_csr(rng, 9, 6, dtype=dtype)
    for array in (x.data, x.indices, x.indptr):
        array.flags.writeable = False
    checked = _checks.check_sparse("x", x, 6, dtype)
    data = as_data(checked)
    assert np.shares_memory(data.x, x.data)
    assert np.shares_memory(data.columns, x.indices)


def test_any_csr_matrix_will_do(rng, dtype):
    """Unsorted and repeated columns, long indices and explicit zeros equal the dense matrix."""
    starts = np.array([0, 4, 4, 7, 8])
    columns, values = np.array([3, 1, 3, 0, 2, 2, 2, 1]), np.array([1, 2, 4, -1, 0.5, 1, 2, 0])
    x = scipy_sparse.csr_matrix((values, columns.astype("i8"), starts.astype("i8")), (4, 5))
    kept = x.indices.copy()
    net = fastnn.MLP([5, 4, 3], "tanh", dtype=dtype, output="softmax", seed=0)
    np.testing.assert_array_equal(net.predict_proba(x), net.predict_proba(x.toarray()))
    pair = []
    for rows in (x, x.toarray(), x.tocsc()):
        net = fastnn.MLP([5, 4, 3], "tanh", dtype=dtype, seed=0)
        fastnn.Trainer(net, loss="cross_entropy", batch_size=3, seed=0).fit(rows, [0, 1, 2, 1], verbose=0)
        pair.append(net.params)
    np.testing.assert_array_equal(pair[0], pair[1])
    np.testing.assert_array_equal(pair[2], pair[1])
    np.testing.assert_array_equal(x.indices, kept)  # the caller's matrix is unchanged


@pytest.mark.parametrize(
    "change", [lambda x: x.indices.__setitem__(2, 9), lambda x: x.indices.__setitem__(0, -1),
               lambda x: x.indptr.__setitem__(1, 100), lambda x: x.indptr.__setitem__(0, 1)]
)  # fmt: skip
def test_a_damaged_matrix_is_refused(rng, change):
    x = make_csr(rng, 8, 6)
    change(x)
    net = fastnn.MLP([6, 2], output="softmax", seed=0)
    for call in (net.predict, lambda x: fastnn.Trainer(net, loss="cross_entropy").losses(x, [0] * 8)):
        with pytest.raises(ValueError, match="x is damaged: its indices point outside"):
            call(x)


def test_a_single_row_is_refused():
    net = fastnn.MLP([3, 2], seed=0)
    with pytest.raises(ValueError, match=r"x must have 2 dimensions \(rows, features\), got shape \(3,\)"):
        net.predict(scipy_sparse.coo_array([0, 1.0, 0]))


def test_rows_without_any_entry(dtype):
    x = scipy_sparse.csr_matrix((6, 4), dtype=dtype)
    nets = [fastnn.MLP([4, 3, 2], dtype=dtype, seed=0) for _ in range(2)]
    for net, rows in zip(nets, (x, x.toarray()), strict=True):
        trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=4, seed=0)
        trainer.fit(rows, [0, 1] * 3, epochs=3, verbose=0)
    np.testing.assert_array_equal(nets[0].params, nets[1].params)


def test_many_features_take_no_room(rng):
    """With a million features, the dense rows of a block would take a gigabyte."""
    n_in = 1_000_000
    net = fastnn.MLP([n_in, 2], output="softmax", init="zeros", seed=0)
    columns = np.sort(rng.integers(0, n_in, (500, 3))).ravel()
    x = scipy_sparse.csr_matrix((np.ones(1500, "f4"), columns, np.arange(0, 1501, 3)), (500, n_in))
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer="sgd", seed=0, n_threads=1)
    y = columns[::3] % 2
    for warm in (False, True):  # compilation takes memory, too
        if warm:
            tracemalloc.start()
        trainer.fit(x, y, epochs=1, verbose=0)
        trainer.evaluate(x, y)
        net.predict(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert net.weights[0][columns].any()


def test_dense_and_sparse_in_turn(rng):
    """A trainer takes either kind, whichever it allocated its workspace for."""
    x, y = make_csr(rng, 40, 6, dtype="float32"), rng.integers(0, 3, 40)
    kinds = (x, x.toarray())
    results = []
    for order in ([0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 1]):
        trainer = fastnn.Trainer(fastnn.MLP([6, 5, 3], seed=0), loss="cross_entropy", batch_size=16, seed=0)
        for kind in order:
            trainer.fit(kinds[kind], y, epochs=1, verbose=0)
            trainer.gradient(kinds[kind], y)
        results.append(trainer.net.params)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


# --- equality with dense rows -----------------------------------------------------------------------

FEATURES = {
    "plain": ({}, {}),
    "dropout": ({"dropout": 0.3, "input_dropout": 0.4}, {}),
    "batch norm": ({"norm": "batch"}, {}),
    "layer norm": ({"norm": "layer"}, {}),
    "residual": ({"residual": [True, True], "input_dropout": 0.2}, {}),
    "accumulate": ({}, {"accumulate": 3}),
    "clip_norm": ({}, {"clip_norm": 0.1}),
    "clip_value": ({}, {"clip_value": 0.01}),
    "max_norm": ({}, {"max_norm": 0.5}),
    "l1, l2": ({}, {"l1": 0.1, "l2": 0.2}),
    "average": ({}, {"average": fastnn.EMA(0.9)}),
    "late average": ({}, {"average": fastnn.SWA()}),
    "factors": ({}, {"rate_factors": {0: 0.5, "bias": 2.0}}),
    "plain sgd": ({}, {"optimizer": "sgd"}),
    "adamw": ({}, {"optimizer": "adamw"}),
    "class_weight": ({}, {"class_weight": "balanced"}),
    "one batch": ({}, {"batch_size": None}),
    "lbfgs": ({}, {"optimizer": "lbfgs", "l2": 0.1}),
    "all": (
        {"norm": ["batch", "layer"], "activation": "prelu", "residual": [True, True], "dropout": 0.2,
         "input_dropout": 0.1},
        {"optimizer": "adamw", "accumulate": 2, "clip_norm": 0.5, "max_norm": 2.0, "l1": 0.1,
         "average": fastnn.EMA(0.9)},
    ),
}  # fmt: skip


def train(rows, y, dtype, of_net, of_trainer, weights=None, **more):
    net = fastnn.MLP([12, 12, 12, 3], **{"activation": "tanh"} | of_net, dtype=dtype, seed=0)
    options = {"batch_size": 16, "seed": 0, "n_threads": 1} | of_trainer | more
    trainer = fastnn.Trainer(net, loss="cross_entropy", **options)
    trainer.fit(rows, y, epochs=3, sample_weight=weights, verbose=0, validation_data=(rows, y))
    return trainer


def assert_same_bits(comp, ref):
    for name, array in ref.net.parameters().items():
        np.testing.assert_array_equal(comp.net.parameters()[name], array, name)
    for name in ("cost", "metric", "val_cost", "val_metric"):
        assert comp.history.to_dict()[name] == ref.history.to_dict()[name]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("feature", FEATURES)
def test_they_are_dense_rows_to_the_bit(rng, dtype, feature, weighted):
    of_net, of_trainer = FEATURES[feature]
    x, y = make_csr(rng, 70, 12, dtype=dtype), rng.integers(0, 3, 70)
    weights = rng.integers(0, 3, 70) if weighted else None
    comp, ref = (train(rows, y, dtype, of_net, of_trainer, weights) for rows in (x, x.toarray()))
    assert_same_bits(comp, ref)
    np.testing.assert_array_equal(comp.net.predict_raw(x), ref.net.predict_raw(x.toarray()))
    np.testing.assert_array_equal(comp.losses(x, y), ref.losses(x.toarray(), y))
    cost, *grads = comp.gradient(x, y)
    ref_cost, *ref_grads = ref.gradient(x.toarray(), y)
    assert cost == ref_cost
    for array, twin in zip(chain(*grads), chain(*ref_grads), strict=True):
        np.testing.assert_array_equal(array, twin)


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
@pytest.mark.parametrize("feature", FEATURES)
def test_two_threads_give_the_same_bits(rng, dtype, feature, monkeypatch):
    of_net, of_trainer = FEATURES[feature]
    x, y = make_csr(rng, 70, 12, dtype=dtype), rng.integers(0, 3, 70)
    ref = train(x, y, dtype, of_net, of_trainer)
    for name in (
        "training.pace.PARALLEL_STEP_FLOPS",
        "training.core.PARALLEL_CALL_FLOPS",
        "network.predictor.PARALLEL_CALL_FLOPS",
    ):
        monkeypatch.setattr(f"fastnn.{name}", 0)
    comp = train(x, y, dtype, of_net, of_trainer, n_threads=2)
    assert_same_bits(comp, ref)
    more = scipy_sparse.vstack([x] * 9, "csr")  # three blocks
    raw = [comp.net.predict_raw(more, n_threads=n) for n in (1, 2)]
    np.testing.assert_array_equal(raw[0], raw[1])


@pytest.mark.parametrize("feature", ["plain", "dropout", "batch norm", "layer norm", "residual"])
def test_gradient_against_differences(rng, feature):
    of_net, _ = FEATURES[feature]
    net = fastnn.MLP([7, 7, 7, 3], **{"activation": "tanh"} | of_net, dtype="float64", seed=0)
    x, y, weights = make_csr(rng, 9, 7), rng.integers(0, 3, 9), rng.random(9)
    net.biases[0][:] = rng.standard_normal(7)  # rows without entries would be normalised noise
    trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)

    def cost():
        return trainer.gradient(x, y, sample_weight=weights)[0]

    _, grads, grad_biases = trainer.gradient(x, y, sample_weight=weights)
    h = 1e-5
    for array, grad in ((net.weights[0], grads[0]), (net.biases[0], grad_biases[0])):
        for place in np.ndindex(array.shape):
            value = array[place]
            sides = []
            for array[place] in (value + h, value - h):
                sides.append(cost())
            array[place] = value
            np.testing.assert_allclose(grad[place], (sides[0] - sides[1]) / (2 * h), rtol=1e-6, atol=1e-9)


# --- lazy updates -----------------------------------------------------------------------------------


@pytest.fixture(params=SPARSE.values(), ids=SPARSE)
def problem(request, dtype):
    """Make the same sparse problem; most features are in few rows."""

    def make(**options):
        options = {"every": 1, "clip_norm": 0, "max_norm": 0, **options}
        given = {name: value for name, value in request.param.training.items() if name not in options}
        made = make_problem(request.param, dtype, **given | options | {"sparse": True})
        keep = np.random.default_rng(1).random(made.data.columns.size) < 0.1
        starts = np.append(0, np.cumsum(keep))[made.data.starts]
        data = made.data._replace(x=made.data.x[:, keep], columns=made.data.columns[keep], starts=starts)
        return made._replace(data=data)

    return make


def states(problem):
    """Return the first layer's weights and the optimiser's states for them."""
    layer, opt = problem.network.layers[0], problem.state
    vectors = problem.network.params, opt.m, opt.v, opt.u
    return [reference_step.weights(layer, flat)[: layer["n_in"]] for flat in vectors if flat.size]


@pytest.mark.parametrize("options", [{}, {"optimizer": "adamw", "l1": 0.2}, {"optimizer": "nesterov"},
                                     {"optimizer": "rmsprop", "keep": 0.9}], ids=str)  # fmt: skip
def test_lazy_moves_the_weights_of_a_batch_and_no_others(problem, options):
    """Comparison with steps that move all weights, in which those of absent features are then restored."""
    comp, ref = problem(skip=1, **options), problem(skip=0, **options)
    moved = np.zeros(comp.network.layers[0]["n_in"], bool)
    for number, first in enumerate(range(0, N_ROWS, 16), 1):
        n_rows = min(16, N_ROWS - first)
        before = [array.copy() for array in states(ref)]
        average = ref.state.average.copy()
        old = ref.network.params.copy()
        for each in (comp, ref):
            each.train(first, n_rows, 16, number)
        layer = ref.network.layers[0]
        kernels.sparse_sort(
            records.HookContext(ref.network, ref.work, 0, 1, new_team(), number, n_rows, False),
            ref.data, first, 0, layer["w_rows"],
        )  # fmt: skip
        half, n = ref.work.counts[0, kernels.HALF], ref.work.counts[0, kernels.N_SORTED]
        absent = np.ones(layer["n_in"], bool)
        absent[ref.work.entries[half, :n] >> 32] = False
        moved |= ~absent
        for array, kept in zip(states(ref), before, strict=True):
            array[absent] = kept[absent]
        if average.size:
            pairs = (average, old, ref.state.average)
            (was, w, now) = (reference_step.weights(layer, flat)[: layer["n_in"]] for flat in pairs)
            rest = w.dtype.type(1 - ref.state.settings["average_decay"][0])
            now[absent] = (was + rest * (w - was))[absent]
        comp.assert_same_bits(ref)
    assert moved.any()


def test_plain_descent_skips_what_has_no_slope(problem):
    """Equality of bits: without momentum and penalty, such weights would not move."""
    comp, ref = (problem(skip=skip, optimizer="sgd", l2=0, l1=0) for skip in (1, 0))
    totals, ref_totals = (each.train(0, N_ROWS, 16, 1) for each in (comp, ref))
    comp.assert_same_bits(ref)
    np.testing.assert_array_equal(totals, ref_totals)


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_lazy_in_parts(problem, n_parts):
    ref = problem(skip=1, l1=0.1)
    ref_totals = ref.train(0, N_ROWS, 16, 1)
    assert np.isfinite(ref_totals).all()
    for _ in range(20):  # on a busy machine the threads may not come together at once
        comp, totals, team = problem(skip=1, l1=0.1), np.zeros(records.N_TOTALS), new_team()
        threads = [
            threading.Thread(
                target=step.train_part, args=(part, n_parts, team, *comp, (0, N_ROWS, 16, 1), totals)
            )
            for part in range(n_parts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if totals[records.FAILED] != records.NOT_TOGETHER:
            break
    np.testing.assert_array_equal(totals, ref_totals)
    comp.assert_same_bits(ref)


def test_the_penalty_of_a_lazy_step_is_that_of_the_weights_it_moves(rng):
    x = scipy_sparse.csr_matrix([[0, 2.0, 0, 1], [0, 1, 0, 0]])
    net = fastnn.MLP([4, 3], dtype="float64", seed=0)
    w, others = net.weights[0].copy(), [0, 2]
    options = {"loss": "cross_entropy", "batch_size": None, "lazy": True}
    trainer = fastnn.Trainer(net, l2=0.5, l1=0.25, optimizer="sgd", **options)
    loss = trainer.evaluate(x, [0, 1])["cost"]
    epoch = trainer.fit(x, [0, 1], epochs=1, verbose=0).epochs[0]
    moved = w[[1, 3]]
    penalty = (0.25 * (moved**2).sum() + 0.25 * np.abs(moved).sum()) / 2
    np.testing.assert_allclose([epoch.cost, epoch.penalty], [loss, penalty], rtol=1e-14)
    np.testing.assert_array_equal(net.weights[0][others], w[others])
    assert (net.weights[0][[1, 3]] != moved).all()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"accumulate": 2}, "accumulate"),
        ({"max_norm": 1.0}, "max_norm"),
        ({"optimizer": "lbfgs"}, "optimizer 'lbfgs'"),
    ],
)
def test_what_lazy_does_not_go_with(options, what):
    with pytest.raises(ValueError, match=f"lazy cannot be combined with {what}"):
        fastnn.Trainer(fastnn.MLP([4, 3], seed=0), loss="cross_entropy", lazy=True, **options)


def test_lazy_is_for_sparse_rows():
    trainer = fastnn.Trainer(fastnn.MLP([4, 3], seed=0), loss="cross_entropy", lazy=True)
    with pytest.raises(ValueError, match="lazy is for sparse rows, but x is dense"):
        trainer.fit(np.ones((2, 4)), [0, 1], verbose=0)
    net = fastnn.MLP([4, 3], embeddings={0: (3, 2)}, seed=0)
    with pytest.raises(ValueError, match="lazy cannot be combined with embeddings"):
        fastnn.Trainer(net, loss="cross_entropy", lazy=True)


# --- comparison with PyTorch ------------------------------------------------------------------------

WORDS, WIDTH, N_TEXTS, BATCH = 50, 7, 96, 12


def texts(rng):
    """Return the word numbers of each text, and the mean of their indicators as CSR: 1 / n per word."""
    words = [rng.choice(WORDS, rng.integers(1, 9), replace=False) for _ in range(N_TEXTS)]
    x = scipy_sparse.lil_matrix((N_TEXTS, WORDS))
    for number, text in enumerate(words):
        x[number, text] = 1 / len(text)
    return words, x.tocsr(), rng.integers(0, 3, N_TEXTS)


def bag_of(net, torch, mode, sparse):
    """Return the network's layers in PyTorch; the first without its bias, a separate parameter there."""
    bag = torch.nn.EmbeddingBag(WORDS, WIDTH, mode=mode, sparse=sparse, dtype=torch.float64)
    bag.weight.data = torch.from_numpy(net.weights[0].copy())
    linear = torch.nn.Linear(WIDTH, 3, dtype=torch.float64)
    linear.weight.data = torch.from_numpy(net.weights[1].T.copy())
    linear.bias.data = torch.from_numpy(net.biases[1].copy())
    return bag, linear


@pytest.mark.peers
@pytest.mark.parametrize("lazy", [False, True])
def test_an_embedding_bag(rng, lazy):
    """Values of 1 / number of words without activation give the mean of the words' vectors, then a layer."""
    torch = pytest.importorskip("torch")
    words, x, y = texts(rng)
    net = fastnn.MLP([WORDS, WIDTH, 3], "identity", dtype="float64", seed=0)
    bag, linear = bag_of(net, torch, "mean", lazy)
    joined, places = torch.tensor(np.concatenate(words)), np.append(0, np.cumsum([len(t) for t in words]))
    trainer = fastnn.Trainer(
        net,
        loss="cross_entropy",
        optimizer=fastnn.Adam(lr=0.05, eps=1e-30),  # PyTorch's lazy form adds it before the correction
        batch_size=BATCH,
        shuffle=False,
        lazy=lazy,
    )
    close = {"rtol": 1e-9, "atol": 1e-11}
    out = linear(bag(joined, torch.tensor(places[:-1])))
    np.testing.assert_allclose(net.predict_raw(x), out.softmax(1).detach().numpy(), **close)
    torch.nn.functional.cross_entropy(out, torch.tensor(y)).backward()
    _, grads, grad_biases = trainer.gradient(x, y)
    grad = bag.weight.grad.to_dense() if lazy else bag.weight.grad
    np.testing.assert_allclose(grads[0], grad.numpy(), **close)
    np.testing.assert_allclose(grads[1], linear.weight.grad.numpy().T, **close)
    np.testing.assert_allclose(grad_biases[1], linear.bias.grad.numpy(), **close)

    shift = torch.nn.Parameter(torch.zeros(WIDTH, dtype=torch.float64))
    options = {"lr": 0.05, "eps": 1e-30}
    rest = [shift, *linear.parameters()]
    steps = [torch.optim.Adam(rest if lazy else [*rest, bag.weight], **options)]
    if lazy:
        steps.append(torch.optim.SparseAdam([bag.weight], **options))
    costs = []
    for _ in range(7):  # 56 steps
        total = 0.0
        for start in range(0, N_TEXTS, BATCH):
            for each in steps:
                each.zero_grad()
            inside = joined[places[start] : places[start + BATCH]]
            vectors = bag(inside, torch.tensor(places[start : start + BATCH] - places[start]))
            target = torch.tensor(y[start : start + BATCH])
            cost = torch.nn.functional.cross_entropy(linear(vectors + shift), target)
            cost.backward()
            for each in steps:
                each.step()
            total += float(cost.detach()) * BATCH
        costs.append(total / N_TEXTS)
    history = trainer.fit(x, y, epochs=7, verbose=0)
    np.testing.assert_allclose(history.to_dict()["cost"], costs, rtol=1e-7)
    np.testing.assert_allclose(net.weights[0], bag.weight.detach().numpy(), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(net.weights[1], linear.weight.detach().numpy().T, rtol=1e-6, atol=1e-8)


def test_without_compilation(run_python):
    code = """
import numpy as np, fastnn
from scipy import sparse
rng = np.random.default_rng(0)
x = sparse.csr_matrix(rng.standard_normal((20, 6)) * (rng.random((20, 6)) < 0.3))
y = rng.integers(0, 3, 20)
for lazy in (False, True):
    net = fastnn.MLP([6, 4, 3], "tanh", input_dropout=0.2, dtype="float64", seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=8, lazy=lazy, seed=0, n_threads=1)
    print(trainer.fit(x, y, epochs=2, verbose=0).epochs[-1].cost, net.predict_raw(x).sum())
"""
    figures = [
        [float(number) for number in run_python(code, **more).stdout.split()]
        for more in ({}, {"NUMBA_DISABLE_JIT": "1"})
    ]
    np.testing.assert_allclose(figures[1], figures[0], rtol=1e-12)
