"""Data larger than memory: the bits of training in memory, every row once, errors that say what is wrong."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import EMA, SWA, Callback, Checkpoint, EarlyStopping
from fastnn.data import ArrayStream, Stream, TableStream
from fastnn.data.streams.stream import read_ahead

N_ROWS, N_FEATURES = 1000, 5


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn-reader"]


def make_rows(n_rows=N_ROWS, kind="class"):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n_rows, N_FEATURES)).astype("f4")
    if kind == "class":
        return x, (x[:, 0] + 0.3 * rng.standard_normal(n_rows) > 0.5).astype(np.int64)
    return x, (x @ rng.standard_normal((N_FEATURES, 2)) + 3).astype("f4")


@pytest.fixture
def npy(tmp_path):
    x, y = make_rows()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    return tmp_path / "x.npy", tmp_path / "y.npy"


def make_trainer(n_out=2, **options):
    loss = {2: "cross_entropy", 1: "binary_cross_entropy"}.get(n_out, "mse")
    if "loss" in options:
        loss = options.pop("loss")
    dtype = options.pop("dtype", "float32")
    net = fastnn.MLP([N_FEATURES, 8, n_out], dropout=0.1, dtype=dtype, seed=0)
    return fastnn.Trainer(net, loss=loss, **{"batch_size": 16, "seed": 3} | options)


def figures(trainer):
    table = trainer.history.to_dict()
    return {name: column for name, column in table.items() if name not in ("seconds", "samples_per_second")}


# --- training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 3, "average": EMA(0.9), "optimizer": "nadam"}], ids=str
)
def test_unshuffled_it_is_training_in_memory_to_the_bit(dtype, weighted, options):
    x, y = make_rows()
    weights = {"sample_weight": np.random.default_rng(0).uniform(0, 2, N_ROWS)} if weighted else {}
    ref, comp = (make_trainer(shuffle=False, dtype=dtype, schedule="cosine", **options) for _ in range(2))
    held_out = x[:100], y[:100]
    ref.fit(x, y, epochs=3, validation_data=held_out, verbose=0, **weights)
    stream = ArrayStream(x, y, block_rows=100, dtype=dtype, **weights)
    comp.fit(stream, epochs=3, validation_data=held_out, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    for name, column in figures(ref).items():
        np.testing.assert_allclose(figures(comp)[name], column, rtol=1e-13, err_msg=name)
    assert comp.n_rows == N_ROWS


def test_figures_of_a_regression(dtype):
    x, y = make_rows(kind="values")
    weights = np.random.default_rng(0).uniform(0, 2, N_ROWS)
    ref, comp = (make_trainer(2, loss="mse", shuffle=False, dtype=dtype) for _ in range(2))
    stream = ArrayStream(x, y, sample_weight=weights, block_rows=100, dtype=dtype)
    ref.fit(x, y, epochs=3, sample_weight=weights, validation_data=(x, y, weights), verbose=0)
    comp.fit(stream, epochs=3, validation_data=stream, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    for name, column in figures(ref).items():  # the spread comes of running sums
        np.testing.assert_allclose(figures(comp)[name], column, rtol=1e-5, err_msg=name)
    by_block, at_once = comp.evaluate(stream), comp.evaluate(x, y, sample_weight=weights)
    assert by_block == pytest.approx(at_once, rel=1e-6)


def test_shuffled_it_learns_and_threads_and_pauses_change_nothing(npy):
    class Slow(ArrayStream):
        def _block(self, *args):
            time.sleep(0.002 * (int(time.time() * 1e4) % 3))
            return super()._block(*args)

    trainers = []
    for kind, n_threads in ((ArrayStream, 1), (ArrayStream, 2), (Slow, 1)):
        trainers.append(make_trainer(n_threads=n_threads, optimizer=fastnn.Adam(lr=0.02)))
        trainers[-1].fit(kind(*npy, block_rows=64), epochs=4, verbose=0)
        np.testing.assert_array_equal(trainers[-1].net.params, trainers[0].net.params)
        assert figures(trainers[-1]) == figures(trainers[0])
    assert trainers[0].history.epochs[-1].metric > 0.85
    other = make_trainer(seed=4)
    other.fit(ArrayStream(*npy, block_rows=64), epochs=4, verbose=0)
    assert (other.net.params != trainers[0].net.params).any()


def test_class_weights():
    x, y = make_rows()
    for weight in ("balanced", {1: 3.0}):
        ref, comp = (make_trainer(shuffle=False, class_weight=weight) for _ in range(2))
        ref.fit(x, y, epochs=2, verbose=0)
        comp.fit(ArrayStream(x, y, block_rows=100), epochs=2, verbose=0)
        np.testing.assert_array_equal(comp.net.params, ref.net.params)
    np.testing.assert_array_equal(ArrayStream(x, y, block_rows=100).count_labels(), np.bincount(y))
    with pytest.raises(
        ValueError, match=r"class_weight='balanced' needs .* Counting.count_labels\(\) does not"
    ):
        make_trainer(class_weight="balanced").fit(Counting(), verbose=0)


def test_metrics_norms_early_stopping_and_averages(npy):
    x, y = make_rows()
    stream, held_out = ArrayStream(*npy, block_rows=100), ArrayStream(x[:300], y[:300], block_rows=70)
    options = {"metrics": ["accuracy"], "early_stopping": EarlyStopping(patience=2), "record_norms": True}
    tables = []
    for validation in (held_out, (x[:300], y[:300])):
        trainer = make_trainer(average=SWA(3), optimizer=fastnn.Adam(lr=0.05))
        trainer.fit(stream, epochs=30, validation_data=validation, verbose=0, **options)
        tables.append(figures(trainer))
        assert trainer.history.stop_reason == "early stopping"
    assert tables[0]["val_accuracy"] == tables[0]["val_metric"]
    assert tables[0]["layers.0.grad_norm"] == tables[1]["layers.0.grad_norm"]
    assert tables[0]["val_accuracy"] == tables[1]["val_accuracy"]
    with pytest.raises(
        ValueError, match="metrics need validation_data where the rows to train on are a stream"
    ):
        make_trainer().fit(stream, metrics="accuracy", verbose=0)


def test_a_callback_sees_every_batch_sets_the_rate_and_stops(npy):
    class Watch(Callback):
        def __init__(self):
            self.rows, self.lrs = [], []

        def on_batch_end(self, trainer, batch):
            self.rows.append(batch.n_rows)
            self.lrs.append(batch.lr)
            if len(self.rows) == 10:
                trainer.lr = 0.5
            if len(self.rows) == 90:
                trainer.stop("enough")

    watch, trainer = Watch(), make_trainer()
    history = trainer.fit(ArrayStream(*npy, block_rows=64), epochs=9, callbacks=watch, verbose=0)
    per_epoch = [16] * 62 + [8]
    assert watch.rows == (per_epoch * 2)[:90]
    assert watch.lrs[9] != 0.5 == watch.lrs[10]
    assert (history.stop_reason, len(history)) == ("enough", 1)
    trainer.fit(ArrayStream(*npy, block_rows=64), epochs=1, verbose=0)  # goes on
    assert len(trainer.history) == 2


# --- checkpoints ----------------------------------------------------------------------------------------


class CrashError(Exception):
    pass


class CrashAfter(Callback):
    def __init__(self, n_batches):
        self.n_left = n_batches

    def on_batch_end(self, trainer, batch):
        self.n_left -= 1
        if self.n_left == 0:
            raise CrashError


def train(stream, epochs=4, n_out=2, **options):
    """A trainer that has all there is to remember."""
    loss = {} if n_out == 2 else {"loss": "mse"}
    trainer = make_trainer(2, average=EMA(0.9), accumulate=2, optimizer="nadam", n_threads=1, **loss)
    trainer.fit(stream, epochs=epochs, verbose=0, **options)
    return trainer


@pytest.mark.parametrize("kind", ["class", "values"])
def test_resumed_in_the_middle_of_an_epoch(tmp_path, kind):
    x, y = make_rows(kind=kind)
    stream = ArrayStream(x, y, block_rows=96).split(test=0.1).train
    options = {"n_out": 2 if kind == "class" else 0, "record_norms": True}
    ref = train(stream, **options)
    rule = Checkpoint(tmp_path, every_steps=5)
    for n_batches in (3, 13, 6, 1, 70, 41):  # within blocks, at their ends, within epochs
        with pytest.raises(CrashError):
            train(stream, checkpoint=rule, callbacks=CrashAfter(n_batches), **options)
    comp = train(stream, checkpoint=rule, **options)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    assert figures(comp) == figures(ref)


def test_resuming_reads_nothing_that_lies_before(tmp_path, npy):
    read = []

    class Told(ArrayStream):
        def blocks(self, seed=None, first=0, multiple=1):
            read.append(first)
            return super().blocks(seed, first, multiple)

    stream = Told(*npy, block_rows=96)
    with pytest.raises(CrashError):
        train(stream, checkpoint=Checkpoint(tmp_path, every_steps=5), callbacks=CrashAfter(42))
    train(stream, 1, checkpoint=Checkpoint(tmp_path, every_steps=5))
    assert read == [0, 576]  # of 40 batches of 16 rows 576 rows fill blocks


def test_other_data_is_refused(tmp_path, npy):
    x, y = make_rows()
    with pytest.raises(CrashError):
        train(ArrayStream(*npy), checkpoint=Checkpoint(tmp_path, every_steps=5), callbacks=CrashAfter(20))
    train(ArrayStream(*npy), 1, checkpoint=Checkpoint(tmp_path / "2"))
    for other in (ArrayStream(x + 1, y), ArrayStream(x, y, block_rows=50)):
        with pytest.raises(ValueError, match="are of another training: data was"):
            train(other, checkpoint=Checkpoint(tmp_path))


KILLED = """
import os, random, signal, sys, time
from fastnn import Callback, Checkpoint
from data.streams.test_streams import ArrayStream, make_rows, train

