"""Checkpoints: a training that was broken off ends with the bits of one that was not."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import EMA, SWA, Callback, Checkpoint, EarlyStopping
from fastnn.network import files as model_file
from fastnn.schedules import Plateau, WarmUp
from fastnn.training import scores

N_ROWS, EPOCHS = 90, 6  # six batches an epoch, the last of 10 rows; updates of 4 and 2 batches
AVERAGES = {"none": None, "ema": EMA(0.9), "swa": SWA(2)}


class CrashError(Exception):
    pass


class CrashAfter(Callback):
    """End a training as a crash would, but within this process."""

    def __init__(self, n_batches):
        self.n_left = n_batches

    def on_batch_end(self, trainer, batch):
        self.n_left -= 1
        if self.n_left == 0:
            raise CrashError


def make_trainer(average=None, dtype="float32", **options):
    """A trainer that uses all there is to remember."""
    net = fastnn.MLP(
        [5, 12, 12, 3],
        ["tanh", "prelu"],
        dropout=[0.2, 0.1],
        input_dropout=0.1,
        norm=["batch", "layer"],
        residual=True,
        dtype=dtype,
        seed=0,
    )
    # The rate falls whenever the cost has not fallen by a third: several times in a few epochs.
    schedule = WarmUp(Plateau(factor=0.7, patience=1, min_delta=0.3, monitor="cost"), steps=5)
    settings = {
        "loss": "cross_entropy",
        "optimizer": fastnn.NAdam(lr=0.02, weight_decay=0.1),
        "schedule": schedule,
        "batch_size": 16,
        "accumulate": 4,
        "clip_norm": 1.0,
        "max_norm": 2.0,
        "l2": 0.1,
        "average": average,
        "class_weight": "balanced",
        "seed": 5,
    }
    return fastnn.Trainer(net, **settings | options)


def fit(trainer, epochs=EPOCHS, **options):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((N_ROWS, 5)), rng.integers(0, 3, N_ROWS)
    settings = {
        "sample_weight": rng.uniform(0.5, 2, N_ROWS),
        "validation_data": (rng.standard_normal((40, 5)), rng.integers(0, 3, 40)),
        "early_stopping": EarlyStopping(patience=100),
        "metrics": [mean_class],
        "verbose": 0,
    }
    return trainer.fit(x, y, epochs=epochs, **settings | options)


def mean_class(y_true, y_pred, sample_weight=None):
    return np.average(y_pred, weights=sample_weight)


def assert_same(comp, ref):
    """All that two trainers have learnt is the same to the bit, and so is what they would do next."""
    times = ("seconds", "samples_per_second")
    tables = [
        {name: column for name, column in trainer.history.to_dict().items() if name not in times}
        for trainer in (comp, ref)
    ]
    assert tables[0] == tables[1]
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


# --- files ------------------------------------------------------------------------------------------


def steps(folder):
    return [int(path.stem.removeprefix("step-")) for path in Checkpoint(folder).files()]


@pytest.mark.parametrize(
    ("options", "ref"),
    [
        ({"every_epochs": 2}, [36, 24, 12]),
        ({"every_epochs": 2, "keep": 1}, [36]),
        ({"every_epochs": None, "every_steps": 7, "keep": 9}, [36, 35, 28, 21, 14, 7]),
        ({"every_epochs": 4, "every_steps": 10, "keep": 9}, [36, 34, 24, 20, 10]),
        ({"every_epochs": None}, [36]),
        ({"every_epochs": None, "every_minutes": 1e-9, "keep": 2}, [36, 35]),
    ],
)
def test_when_they_are_written_and_how_many_are_kept(tmp_path, options, ref):
    # Batches come one at a time: else minutes are looked at between the calls of many.
    fit(make_trainer(), checkpoint=Checkpoint(tmp_path, **options), callbacks=CrashAfter(100))
    assert steps(tmp_path) == ref
    assert len(list(tmp_path.iterdir())) == len(ref)


def test_those_of_a_later_step_make_room(tmp_path):
    """Of a training that was longer, or after damage: else they would push the new ones out."""
    fit(make_trainer(), checkpoint=Checkpoint(tmp_path, keep=2))
    rule = Checkpoint(tmp_path, keep=2, every_steps=5, resume=False)
    with pytest.raises(CrashError):
        fit(make_trainer(), checkpoint=rule, callbacks=CrashAfter(8))
    assert steps(tmp_path) == [6, 5]


@pytest.fixture
def written(tmp_path):
    """A folder with three checkpoints."""
    fit(make_trainer(EMA(0.9)), 3, checkpoint=Checkpoint(tmp_path))
    return Checkpoint(tmp_path)


def as_text(found):
    state, arrays = found
    return json.dumps([state, {name: array.tolist() for name, array in sorted(arrays.items())}])


def test_a_damaged_one_is_not_taken_for_whole(written, rng):
    newest, before, _ = written.files()
    content = newest.read_bytes()
    n_header = 8 + int.from_bytes(content[:8], "little")
    ref = as_text(written.read())
    newest.unlink()
    ref_before = as_text(written.read())
    assert ref != ref_before
    places = [*range(12), *rng.integers(8, n_header, 60), *rng.integers(n_header, len(content), 40)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        newest.write_bytes(damaged)
        assert as_text(written.read()) == ref_before, place
    for length in (0, 1, 8, 100, n_header, len(content) // 2, len(content) - 1):
        newest.write_bytes(content[:length])
        assert as_text(written.read()) == ref_before, length
    newest.write_bytes(content)
    assert as_text(written.read()) == ref
    assert before.exists()


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


def test_a_full_disk_ends_training_and_leaves_all_else_alone(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def fsync(handle):
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(model_file.os, "fsync", fsync)
    ref, trainer, ended = make_trainer(EMA(0.9)), make_trainer(EMA(0.9)), []

    class Last(Callback):
        def on_fit_end(self, trainer):
            ended.append(trainer.history.stop_reason)

    with pytest.raises(OSError, match="No space left"):
        fit(trainer, checkpoint=Checkpoint(tmp_path), callbacks=Last())
    assert ended == ["error"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-0000000006.safetensors",
        "step-0000000012.safetensors",
    ]
    assert Checkpoint(tmp_path).read()[0]["batches"] == 12
    fit(ref, 3)
    np.testing.assert_array_equal(trainer.net.params, ref.net.params)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    trainer = make_trainer()
    before = trainer.net.params.copy()
    with pytest.raises(OSError, match="file"):
        fit(trainer, checkpoint=Checkpoint(tmp_path / "file" / "folder"))
    np.testing.assert_array_equal(trainer.net.params, before)  # before training, not after an epoch


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep": 0}, ValueError, "keep must be at least 1"),
        ({"every_steps": 0}, ValueError, "every_steps must be at least 1"),
        ({"every_epochs": 1.5}, TypeError, "every_epochs must be an integer"),
        ({"every_minutes": 0}, ValueError, "every_minutes must lie"),
        ({"folder": __file__}, ValueError, "is a file"),
    ],
)
def test_bad_arguments(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        Checkpoint(**{"folder": tmp_path} | options)


def test_checkpoint_is_an_object(tmp_path):
    with pytest.raises(TypeError, match=r"checkpoint must be a fastnn\.Checkpoint, got"):
        fit(make_trainer(), checkpoint=str(tmp_path))


# --- processes that are killed ----------------------------------------------------------------------

KILLED = """
import os, random, signal, sys, time
from training.test_checkpoint import Callback, Checkpoint, EMA, fit, make_trainer

