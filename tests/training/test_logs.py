"""Logs: every line of JSON is whole, and TensorBoard's files hold what the history holds."""

import dataclasses
import json
import struct
import sys
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn.training.logs import JsonLog, TensorBoard, as_json, describe


def make(**options):
    net = fastnn.MLP([2, 8, 2], "tanh", seed=0)
    return fastnn.Trainer(net, **{"loss": "cross_entropy", "batch_size": 2, "seed": 0, **options})


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_setting_is_described(xor, tmp_path):
    options = {"lazy": False, "shuffle": False, "rate_factors": {0: 0.5}, "average": fastnn.EMA(0.9)}
    trainer, path = make(**options), tmp_path / "log.jsonl"
    facts = describe(trainer)
    names = [field.name for field in dataclasses.fields(trainer.settings)]
    assert [name for name in facts if name in names] == names
    assert {name: facts[name] for name in options} == {
        "lazy": False,
        "shuffle": False,
        "rate_factors": "{0: 0.5}",
        "average": "EMA(decay=0.9)",
    }
    trainer.fit(*xor, epochs=1, callbacks=JsonLog(path), verbose=0)
    begin = lines_of(path)[0]
    assert begin | facts == begin == json.loads(json.dumps(begin, allow_nan=False))


# --- JSON lines -------------------------------------------------------------------------------------


def test_lines_hold_what_the_history_holds(xor, tmp_path):
    path = tmp_path / "log.jsonl"
    trainer = make()
    history = trainer.fit(
        *xor, epochs=3, validation_data=xor, metrics="f1_macro", callbacks=JsonLog(path), verbose=0
    )
    begin, *epochs, end = lines_of(path)
    assert (begin["event"], end["event"]) == ("begin", "end")
    assert begin["sizes"] == [2, 8, 2]
    assert begin["rows"] == 4
    assert begin["fastnn"] == fastnn.__version__
    for line, epoch in zip(epochs, history.epochs, strict=True):
        assert line["event"] == "epoch"
        assert line["cost"] == epoch.cost
        assert line["val_metric"] == epoch.val_metric
        assert line["val_f1_macro"] == epoch.more["val_f1_macro"]
    assert (end["stop_reason"], end["epochs"]) == ("epochs", 3)
    assert all(first["time"] <= second["time"] for first, second in pairwise(epochs))


