"""Files of tables in pieces: how many are open, and what is damaged."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from data.streams.examples import Plain, Words, labelled, make_table, write_table
from fastnn import Callback
from fastnn.data import TableStream


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
        with pytest.raises(
            ValueError, match=r"1\.parquet' is cut short, damaged or not a valid Parquet file"
        ):
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
    with pytest.raises(ValueError, match="column 'label' holds 'yes', which is not a number"):
        TableStream(tmp_path / "table" / "0.parquet", "label", encoder=Plain()).load()


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