EPOCHS = {epochs}

class Begin(Callback):
    def on_fit_begin(self, trainer):
        os.write(pipe, b"!")

def train(folder):
    trainer = make_trainer(EMA(0.9), n_threads=1)
    fit(trainer, EPOCHS, checkpoint=Checkpoint(folder, every_steps=3), callbacks=Begin())
    trainer.net.save(folder + ".model")

fit(make_trainer(EMA(0.9), n_threads=1), 1)  # loads the compiled code, once for all
folder, random = sys.argv[1], random.Random(0)
for n_killed in range(26):
    ready, pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            train(folder)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    os.close(pipe)
    os.read(ready, 1)
    os.close(ready)
    if n_killed < 25:
        time.sleep(random.uniform(0.0, 0.06))
        os.kill(pid, signal.SIGKILL)
    ended = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(ended):
        print(n_killed)
        sys.exit(os.waitstatus_to_exitcode(ended))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_moment_and_started_again(tmp_path, start):
    folder = tmp_path / "run"
    epochs = 600  # several times as long as all processes that are killed
    command = [sys.executable, "-c", KILLED.replace("{epochs}", str(epochs)), str(folder)]
    process = start(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(PATH)})
    out, err = process.communicate(timeout=120)
    errors = [line for line in err.splitlines() if "fastnn: compiling" not in line]
    assert (process.returncode, errors) == (0, [])
    assert int(out) >= 15
    ref = make_trainer(EMA(0.9), n_threads=1)
    fit(ref, epochs)
    again = make_trainer(EMA(0.9))
    fit(again, epochs, checkpoint=Checkpoint(folder), callbacks=CrashAfter(1))  # there is no batch
    for net in (fastnn.load(f"{folder}.model"), again.net):
        for name, array in ref.net.parameters().items():
            np.testing.assert_array_equal(net.parameters()[name], array, name)


PATH = [str(Path(__file__).parents[1]), str(Path(fastnn.__file__).parents[1])]