def test_a_file_is_appended_to_and_a_cut_off_line_ends(xor, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "epoch", "co')
    trainer = make()
    trainer.fit(*xor, epochs=1, callbacks=JsonLog(path), verbose=0)
    trainer.fit(*xor, epochs=1, callbacks=JsonLog(path), verbose=0)
    cut_off, *lines = path.read_text().splitlines()
    assert cut_off == '{"event": "epoch", "co'
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["begin", "epoch", "end"] * 2
    assert events[3]["epochs_done"] == 1
    assert events[4]["epoch"] == 2


def test_what_is_not_finite_is_null():
    values = {"a": np.nan, "b": [np.inf, 1], "c": np.float32(0.5), "d": np.bool_(True), "e": np.arange(2)}
    text = json.dumps(as_json(values), allow_nan=False)
    assert json.loads(text) == {"a": None, "b": [None, 1], "c": 0.5, "d": True, "e": [0, 1]}


def test_a_training_that_diverges_says_so(xor, tmp_path):
    path = tmp_path / "log.jsonl"
    trainer = fastnn.Trainer(fastnn.MLP([2, 8, 1], seed=0), loss="mse", optimizer=fastnn.SGD(lr=1e30))
    with pytest.raises(fastnn.DivergenceError):
        trainer.fit(*xor, epochs=9, callbacks=JsonLog(path), verbose=0)
    assert lines_of(path)[-1]["stop_reason"] == "diverged"


def test_a_folder_that_is_not_there(xor, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        make().fit(*xor, callbacks=JsonLog(tmp_path / "nowhere" / "log.jsonl"), verbose=0)


def test_lines_are_whole_after_a_kill(tmp_path, start):
    path = tmp_path / "log.jsonl"
    code = f"""if True:
        import numpy as np, fastnn
        from fastnn.training.logs import JsonLog
        trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", seed=0)
        trainer.fit(np.eye(2), [0, 1], epochs=10**7, callbacks=JsonLog({str(path)!r}), verbose=0)
    """
    process = start([sys.executable, "-c", code])
    while not path.exists() or path.stat().st_size < 5000:
        assert process.poll() is None, process.stderr.read()
    process.kill()
    process.wait()
    assert path.read_bytes().endswith(b"\n")
    assert [line["epoch"] for line in lines_of(path)[1:4]] == [1, 2, 3]


# A limit on the size of files is what a full disk is to a program.
FULL_DISK = """if True:
    import resource, signal, warnings, numpy as np, fastnn
    from fastnn.training.logs import JsonLog, TensorBoard
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = {log}
    trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", seed=0)
    trainer.fit(np.eye(2), [0, 1], epochs=1, verbose=0)  # compiled code is written, too
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    with warnings.catch_warnings(record=True) as caught:
        history = trainer.fit(np.eye(2), [0, 1], epochs=300, callbacks=log, verbose=0)
    print(len(history), [str(warning.message) for warning in caught])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_ends_the_log_and_not_the_training(tmp_path, run_python):
    path = tmp_path / "log.jsonl"
    shown = run_python(FULL_DISK.format(log=f"JsonLog({str(path)!r})")).stdout
    assert shown.startswith('301 ["log ')
    assert shown.count("training continues without it") == 1
    assert 7500 < path.stat().st_size <= 8192
    assert lines_of(path)[-1]["event"] == "epoch"


# --- TensorBoard ------------------------------------------------------------------------------------


def events_of(folder):
    """All events of a folder's files, in their order: TFRecords, read by their definition."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    record_writer = pytest.importorskip("tensorboardX.record_writer")
    events = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:
            header, (length, header_sum) = content[:8], struct.unpack("<QI", content[:12])
            data, (data_sum,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length :][:4])
            assert record_writer.masked_crc32c(header) == header_sum
            assert record_writer.masked_crc32c(data) == data_sum
            events.append(event_pb2.Event.FromString(data))
            content = content[16 + length :]
    return events


def values_of(events, tag):
    return {
        event.step: value.simple_value
        for event in events
        for value in event.summary.value
        if value.tag == tag
    }


def test_scalars_are_those_of_the_history(xor, tmp_path):
    pytest.importorskip("tensorboardX")
    history = make(schedule="cosine", l2=0.5).fit(
        *xor, epochs=4, validation_data=xor, metrics="f1_macro", record_norms=True,
        callbacks=TensorBoard(tmp_path / "run"), verbose=0,
    )  # fmt: skip
    events = events_of(tmp_path / "run")
    assert events[0].file_version == "brain.Event:2"
    columns = history.to_dict()
    for tag, name in {
        "cost": "cost",
        "penalty": "penalty",
        "accuracy": "metric",
        "val_cost": "val_cost",
        "val_accuracy": "val_metric",
        "lr": "lr",
        "samples_per_second": "samples_per_second",
        "val_f1_macro": "val_f1_macro",
        "layers.0.grad_norm": "layers.0.grad_norm",
    }.items():
        found = values_of(events, tag)
        assert list(found) == [1, 2, 3, 4], tag
        np.testing.assert_allclose(list(found.values()), columns[name], rtol=1e-6)
    tags = {value.tag for event in events for value in event.summary.value}
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= tags
    (text,) = (v for e in events for v in e.summary.value if v.tag.startswith("settings"))
    assert "|loss|Loss('cross_entropy')|" in text.tensor.string_val[0].decode()


def test_histograms_count_every_weight_and_change_nothing(xor, tmp_path):
    pytest.importorskip("tensorboardX")
    plain, watched = make(), make()
    plain.fit(*xor, epochs=3, verbose=0)
    watched.fit(*xor, epochs=3, callbacks=TensorBoard(tmp_path, True, *xor), verbose=0)
    np.testing.assert_array_equal(plain.net.params, watched.net.params)
    histograms = {
        (value.tag, event.step): value.histo
        for event in events_of(tmp_path)
        for value in event.summary.value
        if value.HasField("histo")
    }
    assert histograms["weights/layer_0", 1].num == 16
    assert histograms["bias_gradients/layer_1", 3].num == 2
    last = watched.net.weights[1]
    assert histograms["weights/layer_1", 3].min == pytest.approx(last.min())
    assert histograms["weights/layer_1", 3].sum == pytest.approx(last.sum(), abs=1e-5)
    _, gradient, _ = watched.gradient(*xor)
    assert histograms["weight_gradients/layer_0", 3].max == pytest.approx(gradient[0].max())


def test_a_training_that_goes_on_purges_what_it_repeats(xor, tmp_path):
    pytest.importorskip("tensorboardX")
    trainer = make()
    for _ in range(2):
        trainer.fit(*xor, epochs=2, callbacks=TensorBoard(tmp_path), verbose=0)
    assert len(list(tmp_path.iterdir())) == 2
    events = events_of(tmp_path)
    (start,) = (event for event in events if event.HasField("session_log"))
    assert (start.step, start.session_log.status) == (3, start.session_log.START)
    assert list(values_of(events, "cost")) == [1, 2, 3, 4]


def test_a_live_reader_sees_the_epochs(xor, tmp_path):
    pytest.importorskip("tensorboardX")
    seen = []

    class Reader(fastnn.Callback):
        def on_epoch_end(self, trainer, epoch):
            seen.append(len(values_of(events_of(tmp_path), "cost")))

    make().fit(*xor, epochs=1, callbacks=[TensorBoard(tmp_path), Reader()], verbose=0)
    assert seen == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_ends_tensorboards_file_and_not_the_training(tmp_path, run_python):
    pytest.importorskip("tensorboardX")
    shown = run_python(FULL_DISK.format(log=f"TensorBoard({str(tmp_path)!r})")).stdout
    assert shown.startswith('301 ["TensorBoard')
    assert shown.count("training continues without it") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": np.eye(2)}, "both x and y"),
        ({"x": np.eye(2), "y": [0, 1]}, "histograms=True"),
    ],
)
def test_bad_arguments_of_tensorboard(tmp_path, options, message):
    pytest.importorskip("tensorboardX")
    with pytest.raises(ValueError, match=message):
        TensorBoard(tmp_path, **options)
