"""Checkpoints: when they are written, how many are kept, and that damaged ones are found out."""

import errno
import json
import os

import numpy as np
import pytest

from fastnn import EMA, Callback, Checkpoint
from fastnn.network import files as model_file
from training.resuming import CrashAfter, CrashError, fit, make_trainer


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda state, arrays: arrays.update(params=np.zeros(1, np.float32)),
            r"array params is float32 \(1,\), exp",
        ),
        (lambda state, arrays: arrays.update(m=arrays["m"].astype(float)), "array m is float64"),
        (lambda state, arrays: state.update(lr="x"), "lr must be a number"),
        (lambda state, arrays: state.update(rng={}), "rng|bit_generator|state"),
        (lambda state, arrays: state.update(rng=[]), "state must be a dict"),
        (lambda state, arrays: state.update(history=[{"epoch": 1}]), "missing 6 required"),
        (lambda state, arrays: state.update(best=5), "not subscriptable"),
        (lambda state, arrays: state.update(done="x"), "invalid literal"),
        (lambda state, arrays: state.update(digest=5), "are of another training"),
    ],
)
def test_one_made_by_someone_else_is_refused_in_a_sentence(written, change, reason):
    state, arrays = written.read()
    change(state, arrays)
    written.write(100, state, arrays)
    with pytest.raises(ValueError, match=reason):
        fit(make_trainer(EMA(0.9)), 3, checkpoint=written)


def test_one_without_a_state_is_refused(written):
    path = written.files()[0]
    model_file.write(path, {}, {}, {"state": 5})
    for other in written.files()[1:]:
        other.unlink()
    with pytest.raises(ValueError, match=r"is not a usable checkpoint: metadata.state must be an object"):
        written.read()