class Begin(Callback):
    def on_fit_begin(self, trainer):
        os.write(pipe, b"!")

folder, random = sys.argv[1], random.Random(0)
stream = ArrayStream(*make_rows(), block_rows=96)
train(stream, 1)  # loads the compiled code, once for all
for n_killed in range(13):
    ready, pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            rule = Checkpoint(folder, every_steps=7)
            train(stream, 100, checkpoint=rule, callbacks=Begin()).net.save(folder + ".model")
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    os.close(pipe)
    os.read(ready, 1)
    os.close(ready)
    if n_killed < 12:
        time.sleep(random.uniform(0.0, 0.1))
        os.kill(pid, signal.SIGKILL)
    ended = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(ended):
        print(n_killed)
        sys.exit(os.waitstatus_to_exitcode(ended))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_moment_and_started_again(tmp_path, start):
    folder = tmp_path / "run"
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(fastnn.__file__).parents[1])])
    process = start([sys.executable, "-c", KILLED, str(folder)], env={**os.environ, "PYTHONPATH": path})
    out, err = process.communicate(timeout=120)
    errors = [line for line in err.splitlines() if "fastnn: compiling" not in line]
    assert (process.returncode, errors) == (0, [])
    assert int(out) >= 3
    ref = train(ArrayStream(*make_rows(), block_rows=96), 100)
    np.testing.assert_array_equal(fastnn.load(f"{folder}.model").params, ref.net.params)


