"""Resuming: a training that was broken off ends with the bits of one that was not."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import EMA, Checkpoint, EarlyStopping
from fastnn.training import scores
from training.examples import make_binary_rows, make_binary_trainer, make_whole_batch_trainer
from training.resuming import AVERAGES, EPOCHS, CrashAfter, CrashError, fit, make_trainer


def test_lbfgs_writes_no_checkpoints(three_classes, tmp_path):
    with pytest.raises(ValueError, match="checkpoint cannot be combined with optimizer 'lbfgs'"):
        make_whole_batch_trainer(optimizer="lbfgs").fit(
            *three_classes, checkpoint=fastnn.Checkpoint(tmp_path), verbose=0
        )


def figures(trainer):
    """Columns of the history but for the times."""
    columns = trainer.history.to_dict()
    return {name: columns[name] for name in sorted(columns.keys() - {"seconds", "samples_per_second"})}


def assert_same(comp, ref):
    """All that two trainers have learnt is the same to the bit, and so is what they would do next."""
    assert figures(comp) == figures(ref)
    assert comp.history.best_epoch == ref.history.best_epoch
    assert comp.history.stop_reason == ref.history.stop_reason
    for name, array in ref.net.parameters().items():
        np.testing.assert_array_equal(comp.net.parameters()[name], array, name)
    for trainer in (comp, ref):
        fit(trainer, 2, early_stopping=None, metrics=())
    np.testing.assert_array_equal(comp.net.params, ref.net.params)


@pytest.mark.parametrize("average", AVERAGES)
def test_resumed_gives_the_same_bits(tmp_path, average, dtype):
    ref = make_trainer(AVERAGES[average], dtype)
    fit(ref)
    assert len(set(ref.history.to_dict()["lr"])) > 2  # the schedule has its state
    assert ref.history.best_epoch > 1
    rule = Checkpoint(tmp_path, every_steps=5)
    # In the first call nothing is written yet; the others end within updates, and at ends of epochs.
    for n_batches in (3, 6, 1, 11, 7):
        with pytest.raises(CrashError):
            fit(make_trainer(AVERAGES[average], dtype), checkpoint=rule, callbacks=CrashAfter(n_batches))
    trainer = make_trainer(AVERAGES[average], dtype)
    fit(trainer, checkpoint=rule)
    assert_same(trainer, ref)


@pytest.mark.parametrize("average", AVERAGES)
def test_the_best_epoch_is_remembered(tmp_path, average):
    options = {"early_stopping": EarlyStopping(patience=4)}
    ref = make_trainer(AVERAGES[average])
    fit(ref, 100, **options)
    best = ref.history.best_epoch
    assert len(ref.history) == best + 4
    options["checkpoint"] = Checkpoint(tmp_path)
    with pytest.raises(CrashError):
        fit(make_trainer(AVERAGES[average]), 100, **options, callbacks=CrashAfter(6 * (best + 2) + 3))
    trainer = make_trainer(AVERAGES[average])
    fit(trainer, 100, **options)
    assert_same(trainer, ref)


def test_rows_held_out_stay_the_same_without_a_seed(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    held_out, score = [], scores.cost_and_metric

    def noting(core, source):
        held_out.append(source.rows.data.indices.copy())
        return score(core, source)

    for epochs in (1, 2):
        trainer = make_trainer(seed=None)
        monkeypatch.setattr(scores, "cost_and_metric", noting)
        rule = Checkpoint(tmp_path)
        fit(trainer, epochs, validation_data=None, validation_fraction=0.3, checkpoint=rule)
    assert len(held_out) == 2
    np.testing.assert_array_equal(*held_out)


@pytest.mark.parametrize("stops", [False, True])
def test_a_finished_training_is_not_trained_again(tmp_path, stops):
    rule = EarlyStopping(patience=1 if stops else 100)
    options = {"checkpoint": Checkpoint(tmp_path), "early_stopping": rule}
    ref, comp = make_trainer(EMA(0.9)), make_trainer(EMA(0.9))
    fit(ref, 40 if stops else EPOCHS, **options)
    assert (ref.history.stop_reason == "early stopping") == stops
    fit(comp, 40 if stops else EPOCHS, **options, callbacks=CrashAfter(1))  # there is no batch
    assert_same(comp, ref)


def test_a_finished_training_can_go_on(tmp_path):
    ref = make_trainer(EMA(0.9))
    fit(ref, 7)
    for epochs in (2, 5, 7):
        trainer = make_trainer(EMA(0.9))
        fit(trainer, epochs, checkpoint=Checkpoint(tmp_path, every_epochs=None))
    assert_same(trainer, ref)


def test_two_calls_with_a_folder_each(tmp_path):
    """A script of two calls of fit, run again after it ended within the second."""
    ref = make_trainer()
    fit(ref, 3)
    fit(ref, 3)
    first, second = Checkpoint(tmp_path / "1"), Checkpoint(tmp_path / "2", every_steps=4)
    trainer = make_trainer()
    fit(trainer, 3, checkpoint=first)
    with pytest.raises(CrashError):
        fit(trainer, 3, checkpoint=second, callbacks=CrashAfter(9))
    trainer = make_trainer()
    fit(trainer, 3, checkpoint=first)
    fit(trainer, 3, checkpoint=second)
    assert_same(trainer, ref)
    with pytest.raises(ValueError, match="are of another training: first epoch was 1, but is now 9"):
        fit(trainer, 3, checkpoint=first)


def test_training_goes_on_from_the_last_whole_one(written):
    ref = make_trainer(EMA(0.9))
    fit(ref)
    newest = written.files()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    trainer = make_trainer(EMA(0.9))
    fit(trainer, checkpoint=written)
    assert_same(trainer, ref)


def test_all_damaged(written):
    for path in written.files():
        path.write_bytes(path.read_bytes()[:-1])
    trainer = make_trainer(EMA(0.9))
    before = trainer.net.params.copy()
    with pytest.raises(ValueError, match=r"step-0000000018\.safetensors.*damaged"):
        fit(trainer, checkpoint=written)
    np.testing.assert_array_equal(trainer.net.params, before)


@pytest.mark.parametrize(
    ("options", "of_fit", "message"),
    [
        ({"l2": 0.2}, {}, "l2 was 0.1, but is now 0.2"),
        ({"average": EMA(0.8)}, {}, r"average was EMA\(decay=0.9\), but is now EMA\(decay=0.8\)"),
        ({"average": None}, {}, "average was"),
        ({"accumulate": 1}, {}, "accumulate was 4"),
        ({"optimizer": "adam"}, {}, "optimizer was NAdam"),
        ({"schedule": "cosine"}, {}, "schedule was WarmUp"),
        ({"loss": fastnn.Loss("cross_entropy", label_smoothing=0.1)}, {}, "loss was"),
        ({"dtype": "float64"}, {}, "net was"),
        ({}, {"early_stopping": None}, r"early_stopping was EarlyStopping\(.*\), but is now None"),
        ({}, {"sample_weight": None}, "data was"),
        ({}, {"validation_data": None, "early_stopping": None}, "early_stopping was"),
    ],
)
def test_those_of_another_training_are_refused(written, options, of_fit, message):
    trainer = make_trainer(**{"average": EMA(0.9)} | options)
    fit(trainer, 1)
    params = trainer.net.params.copy()
    trainer.history.epochs.clear()  # as if it were its first call
    with pytest.raises(ValueError, match=f"are of another training: {message}"):
        fit(trainer, checkpoint=written, **of_fit)
    np.testing.assert_array_equal(trainer.net.params, params)
    fit(trainer, 1, checkpoint=Checkpoint(written.folder, resume=False), **of_fit)


def test_a_function_as_schedule_is_the_same_in_the_next_process(tmp_path):
    for _ in range(2):
        trainer = make_trainer(schedule=lambda epoch, lr: lr / (1 + epoch))
        fit(trainer, 2, checkpoint=Checkpoint(tmp_path))


@pytest.mark.parametrize("kind", ["MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_any_random_generator(tmp_path, kind):
    def generator():
        return np.random.Generator(getattr(np.random, kind)(0))

    ref = make_trainer(seed=generator())
    fit(ref)
    with pytest.raises(CrashError):
        fit(make_trainer(seed=generator()), checkpoint=Checkpoint(tmp_path), callbacks=CrashAfter(20))
    with pytest.raises(ValueError, match=f"random generator was {kind}, but is now PCG64"):
        fit(make_trainer(), checkpoint=Checkpoint(tmp_path))
    trainer = make_trainer(seed=generator())
    fit(trainer, checkpoint=Checkpoint(tmp_path))
    assert_same(trainer, ref)


def test_checkpoint_is_an_object(tmp_path):
    with pytest.raises(TypeError, match=r"checkpoint must be a fastnn\.Checkpoint, got"):
        fit(make_trainer(), checkpoint=str(tmp_path))


# --- rows to validate with --------------------------------------------------------------------------


def validation(seed, n_rows=40):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_rows, 5)), rng.integers(0, 3, n_rows)


def test_other_validation_rows_of_the_same_number_are_refused(tmp_path):
    ref = make_trainer()
    fit(ref, 4, validation_data=validation(1))
    fit(make_trainer(), 2, validation_data=validation(1), checkpoint=Checkpoint(tmp_path))
    x, y = validation(1)
    others = {"rows": validation(2), "targets": (x, (y + 1) % 3), "weights": (x, y, np.arange(40))}
    for other in others.values():
        with pytest.raises(ValueError, match="are of another training: validation data was") as caught:
            fit(make_trainer(), 4, validation_data=other, checkpoint=Checkpoint(tmp_path))
        assert "\n" not in str(caught.value)
    trainer = make_trainer()
    fit(trainer, 4, validation_data=validation(1), checkpoint=Checkpoint(tmp_path))
    assert_same(trainer, ref)


def test_another_number_of_validation_rows_is_refused(tmp_path):
    fit(make_trainer(), 2, validation_data=validation(1), checkpoint=Checkpoint(tmp_path))
    with pytest.raises(ValueError, match="validation rows was 40, but is now 39"):
        fit(make_trainer(), 4, validation_data=validation(1, 39), checkpoint=Checkpoint(tmp_path))


def test_other_targets_of_the_rows_that_are_trained_on_are_refused(tmp_path):
    x, y = make_binary_rows()

    def train(targets):
        trainer = make_binary_trainer()
        trainer.fit(x, y, 2, validation_data=(x, targets), checkpoint=Checkpoint(tmp_path), verbose=0)

    train(y)
    with pytest.raises(ValueError, match="validation data was"):
        train(1 - y)


@pytest.mark.parametrize("part", ["shadow", "totals", "batches", "best"])
def test_a_checkpoint_that_lacks_a_part_changes_nothing(written, part):
    """Its checksum may be right: another release may have written it."""
    state, arrays = written.read()
    for parts in (state, arrays):
        parts.pop(part, None)
    written.write(10**6, state, arrays)
    trainer = make_trainer(EMA(0.9))
    before = pickle.dumps(trainer.state)
    with pytest.raises(ValueError, match=part):
        fit(trainer, checkpoint=written)
    assert pickle.dumps(trainer.state) == before


def test_a_checkpoint_with_other_totals_is_of_another_version(written):
    state, arrays = written.read()
    arrays["totals"] = arrays["totals"][1:]
    written.write(10**6, state, arrays)
    with pytest.raises(ValueError, match="lacks totals: another version of fastnn"):
        fit(make_trainer(EMA(0.9)), checkpoint=written)


def mean_error(y_true, y_pred, sample_weight=None):
    return np.average(np.abs(y_true - y_pred), weights=sample_weight).astype(np.float32)


REGRESSIONS = {
    "weights": {"sample_weight": np.random.default_rng(1).uniform(0.5, 2, 90), "metrics": ["r2", mean_error]},
    "validation": {"validation_data": (np.ones((3, 4)), [1, 2, 3]), "metrics": "r2"},
    "norms": {"record_norms": True},
    "stream": {},
}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("kind", REGRESSIONS)
def test_r2_of_a_resumed_training_is_the_same_to_the_bit(tmp_path, kind, average):
    """Wherever it broke off: no sum over the targets may follow the order of the moment."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 4)).astype("f4"), rng.standard_normal(90).astype("f4") + 3
    data = (fastnn.data.ArrayStream(x, y, block_rows=40),) if kind == "stream" else (x, y)

    def train(rule=None, callbacks=()):
        net = fastnn.MLP([4, 6, 1], seed=0)
        trainer = fastnn.Trainer(net, loss="mse", batch_size=16, average=AVERAGES[average], seed=0)
        options = REGRESSIONS[kind] | {"checkpoint": rule, "callbacks": callbacks}
        trainer.fit(*data, epochs=3, verbose=0, **options)
        return trainer

    expected = repr(figures(train()))
    for n_batches in (1, 5, 7, 12, 17):
        rule = Checkpoint(tmp_path / str(n_batches), every_steps=3, every_epochs=None)
        with pytest.raises(CrashError):
            train(rule, CrashAfter(n_batches))
        assert repr(figures(train(rule))) == expected


