"""Arrays that are read by rows: maps, damaged files, memory."""

from __future__ import annotations

import numpy as np
import pytest

from data.streams.examples import make_rows, make_trainer
from fastnn import Callback
from fastnn.data import ArrayStream


def test_a_part_of_a_memory_map_and_what_can_be_sliced(npy):
    x, y = make_rows()
    mapped = np.load(npy[0], mmap_mode="r")
    for rows in (mapped[100:900], mapped[100:900:1], mapped[:, :4], mapped[::2]):
        whole = {800: slice(100, 900), 1000: slice(None), 500: slice(None, None, 2)}[len(rows)]
        stream = ArrayStream(rows, y[whole], block_rows=64)
        np.testing.assert_array_equal(stream.load()[0], x[whole][:, : rows.shape[1]])
    h5py = pytest.importorskip("h5py")
    with h5py.File(npy[0].with_suffix(".h5"), "w") as file:
        file["x"] = x
        stream = ArrayStream(file["x"], y, block_rows=64)
        np.testing.assert_array_equal(
            np.sort(np.concatenate([b[0] for b in stream.blocks(0)]), 0), np.sort(x, 0)
        )


def test_arrays_that_cannot_be_read(tmp_path, npy):
    x, y = make_rows()
    np.save(tmp_path / "short.npy", y[:-3])
    with pytest.raises(ValueError, match="x has 1000 rows and y has 997, expected the same number"):
        ArrayStream(npy[0], tmp_path / "short.npy")
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*none\.npy' to read x from"):
        ArrayStream(tmp_path / "none.npy", y)
    (tmp_path / "half.npy").write_bytes(npy[0].read_bytes()[:9000])
    with pytest.raises(ValueError, match=r"half\.npy' cannot be read as \.npy"):
        ArrayStream(tmp_path / "half.npy", y)
    np.savez(tmp_path / "x.npz", x=x)
    with pytest.raises(ValueError, match=r"is an archive of arrays: expected a \.npy file"):
        ArrayStream(tmp_path / "x.npz", y)
    np.save(tmp_path / "columns.npy", np.asfortranarray(x))
    with pytest.raises(ValueError, match="is stored column by column: expected rows one after another"):
        ArrayStream(tmp_path / "columns.npy", y)
    with pytest.raises(ValueError, match="y must hold numbers, got dtype <U"):
        ArrayStream(x, y.astype(str))
    with pytest.raises(ValueError, match="x is empty"):
        ArrayStream(x[:0], y[:0])


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_file_that_is_harmed_while_training(npy, harm):
    class Harm(Callback):
        def on_epoch_end(self, trainer, epoch):
            if len(trainer.history) == 2:
                content = npy[0].read_bytes()
                npy[0].unlink()
                if harm == "cut":
                    npy[0].write_bytes(content[:5000])

    trainer = make_trainer()
    error = {"cut": ValueError, "gone": FileNotFoundError}[harm]
    message = {
        "cut": r"x\.npy' ends before row \d+, but it had 1000 rows",
        "gone": "the file .* no longer exists",
    }
    with pytest.raises(error, match=message[harm]):
        trainer.fit(ArrayStream(*npy, block_rows=64), epochs=9, callbacks=Harm(), verbose=0)
    assert len(trainer.history) >= 2
    assert trainer.history.stop_reason == "error"
    x, y = make_rows()
    trainer.fit(x, y, epochs=1, verbose=0)


MEMORY = """
import pathlib, sys, tempfile, threading
import numpy as np, psutil, fastnn
from fastnn.data import ArrayStream

with tempfile.TemporaryDirectory() as folder:
    path, n_rows = pathlib.Path(folder) / "x.npy", 50_000
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, 1000)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(50):
            file.write(np.ones((1000, 1000), "f4").data)
    y = np.zeros(n_rows)
    trainer = fastnn.Trainer(fastnn.MLP([1000, 2, 1], seed=0), loss="mse", batch_size=500)
    trainer.fit(ArrayStream(np.ones((1000, 1000), "f4"), y[:1000]), epochs=1, verbose=0)
    process, most = psutil.Process(), []
    start = process.memory_info().rss

    class Watch(fastnn.Callback):
        def on_batch_end(self, trainer, batch):
            most.append(process.memory_info().rss)

    trainer.fit(ArrayStream(path, y, block_rows=1000), epochs=2, callbacks=Watch(), verbose=0)
    print((max(most) - start) / 2**20)
"""


def test_memory_stays_flat(run_python):
    pytest.importorskip("psutil")
    # Of a file of 190 MiB, four blocks of 4 MiB and what allocators keep.
    assert float(run_python(MEMORY).stdout) < 60
