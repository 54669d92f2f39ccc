"""Arguments of pictures: columns of one output are vectors, labels become numbers of classes."""

import numpy as np
import pytest

from fastnn.plots.arguments import check_labels, check_recorded, check_vector, class_numbers


@pytest.mark.parametrize("check", [check_vector, check_labels])
def test_one_column_is_a_vector(check):
    assert check("y", [[1], [2]]).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"y must have shape \(n,\).*got \(2, 2\)"):
        check("y", np.eye(2))
    with pytest.raises(ValueError, match="y is empty"):
        check("y", [])


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (["b", "a"], ["a", "b"], [1, 0]),
        ([0, 1], ["a", "b"], [0, 1]),
        ([7, 3], [3, 7], [1, 0]),  # labels come before their numbers
        ([True, False], ["a", "b"], [1, 0]),
    ],
)
def test_numbers_of_classes(labels, classes, numbers):
    assert class_numbers("y", np.array(labels), classes).tolist() == numbers


@pytest.mark.parametrize("labels", [["c"], [2], [-1], [0.5]])
def test_labels_that_are_no_class(labels):
    with pytest.raises(ValueError, match=r"y holds .*, which is not one of the 2 classes"):
        class_numbers("y", np.array(labels), ["a", "b"])


def test_a_recorder_without_epochs():
    check_recorded([0])
    with pytest.raises(ValueError, match="has recorded nothing"):
        check_recorded([])
