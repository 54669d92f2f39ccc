"""A run's files: what is missing or damaged is named in one sentence."""

import re

import pytest

from fastnn.plots.run_files import check_run_folder, columns_by_target, damage_in, read_json, read_test_rows


def test_folders_of_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'none': expected the folder of a run"):
        check_run_folder(tmp_path.relative_to(tmp_path) / "none")
    (tmp_path / "a.json").write_text("{}")
    check_run_folder(tmp_path, "a.json")
    with pytest.raises(FileNotFoundError, match=r"there is no b.json in .*: expected the folder of a finish"):
        check_run_folder(tmp_path, "a.json", "b.json")


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(ValueError, match=re.escape(f"{str(path)!r} is damaged: so it is.")), damage_in(path):
        raise TypeError("so it is.")


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"{", dict, "is damaged: Expecting property name"),
        (b"[]", dict, "is damaged: expected a JSON object."),
        (b"{}", list, "is damaged: expected a JSON array."),
        (b"\xff", dict, "is damaged: 'utf-8' codec can't decode"),
    ],
)
def test_json_files_that_are_damaged(tmp_path, content, kind, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json(path, kind)


def test_test_rows_by_target(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("row,truth,prediction\n3,a,b\n\n4,c,c\n")
    test = read_test_rows(path)
    assert test == {"row": ["3", "4"], "truth": ["a", "c"], "prediction": ["b", "c"]}
    assert columns_by_target(test) == {"": test}
    path.write_text("truth_u,prediction_u,truth_v,prediction_v\n1,2,3,4\n")
    assert columns_by_target(read_test_rows(path)) == {
        "u": {"truth": ["1"], "prediction": ["2"]},
        "v": {"truth": ["3"], "prediction": ["4"]},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it has no column truth, only none."),
        ("truth_u,prediction_v\n1,2\n", "it has no column prediction_u, only truth_u, prediction_v."),
        ("truth,prediction\n1\n", "its lines have different numbers of fields."),
        (f"truth,prediction\n{200_000 * 'a'},b\n", "field larger than field limit"),
    ],
)
def test_test_rows_that_are_damaged(tmp_path, content, message):
    path = tmp_path / "test.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"test.csv' is damaged: {re.escape(message)}"):
        read_test_rows(path)
