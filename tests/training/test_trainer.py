"""Trainer: what fit does over epochs, what it returns, and what it refuses."""

import io
import json
import os
import signal
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn import DivergenceError, EarlyStopping
from fastnn.training.loop import Run


@pytest.fixture
def blobs():
    """Three overlapping classes in the plane, 400 rows."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    return rng.standard_normal((400, 2)) + 1.5 * np.eye(3, 2)[y], y


def make(loss="cross_entropy", sizes=(2, 8, 3), **options):
    options = {"seed": 0, "batch_size": 32} | options
    return fastnn.Trainer(fastnn.MLP(sizes, seed=0), loss=loss, **options)


def test_fit_again_trains_on(blobs):
    once, twice = make(), make()
    once.fit(*blobs, epochs=6, verbose=0)
    twice.fit(*blobs, epochs=4, verbose=0)
    assert twice.fit(*blobs, epochs=2, verbose=0) is twice.history
    assert [epoch.epoch for epoch in twice.history.epochs] == [1, 2, 3, 4, 5, 6]
    # the order of rows is drawn anew in the second call, so only the course is the same, not the bits
    assert twice.history.epochs[-1].cost == pytest.approx(once.history.epochs[-1].cost, rel=0.1)
    ordered, ordered_twice = make(shuffle=False), make(shuffle=False)
    ordered.fit(*blobs, epochs=6, verbose=0)
    ordered_twice.fit(*blobs, epochs=4, verbose=0)
    ordered_twice.fit(*blobs, epochs=2, verbose=0)
    assert np.array_equal(ordered.net.params, ordered_twice.net.params)


def test_loss_per_row_and_cost_over_the_batch(blobs):
    trainer = make()
    losses = trainer.losses(*blobs)
    x, y = blobs
    ref = -np.log(trainer.net.predict_proba(x)[np.arange(len(y)), y])
    # log(1 + small) in float32 carries the rounding of the 1: 6e-8, here a few times
    np.testing.assert_allclose(losses, ref, rtol=1e-5, atol=5e-7)
    scores = trainer.evaluate(x, y)
    assert scores["cost"] == losses.mean()
    assert scores["accuracy"] == pytest.approx((trainer.net.predict(x) == y).mean(), abs=1e-12)


def test_r2_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4))
    y = x @ rng.standard_normal(4) + 5
    trainer = make("mse", (4, 8, 1))
    trainer.fit(x, y, epochs=20, verbose=0)
    assert trainer.evaluate(x, y)["r2"] == pytest.approx(
        metrics.r2_score(y, trainer.net.predict(x)), rel=1e-5
    )
    assert make("mse", (4, 1)).evaluate(x, np.ones(300))["r2"] == 0


def test_squared_error_is_half_of_mse():
    x, y = np.random.default_rng(0).standard_normal((2, 30, 4))
    mse, half = (make(loss, (4, 4)).evaluate(x, y)["cost"] for loss in ("mse", "squared_error"))
    assert half == pytest.approx(mse / 2, rel=1e-12)


def test_cost_is_weighted_by_the_size_of_the_batch(blobs):
    x, y = blobs[0][:70], blobs[1][:70]  # batches of 32, 32 and 6
    trainer = make(optimizer=fastnn.SGD(lr=1e-12), shuffle=False)
    before = trainer.losses(x, y).mean()
    epoch = trainer.fit(x, y, epochs=1, verbose=0).epochs[0]
    assert epoch.cost == pytest.approx(before, rel=1e-6)  # a rate of 1e-12 leaves float32 weights alone


def test_history_is_a_table(blobs):
    pandas = pytest.importorskip("pandas")
    history = make().fit(*blobs, epochs=3, validation_data=blobs, verbose=0)
    columns = history.to_dict()
    assert list(columns) == [
        "epoch", "cost", "metric", "val_cost", "val_metric", "seconds", "samples_per_second", "lr",
    ]  # fmt: skip
    assert isinstance(history.to_frame(), pandas.DataFrame)
    assert history.to_frame().shape == (3, 7)
    lines = str(history).splitlines()
    assert lines[0].split("  ")[0] == "epoch"
    assert "val accuracy" in lines[0]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    without = make().fit(*blobs, epochs=1, verbose=0)
    assert "val_cost" not in without.to_dict()


def test_validation_fraction_is_held_out_and_stratified(blobs):
    trainer = make()
    history = trainer.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert trainer.n_rows == 300
    assert history.epochs[0].val_cost is not None
    again = make()
    again.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert np.array_equal(trainer.net.params, again.net.params)


def test_early_stopping_restores_the_best_weights():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)  # noise: validation must get worse
    validation = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)
    trainer = make(sizes=(5, 64, 2), optimizer=fastnn.Adam(lr=0.01))
    rule = EarlyStopping(patience=5)
    history = trainer.fit(x, y, epochs=500, validation_data=validation, early_stopping=rule, verbose=0)
    costs = history.to_dict()["val_cost"]
    assert history.stop_reason == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(costs))
    assert len(costs) == history.best_epoch + 5
    assert trainer.evaluate(*validation)["cost"] == pytest.approx(min(costs), rel=1e-12)
    assert costs[-1] > min(costs)


def test_early_stopping_can_keep_the_last_weights_and_watch_a_metric(blobs):
    trainer = make()
    rule = EarlyStopping("val_metric", patience=3, min_delta=0.01, restore_best=False)
    history = trainer.fit(*blobs, epochs=500, validation_fraction=0.5, early_stopping=rule, verbose=0)
    assert history.stop_reason == "early stopping"
    assert history.best_epoch is None


@pytest.mark.parametrize("where", ["start", "later"])
def test_divergence_stops_and_keeps_finite_weights(where):
    x, y = np.random.default_rng(0).standard_normal((2, 200, 3))
    if where == "later":
        trainer = make("mse", (3, 8, 3), optimizer=fastnn.SGD(lr=3.0))
        place = r"in epoch 1 \(after \d steps\)"
    else:
        trainer = make("mse", (3, 8, 3))
        trainer.net.params[:] = 1e30  # finite, but its products are not
        place = r"in the first batch of epoch 1 \(after 0 steps\)"
    with pytest.raises(DivergenceError, match=f"{place}.*smaller learning rate"):
        trainer.fit(x * 100, y * 100, epochs=50, verbose=0)
    assert trainer.history.stop_reason == "diverged"
    assert np.isfinite(trainer.net.params).all()


def test_interrupt_keeps_model_and_history(blobs, monkeypatch):
    trainer = make()
    real, calls = Run._train_epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(Run, "_train_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        history = trainer.fit(*blobs, epochs=10, verbose=0)
    assert history.stop_reason == "interrupted"
    assert len(history) == 2
    trainer.net.predict(blobs[0])


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_ends_a_running_training_soon(start):
    code = """