def test_another_alpha_is_refused(three_classes, tmp_path):
    def train(alpha):
        net = fastnn.MLP([4, 7, 3], fastnn.Activation("elu", alpha=alpha), seed=0)
        trainer = make_whole_batch_trainer(net)
        trainer.fit(*three_classes, epochs=2, checkpoint=Checkpoint(tmp_path), verbose=0)

    train(1.0)
    with pytest.raises(ValueError, match="net was"):
        train(0.5)


# --- processes that are killed ----------------------------------------------------------------------

KILLED = """
import sys
from fastnn import EMA, Checkpoint, EarlyStopping
from training.resuming import fit, kill_and_restart, make_trainer

folder = sys.argv[1]

def train(begin):
    trainer = make_trainer(EMA(0.9), n_threads=1)
    stopping = EarlyStopping(patience={epochs})  # else a fast machine ends before the last kill
    options = {"early_stopping": stopping, "checkpoint": Checkpoint(folder, every_steps=3)}
    fit(trainer, {epochs}, callbacks=begin, **options)
    trainer.net.save(folder + ".model")

fit(make_trainer(EMA(0.9), n_threads=1), 1)  # loads the compiled code, once for all
kill_and_restart(train, n_kills=25, longest=0.06)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_moment_and_started_again(tmp_path, start):
    folder = tmp_path / "run"
    epochs = 500  # several times as long as all processes that are killed
    command = [sys.executable, "-c", KILLED.replace("{epochs}", str(epochs)), str(folder)]
    process = start(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(PATH)})
    out, err = process.communicate(timeout=120)
    errors = [line for line in err.splitlines() if "fastnn: compiling" not in line]
    assert (process.returncode, errors) == (0, [])
    assert int(out) >= 15
    ref = make_trainer(EMA(0.9), n_threads=1)
    stopping = EarlyStopping(patience=epochs)
    fit(ref, epochs, early_stopping=stopping)
    again = make_trainer(EMA(0.9))
    done = {"early_stopping": stopping, "checkpoint": Checkpoint(folder)}
    fit(again, epochs, callbacks=CrashAfter(1), **done)  # there is no batch
    for net in (fastnn.load(f"{folder}.model"), again.net):
        for name, array in ref.net.parameters().items():
            np.testing.assert_array_equal(net.parameters()[name], array, name)


PATH = [str(Path(__file__).parents[1]), str(Path(fastnn.__file__).parents[1])]