# --- streams of one's own -------------------------------------------------------------------------------


class Counting(Stream):
    """Rows that are counted; blocks of as many batches as there are to be."""

    n_rows, n_features = 100, N_FEATURES

    def __init__(self, sizes=(32, 48, 20)):
        self.sizes = sizes

    def blocks(self, seed, first=0, multiple=1):
        begin = 0
        for size in self.sizes:
            if begin >= first:
                rows = np.arange(begin, begin + size)
                yield np.repeat(rows[:, np.newaxis] / 100, N_FEATURES, axis=1), rows % 2
            begin += size


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((30, 50, 20), "a block of the stream ends at row 30: expected a multiple of 16 rows"),
        ((32, 48, 10), "the stream gave 90 rows in an epoch, but its n_rows is 100"),
        ((64, 48, 10), "the stream gave 112 or more rows in an epoch, but its n_rows is 100"),
        ((32, 0, 68), "x of the block from row 32 on is empty"),
    ],
)
def test_streams_of_ones_own(sizes, message):
    history = make_trainer().fit(Counting(), epochs=2, verbose=0)
    assert len(history) == 2
    with pytest.raises(ValueError, match=message):
        make_trainer().fit(Counting(sizes), epochs=2, verbose=0)


def test_an_error_in_the_reader_is_raised_and_the_trainer_goes_on(npy):
    class Broken(Counting):
        n_read = 0

        def blocks(self, seed, first=0, multiple=1):
            for block in super().blocks(seed, first, multiple):
                yield block
                self.n_read += 1
                if self.n_read == 4:
                    raise OSError("the disk is gone")

    trainer, ended = make_trainer(), []

    class End(Callback):
        def on_fit_end(self, trainer):
            ended.append(trainer.history.stop_reason)

    with pytest.raises(OSError, match=r"^the disk is gone$"):
        trainer.fit(Broken(), epochs=9, callbacks=End(), verbose=0)
    assert (len(trainer.history), ended) == (1, ["error"])
    assert np.isfinite(trainer.net.params).all()
    trainer.fit(ArrayStream(*npy), epochs=1, verbose=0)