import numpy as np, fastnn
x = np.random.default_rng(0).standard_normal((200_000, 64)).astype(np.float32)
trainer = fastnn.Trainer(fastnn.MLP([64, 128, 1], seed=0), loss="mse", optimizer="adam", seed=0)
trainer.fit(x, x[:, 0], epochs=1, verbose=0)
print("ready", flush=True)
history = trainer.fit(x, x[:, 0], epochs=100_000, verbose=0)
print(history.stop_reason, bool(np.isfinite(trainer.net.params).all()), flush=True)
"""
    process = start([sys.executable, "-c", code])
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert rest == "interrupted True\n"
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads the kernel's high-water mark")
@pytest.mark.parametrize(("sizes", "batch_size"), [((500, 800, 900, 10), 100), ((1024, 4096, 10), 64)])
def test_memory_is_four_times_the_parameters_and_the_workspace(run_python, sizes, batch_size):
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
print(json.dumps([used, data_and_workspace, fastnn._jit.compile_seconds()]))
"""
    for _ in range(2):
        used, data_and_workspace, seconds = json.loads(run_python(code).stdout)
        if seconds == 0:  # else the compiler's memory is in it
            break
    n_params = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    assert used <= 1.05 * (4 * 4 * n_params + data_and_workspace)


def test_progress_is_plain_and_short_without_a_terminal(blobs, capsys):
    make().fit(*blobs, epochs=200, verbose=1)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 20
    assert "\x1b" not in captured.err
    assert lines[-1].startswith("epoch 200/200  cost")
    assert "accuracy" in lines[-1]
    assert "samples/s" in lines[-1]


def test_what_one_fit_learnt_of_threads_the_next_goes_on_with(blobs):
    trainer = make()
    trainer.fit(*blobs, epochs=1, verbose=0)
    batch_size, pace = trainer.core._pace
    trainer.fit(*blobs, epochs=1, verbose=0)
    assert trainer.core._pace[1] is pace
    trainer.fit(blobs[0][: batch_size - 1], blobs[1][: batch_size - 1], epochs=1, verbose=0)
    assert trainer.core._pace[1] is not pace


