"""What columns are recognised as."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pytest

from data.tables.examples import column, people
from fastnn.data import TableEncoder

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")


def test_kinds():
    encoder = TableEncoder().fit(people())
    assert {c["column"]: c["kind"] for c in encoder.describe()} == {
        "id": "ignore",
        "row": "ignore",
        "age": "number",
        "income": "number",
        "height": "number",
        "member": "number",
        "city": "category",
        "job": "category",
        "joined": "date",
        "seen": "date",
        "note": "text",
        "empty": "ignore",
        "same": "ignore",
    }
    notes = "\n".join(encoder.notes())
    assert "'id' is left out: it has a value of its own in nearly every row" in notes
    assert "'row' is left out: it numbers the rows" in notes
    assert "'empty' is left out: it has no values" in notes
    assert "'same' is left out: it says the same in every row" in notes
    assert column(encoder, "city")["categories"] == ["Bern", "Rome", None]
    assert sum(c["features"] for c in encoder.describe()) == len(encoder.feature_names)


def test_blank_text_is_no_value():
    encoder = TableEncoder().fit({"blank": ["", " "] * 10, "x": np.arange(20) % 7})
    assert encoder.notes() == ["the column 'blank' is left out: it has no values."]
    unknown = TableEncoder().fit({"word": ["unknown", "?"] * 10})
    assert unknown.feature_names == ["word=?", "word=unknown"]


def test_row_numbers_of_a_sample_have_gaps(rng):
    rows = np.sort(rng.permutation(500)[:350])
    encoder = TableEncoder().fit({"nr": rows, "x": rng.random(350), "passenger_id": rows**2, "sq": rows**2})
    assert [c["kind"] for c in encoder.describe()] == ["ignore", "number", "ignore", "number"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5", "?", "N/A", ""], "number"),
        (["1", "2", "XL"], "category"),
        (["007", "012"], "category"),
        ([True, False, None], "number"),
        (["true", "False"], "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal(2)], "number"),
        ([datetime.timedelta(hours=1), datetime.timedelta(hours=2)], "number"),
        ([datetime.time(12, 30), datetime.time(1, 2)], "number"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 5, 6)], "date"),
        (["2020-01-05", "2021-11-02"], "date"),
        (["2020-01-05T10:00:00+02:00", "2021-11-02T10:00:00Z"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["05/06/2020", "25/06/2020"], "date"),
        (["Mar 1 2000", "Apr 2 2001", "unknown"], "date"),
        (["May", "June"], "category"),
        (["12:30", "13:40"], "category"),
        ([(1, 2), (3, 4)], "ignore"),
        ([b"a", b"b"], "ignore"),
        ([{"a": 1}, {"a": 2}], "ignore"),
        ([1, "a", True, None], "category"),
    ],
)
def test_kind_of_objects(values, kind):
    frame = pd.DataFrame(
        {"x": pd.Series(values * 30, dtype=object), "z": np.random.default_rng(0).random(30 * len(values))}
    )
    encoder = TableEncoder().fit(frame)
    assert column(encoder, "x")["kind"] == kind
    assert np.isfinite(encoder.transform(frame)).all()


def test_a_few_values_that_are_no_numbers():
    values = [str(i % 30) for i in range(99)] + ["broken"]
    encoder = TableEncoder().fit({"x": values})
    assert column(encoder, "x")["kind"] == "number"
    assert encoder.notes() == ["the column 'x': values that are not numbers, taken as missing: 1."]
    assert encoder.feature_names == ["x", "x is missing"]