def test_ctrl_c_ends_the_thread(npy):
    class Interrupt(Callback):
        def on_epoch_end(self, trainer, epoch):
            signal.raise_signal(signal.SIGINT)

    trainer = make_trainer()
    with pytest.warns(UserWarning, match="interrupted"):
        trainer.fit(ArrayStream(*npy, block_rows=64), epochs=9, callbacks=Interrupt(), verbose=0)
    assert trainer.history.stop_reason == "interrupted"


def test_the_reader_is_no_further_ahead_than_it_may_be():
    made = []

    def items():
        for k in range(10):
            made.append(k)
            yield k

    ahead = read_ahead(items(), n_ahead=2)
    assert made == []  # no thread before the first is asked for
    for k in range(3):
        assert next(ahead) == k
        time.sleep(0.05)
        assert len(made) <= k + 3
    ahead.close()
    assert len(made) < 10


@pytest.mark.parametrize(
    ("options", "trainer", "message"),
    [
        ({"y": np.zeros(5)}, {}, "x is a stream, which brings its own y: expected y=None"),
        ({"sample_weight": np.ones(5)}, {}, "brings its own sample_weight"),
        ({"validation_fraction": 0.1}, {}, r"validation_fraction does not go with a stream, whose split\(\)"),
        ({}, {"optimizer": "lbfgs"}, "optimizer 'lbfgs' needs all rows at once, but x is a stream"),
        ({}, {"batch_size": None}, "batch_size=None takes all rows at once, but x is a stream"),
        ({"early_stopping": EarlyStopping()}, {}, "but there is no validation_data"),
    ],
)
def test_what_does_not_go_with_a_stream(npy, options, trainer, message):
    net = fastnn.MLP([N_FEATURES, 8, 2], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", **trainer)
    with pytest.raises(ValueError, match=message):
        trainer.fit(ArrayStream(*npy), verbose=0, **options)


def test_shapes_that_do_not_fit(npy):
    x, y = make_rows()
    for stream in (ArrayStream(x[:, :3], y),):
        with pytest.raises(ValueError, match="x has 3 features, but the network takes 5"):
            make_trainer().fit(stream, verbose=0)
        with pytest.raises(ValueError, match="validation_data has 3 features, but the network takes 5"):
            make_trainer().fit(ArrayStream(*npy), validation_data=stream, verbose=0)
        with pytest.raises(ValueError, match="x has 3 features"):
            make_trainer().evaluate(stream)
    with pytest.raises(TypeError, match="y is missing"):
        make_trainer().fit(x, verbose=0)


# --- order ----------------------------------------------------------------------------------------------


def numbered(n_rows, **options):
    """A stream whose rows are their numbers."""
    rows = np.arange(n_rows)
    return ArrayStream(rows[:, np.newaxis], rows, dtype="float64", **options)


def numbers(blocks):
    return [y for _, y, *_ in blocks]


@pytest.mark.parametrize("block_rows", [1, 7, 100, 5000])
@pytest.mark.parametrize("seed", [None, 0, 2**64 - 1])
def test_every_row_comes_once_an_epoch(block_rows, seed):
    stream = numbered(1003, block_rows=block_rows)
    for multiple in (1, 6):
        blocks = list(stream.blocks(seed, multiple=multiple))
        for x, y in blocks:
            np.testing.assert_array_equal(x[:, 0], y)
        assert all(len(y) % multiple == 0 for _, y in blocks[:-1])
        order = np.concatenate(numbers(blocks))
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
        if seed is None:
            np.testing.assert_array_equal(order, np.arange(1003))
        for first in (multiple, 6 * 57, 996):
            rest = np.concatenate(numbers(stream.blocks(seed, first, multiple)))
            np.testing.assert_array_equal(rest, order[first:])


def test_orders_are_those_of_their_seeds_and_mix_places():
    stream = numbered(100_000, block_rows=4096)
    first, again, other = (np.concatenate(numbers(stream.blocks(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.99
    blocks = numbers(stream.blocks(1))
    for block in blocks[:-1]:
        assert np.ptp(block) > 60_000
        assert len(np.unique(block // 256)) >= 16
        assert abs(np.corrcoef(np.arange(len(block)), block)[0, 1]) < 0.1
    assert abs(np.corrcoef(np.arange(100_000), first)[0, 1]) < 0.1
    # Sorted by class, every batch has rows of most of ten classes.
    batches = (first // 10_000)[: 100_000 // 64 * 64].reshape(-1, 64)
    assert np.median([len(np.unique(batch)) for batch in batches]) >= 7


def test_split(npy):
    stream = numbered(20_000, block_rows=1000)
    parts = stream.split(validation=0.05, test=0.1, seed=3)
    rows = [np.concatenate(numbers(part.blocks(0))) for part in parts]
    for part, of_part, share in zip(parts, rows, (0.85, 0.05, 0.1), strict=True):
        assert part.n_rows == len(of_part) == pytest.approx(20_000 * share, rel=0.1)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(20_000))
    assert abs(rows[2].mean() - 10_000) < 4 * 5800 / np.sqrt(2000)
    same, other = (stream.split(validation=0.05, test=0.1, seed=seed).test for seed in (3, 4))
    np.testing.assert_array_equal(np.sort(np.concatenate(numbers(same.blocks(1)))), np.sort(rows[2]))
    assert len(np.intersect1d(np.concatenate(numbers(other.blocks(None))), rows[2])) < 400
    # A part is split as the whole is, by numbers of its own.
    again = parts.train.split(test=0.2, seed=3)
    assert again.test.n_rows == pytest.approx(0.2 * parts.train.n_rows, rel=0.1)
    assert np.isin(np.concatenate(numbers(again.test.blocks(None))), rows[0]).all()
    assert again.validation is None
    with pytest.raises(ValueError, match=r"take 1\.1 of the rows: expected less than 1"):
        stream.split(validation=0.5, test=0.6)
    with pytest.raises(ValueError, match="of 5 rows, none fell to test"):
        numbered(5).split(test=0.001)


def test_sample_and_load():
    stream = numbered(20_000, block_rows=1000).split(test=0.3).train
    own = np.concatenate(numbers(stream.blocks(None)))
    for n in (1, 100, 5000, stream.n_rows, 10**6):
        rows, y = stream.sample(n)
        assert len(np.unique(y)) == len(y) == min(n, stream.n_rows)
        np.testing.assert_array_equal(rows[:, 0], y)
        assert np.isin(y, own).all()
        assert n < 100 or (np.ptp(y) > 15_000 and len(np.unique(y // 100)) > 30)
        x, y_loaded = stream.load(n)
        np.testing.assert_array_equal(y_loaded, y)
        assert x.dtype == np.float64
    assert (stream.sample(100, seed=1)[1] != stream.sample(100)[1]).any()
    np.testing.assert_array_equal(stream.load()[1], own)


def test_encoders_weights_and_what_is_stored(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 3), dtype=np.uint8)
    numbers_of = images[:, 0, 0] // 128
    stream = ArrayStream(
        images,
        numbers_of,
        sample_weight=np.arange(300),
        encoder=lambda rows: rows.reshape(len(rows), -1) / np.float32(255),
    )
    assert stream.n_features == 12
    x, y, weight = stream.load()
    np.testing.assert_array_equal(x, images.reshape(300, 12) / np.float32(255))
    np.testing.assert_array_equal(weight, np.arange(300))
    plain = ArrayStream(images, numbers_of)
    np.testing.assert_array_equal(plain.load()[0], images.reshape(300, 12).astype("f4"))
    assert plain.encoded(stream.encoder).n_features == 12
    stored = stream.store(tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["weight.npy", "x.npy", "y.npy"]
    x_stored, y_stored, weight_stored = stored.load()
    order = weight_stored.astype(int)
    assert (order != np.arange(300)).any()
    np.testing.assert_array_equal(x_stored, x[order])
    np.testing.assert_array_equal(y_stored, y[order])


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


# --- files ----------------------------------------------------------------------------------------------


def test_arrays_that_cannot_be_read(tmp_path, npy):
    x, y = make_rows()
    np.save(tmp_path / "short.npy", y[:-3])
    with pytest.raises(ValueError, match="x has 1000 rows and y has 997"):
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


def test_values_that_are_not_finite_are_named():
    x, y = make_rows()
    for wrong in ([17], [3, 999], [*range(10)]):
        bad = x.copy()
        bad[wrong, 2] = np.nan
        listed = f"row{'s' * (len(wrong) > 1)} {', '.join(map(str, wrong[:5]))}"
        trainer = make_trainer()
        with pytest.raises(ValueError, match=f"x has values that are NaN or infinite in {listed}"):
            trainer.fit(ArrayStream(bad, y), verbose=0)
    with pytest.raises(ValueError, match="y has values that are NaN or infinite in row 5"):
        make_trainer(2, loss="mse").fit(
            ArrayStream(x, np.where(np.arange(N_ROWS) == 5, np.inf, 0.0)), verbose=0
        )


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
        "gone": "there is no file .* any more",
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


# --- tables ---------------------------------------------------------------------------------------------


class Plain:
    """An encoder of the tests: a number, and a category by its letter."""

    kind = "table"
    feature_names = ("number", "letter")

    def transform(self, frame):
        letters = frame["letter"].astype(str).map({"a": 0.0, "b": 1.0, "c": 2.0}).fillna(-1.0)
        return np.column_stack([frame["number"].fillna(-1.0), letters]).astype("f4")

    def to_dict(self):
        return {"kind": "table"}


class Words:
    """A target of the tests."""

    def encode(self, y):
        return np.array([{"no": 0, "yes": 1}[word] for word in y])


def make_table(pyarrow, start, stop):
    rows = np.arange(start, stop)
    letters = [None if k % 11 == 0 else "abc"[k % 3] for k in rows]
    return pyarrow.table(
        {
            "number": rows.astype("f8"),
            "letter": letters,
            "unique": [f"row {k}" for k in rows],
            "label": np.where(rows % 4 == 0, "yes", "no"),
            "weight": rows / 100,
        }
    )


def write_table(table, path, rows_of_piece=60):
    pyarrow = pytest.importorskip("pyarrow")
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=rows_of_piece)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path, chunksize=rows_of_piece)
    else:
        pyarrow.csv.write_csv(table, path)


@pytest.fixture
def arrow():
    pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    for module in ("parquet", "feather", "csv", "dataset"):
        pytest.importorskip(f"pyarrow.{module}")
    return pyarrow


@pytest.fixture
def folder(arrow, tmp_path):
    """Three Parquet files of 200 rows each, in a folder and one below it."""
    made = tmp_path / "table"
    (made / "more").mkdir(parents=True)
    for k, name in enumerate(("0.parquet", "1.parquet", "more/2.parquet")):
        write_table(make_table(arrow, 200 * k, 200 * (k + 1)), made / name)
    (made / "_SUCCESS").write_text("")
    return made


def labelled(source, **options):
    options = {"encoder": Plain(), "target_encoder": Words(), "block_rows": 64} | options
    return TableStream(source, "label", **options)


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".csv"])
def test_rows_of_tables(arrow, tmp_path, ending):
    table = make_table(arrow, 0, 600)
    paths = [tmp_path / f"{k}{ending}" for k in range(2)]
    write_table(table.slice(0, 350), paths[0])
    write_table(table.slice(350), paths[1])
    stream = labelled(paths, sample_weight="weight")
    assert (stream.n_rows, stream.n_features) == (600, 2)
    ref = Plain().transform(table.to_pandas())
    for seed in (None, 0, 1):
        x, y, weight = (
            np.concatenate(parts) for parts in zip(*stream.blocks(seed, multiple=10), strict=True)
        )
        rows = x[:, 0].astype(int)
        np.testing.assert_array_equal(np.sort(rows), np.arange(600))
        np.testing.assert_array_equal(x, ref[rows])
        np.testing.assert_array_equal(y, rows % 4 == 0)
        np.testing.assert_allclose(weight, rows / 100)
        assert (seed is None) == (rows == np.arange(600)).all()
    rest = np.concatenate([x for x, *_ in stream.blocks(1, 320, 10)])
    np.testing.assert_array_equal(rest, x[320:])
    assert stream.count_labels().tolist() == [450, 150]


def test_no_more_pieces_are_open_than_may_be(folder):
    most = 0

    class Told(TableStream):
        def _read(self, source, *args):
            nonlocal most
            table = super()._read(source, *args)
            most = max(most, len(source))
            return table

    stream = Told(folder, "label", encoder=Plain(), target_encoder=Words(), block_rows=32, n_open=3)
    for seed in range(5):
        order = np.concatenate([x[:, 0] for x, _ in stream.blocks(seed)])
        assert abs(np.corrcoef(np.arange(600), order)[0, 1]) < 0.9
    assert 2 <= most <= 4


def test_a_table_from_files_to_a_trained_network(folder, arrow):
    stream = TableStream(folder, "label", block_rows=64)
    train, validation, test = stream.split(validation=0.1, test=0.1)
    rows, y = train.sample(50)
    assert rows.columns.tolist() == ["number", "letter", "unique", "weight"]
    assert rows["letter"].dtype == "category"  # says the same again and again
    assert rows["unique"].dtype != "category"
    assert set(y) == {"no", "yes"}
    train, validation, test = (part.encoded(Plain(), Words()) for part in (train, validation, test))
    net = fastnn.MLP([2, 4, 2], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", class_weight="balanced", seed=0)
    history = trainer.fit(train, epochs=2, validation_data=validation.load(), verbose=0)
    assert len(history) == 2
    x, y = test.load()
    assert trainer.evaluate(test) == pytest.approx(trainer.evaluate(x, y))
    files = arrow.dataset.dataset(folder, format="parquet")
    assert TableStream(files, "label").n_rows == 600
    np.testing.assert_array_equal(np.sort(train.store(folder / "out").load()[1]), np.sort(train.load()[1]))


def test_numbers_need_no_encoder(arrow, tmp_path):
    x = np.random.default_rng(0).standard_normal((200, 3))
    table = {"a": x[:, 0], "b": x[:, 1].round().astype(int), "c": x[:, 2] > 0, "y": x.sum(1)}
    write_table(arrow.table(table), tmp_path / "t.parquet")
    stream = TableStream(tmp_path / "t.parquet", "y", columns=["c", "a", "b"])
    ref = np.column_stack([table[name] for name in "cab"]).astype("f4")
    np.testing.assert_array_equal(stream.load()[0], ref)
    with pytest.raises(ValueError, match="y must hold class numbers"):
        stream.count_labels()


def test_tables_that_cannot_be_read(arrow, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' holds no file with one of \.parquet"):
        TableStream(tmp_path / "empty", "label")
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*none\.parquet'"):
        TableStream(tmp_path / "none.parquet", "label")
    with pytest.raises(ValueError, match=r"target must be one of .*, got 'lable'\. Did you mean 'label'"):
        TableStream(folder, "lable")
    with pytest.raises(ValueError, match="sample_weight must be one of"):
        TableStream(folder, "label", sample_weight="wait")
    with pytest.raises(ValueError, match="a column of columns must be one of"):
        TableStream(folder, "label", columns=["label"])
    content = (folder / "1.parquet").read_bytes()
    for n in (0, 10, len(content) // 2, len(content) - 1):
        (folder / "1.parquet").write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"1\.parquet' is cut short, damaged or no Parquet file"):
            TableStream(folder, "label")
    table = make_table(arrow, 0, 10)
    write_table(table.rename_columns(["number", "LETTER", "unique", "label", "weight"]), folder / "1.parquet")
    with pytest.raises(ValueError, match=r"has a column '(letter|LETTER)', but '.*' has none of that name"):
        TableStream(folder, "label")
    write_table(table.set_column(0, "number", [[str(k) for k in range(10)]]), folder / "1.parquet")
    message = r"column 'number' is double in '.*0\.parquet', but string in '.*1\.parquet'"
    with pytest.raises(ValueError, match=message):
        TableStream(folder, "label")
    write_table(table.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        TableStream(tmp_path / "none.parquet", "label")
    with pytest.raises(ValueError, match=r"has the ending '\.xls'"):
        TableStream(tmp_path / "t.xls", "label")
    with pytest.raises(ValueError, match=r"holds (string|dictionary)"):
        TableStream(tmp_path / "table" / "0.parquet", "weight").load()
    with pytest.raises(ValueError, match="column 'label' holds 'yes', which is no number"):
        TableStream(tmp_path / "table" / "0.parquet", "label", encoder=Plain()).load()


def test_missing_values_are_named(arrow, tmp_path):
    for k in range(2):
        table = make_table(arrow, 100 * k, 100 * (k + 1)).to_pandas()
        if k == 1:
            table.loc[7, "label"] = None
        write_table(arrow.Table.from_pandas(table), tmp_path / f"{k}.parquet")
    with pytest.raises(ValueError, match=r"column 'label' is missing in row 7 of '1\.parquet'"):
        labelled(tmp_path).load()
    stream = TableStream(tmp_path, "weight", columns=["number"])
    assert stream.n_rows == 200


@pytest.mark.parametrize("harm", ["cut", "gone", "other"])
def test_a_table_that_is_harmed_while_training(arrow, folder, harm):
    path = folder / "1.parquet"

    class Harm(Callback):
        def on_epoch_end(self, trainer, epoch):
            if len(trainer.history) == 2:
                content = path.read_bytes()
                path.unlink()
                if harm == "cut":
                    path.write_bytes(content[:500])
                elif harm == "other":
                    write_table(make_table(arrow, 0, 10), path)

    trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", seed=0)
    message = {"cut": "is cut short", "gone": "there is no file", "other": "has changed"}[harm]
    with pytest.raises(
        (ValueError, FileNotFoundError), match=rf"1\.parquet' .*{message}|{message} .*1\.parquet'"
    ):
        trainer.fit(labelled(folder), epochs=9, callbacks=Harm(), verbose=0)
    assert len(trainer.history) >= 2
    trainer.fit(labelled(folder / "0.parquet"), epochs=1, verbose=0)


def test_sparse_features_and_categories_that_differ_from_file_to_file(arrow, tmp_path):
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    letters = []
    for k in range(3):
        letters.append(rng.choice(list("abcdef"[: 3 + k]), 200))
        columns = {"letter": pandas.Categorical(letters[-1]), "y": 1.0 * (letters[-1] == "b")}
        if k == 2:
            columns["letter"] = letters[-1]
        pandas.DataFrame(columns).to_parquet(tmp_path / f"{k}.parquet", index=False)

    class Letters:
        feature_names = tuple("abcdef")

        def transform(self, frame):
            of_row = frame["letter"].astype(str).to_numpy(object)
            return sparse.csr_matrix((of_row[:, np.newaxis] == np.array(self.feature_names)).astype("f4"))

    stream = TableStream(tmp_path, "y", encoder=Letters(), block_rows=100)
    for seed in (None, 1):
        for x, y in stream.blocks(seed):
            np.testing.assert_array_equal(x.toarray()[:, 1], y)
    x, y = stream.load()
    np.testing.assert_array_equal(x.toarray().argmax(axis=1), [ord(c) - 97 for part in letters for c in part])
    ref, comp = (
        fastnn.Trainer(fastnn.MLP([6, 4, 1], seed=0), loss="mse", shuffle=False, seed=0) for _ in range(2)
    )
    options = {"multiple": 32}
    assert [len(y) for _, y in stream.blocks(**options)] == [128, 128, 128, 128, 88]
    ref.fit(x, y, epochs=2, verbose=0)
    comp.fit(stream, epochs=2, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    with pytest.raises(ValueError, match=r"store\(\) writes \.npy files, but the encoder gives sparse rows"):
        stream.store(tmp_path / "out")