def test_silent(blobs, capsys):
    make().fit(*blobs, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(blobs, monkeypatch):
    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console", lambda **_: Console(file=screen, force_terminal=True, width=120)
    )
    make().fit(*blobs, epochs=3, validation_data=blobs, verbose=1)
    shown = screen.getvalue()
    assert "3/3" in shown
    assert "val accuracy" in shown
    assert "samples/s" in shown


LOSSES = {"cross_entropy": 3, "binary_cross_entropy": 1, "mse": 1}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0), "x is empty"),
        (np.zeros((4, 3)), np.zeros(4), "x has 3 features, but the network takes 2"),
        (np.zeros((4, 2)), np.zeros(5), "x has 4 rows and y has 5"),
        (np.full((4, 2), np.nan), np.zeros(4), "NaN"),
        (np.zeros((4, 2)), np.zeros((4, 7)), "y must have shape"),
        (np.zeros((4, 2)), 3, "x has 4 rows and y has 0"),
    ],
)
def test_bad_data(loss, x, y, message):
    with pytest.raises(ValueError, match=message):
        make(loss, (2, LOSSES[loss])).fit(x, y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("cross_entropy", [0, 1, 2, 3], "y holds the label 3, but the classes are 0 to 2"),
        ("cross_entropy", [0, 1, -1, 2], "y holds the label -1"),
        ("cross_entropy", [0.5, 1, 1, 2], "class numbers 0 to 2, got dtype float64.*LabelEncoder"),
        ("cross_entropy", list("abca"), "LabelEncoder"),
        ("binary_cross_entropy", [0, 1, 2, 1], "y holds the label 2, but the classes are 0 to 1"),
        ("mse", [0, 1, np.nan, 1], "y has 1 values that are NaN"),
        ("mse", list("abca"), "y must be numeric"),
    ],
)
def test_bad_targets(loss, y, message):
    with pytest.raises(ValueError, match=message):
        make(loss, (2, LOSSES[loss])).fit(np.zeros((4, 2)), y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "cross_entrop"}, ValueError, "Did you mean 'cross_entropy'"),
        ({"optimizer": "adm"}, ValueError, "radam, lion, lbfgs, got 'adm'. Did you mean 'adam'"),
        ({"optimizer": 3}, TypeError, "optimizer must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer"),
        ({"l2": -1.0}, ValueError, r"l2 must lie in \[0, inf\), got -1"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"loss": "cross_entropy", "sizes": (2, 1)}, ValueError, "binary_cross_entropy"),
    ],
)
def test_bad_trainer(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("make_optimizer", "message"),
    [
        (lambda: fastnn.Adam(lr=0), r"lr must lie in \(0, inf\)"),
        (lambda: fastnn.Adam(lr=float("nan")), "lr must lie"),
        (lambda: fastnn.Adam(beta1=1.0), r"beta1 must lie in \[0, 1\)"),
        (lambda: fastnn.SGD(momentum=-0.1), "momentum must lie"),
        (lambda: fastnn.SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: EarlyStopping(patience=0), "patience must be at least 1"),
    ],
)
def test_bad_settings(make_optimizer, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer()


def test_loss_and_output_must_agree():
    for output, loss in (("tanh", "cross_entropy"), ("softmax", "mse"), ("softmax", "binary_cross_entropy")):
        with pytest.raises(ValueError, match="output"):
            fastnn.Trainer(fastnn.MLP([2, 3], output=output, seed=0), loss=loss)
    with pytest.raises(TypeError, match=r"must be a fastnn\.MLP, got list"):
        fastnn.Trainer([2, 3], loss="mse")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must lie"),
        ({"validation_data": np.zeros((2, 2))}, TypeError, "tuple"),
        ({"validation_data": ([[0, 0]], [0, 1])}, ValueError, "x_val has 1 rows and y_val has 2"),
        ({"validation_data": ([[0, 0]], [5])}, ValueError, "y_val holds the label 5"),
        ({"early_stopping": EarlyStopping()}, ValueError, "no validation_data"),
        (
            {"early_stopping": EarlyStopping("val_los")},
            ValueError,
            "monitor of early_stopping must be one of",
        ),
    ],
)
def test_bad_fit(blobs, options, error, message):
    with pytest.raises(error, match=message):
        make().fit(*blobs, **({"epochs": 1, "verbose": 0} | options))
