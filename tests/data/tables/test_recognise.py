"""What columns are recognised as."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pytest

from data.tables.examples import again, column, people
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
        ([datetime.time(12, 30), datetime.time(1, 2)], "date"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 5, 6)], "date"),
        (["2020-01-05", "2021-11-02"], "date"),
        (["2020-01-05T10:00:00+02:00", "2021-11-02T10:00:00Z"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["05/06/2020", "25/06/2020"], "date"),
        (["Mar 1 2000", "Apr 2 2001", "unknown"], "date"),
        (["May", "June"], "category"),
        (["12:30", "13:40"], "date"),
        (["2:05 PM", "11:40 am"], "date"),
        ([*(f"{i % 24}:15" for i in range(60)), "now"], "date"),
        (["0:30", "25:10"], "number"),
        (["2 h 5 min", "45 min"], "number"),
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


def learnt(values, name="x", **options):
    """The column that is learnt of some values, and the encoder."""
    frame = pd.DataFrame({name: values, "other": np.arange(len(values)) % 7})
    encoder = TableEncoder(**options).fit(frame)
    return column(encoder, name), encoder


@pytest.mark.parametrize("big", [2**53, 2**63, 2**64, 10**19])
def test_identifiers_beyond_floats_stay_exact(big):
    few, many = [big + i % 3 for i in range(60)], [big + i for i in range(60)]
    writes = [list, lambda v: list(map(str, v)), lambda v: list(map(decimal.Decimal, v))]
    writes += [lambda v: pd.Series(v, dtype="uint64")] if big + 60 < 2**64 else []
    for write in writes:
        found, encoder = learnt(write(few))
        assert found["categories"] == [str(big + i) for i in range(3)]
        for again_write in writes:  # whatever the file holds them as
            frame = pd.DataFrame({"x": again_write(few), "other": 0})
            np.testing.assert_array_equal(encoder.transform(frame)[:, :3], np.eye(3)[np.arange(60) % 3])
        found, _ = learnt(write(many))
        assert (
            "it names rows" in found["reason"] or "a value of its own in nearly every row" in found["reason"]
        )


def test_large_quantities_are_numbers():
    found, _ = learnt([10**i for i in range(19)] * 3)
    assert found["kind"] == "number"
    found, _ = learnt([1e17, 2e17, 3e17] * 10)
    assert found["kind"] == "number"
    found, _ = learnt([2**60 + i % 5 for i in range(50)], columns={"x": "number"})
    assert found["kind"] == "number"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([f"${1000 * i:,}" for i in range(1, 60)], (".", ",", "$")),
        ([f"{i / 7:.2f} €".replace(".", ",") for i in range(60)], (",", "", "€")),
        ([f"{i % 9}.{i % 8}%" for i in range(60)], (".", "", "%")),
        ([f"{50 + i % 30}.5 kg" for i in range(60)], (".", "", "kg")),
    ],
)
def test_the_form_of_numbers_is_kept(values, form):
    found, encoder = learnt(values)
    assert (found["decimal"], found["thousands"], found["unit"]) == form
    assert "written as" in encoder.describe()[0]["encoding"]
    twin = again(encoder)
    rows = pd.DataFrame({"x": values[:1], "other": [0]})  # a row alone shows no form
    full = pd.DataFrame({"x": values, "other": np.arange(len(values)) % 7})
    np.testing.assert_array_equal(twin.transform(rows)[:, 0], encoder.transform(full)[:1, 0])
    strange = pd.DataFrame({"x": ["5 lb"], "other": [0]})
    twin.transform(strange)
    assert twin.unread == {"x": 1}


def test_numbers_in_dress_are_those_without():
    values = np.random.default_rng(0).uniform(1, 90000, 200).round(2)
    plain = TableEncoder().fit({"x": values}).transform({"x": values})
    for write in (
        lambda v: f"${v:,.2f}",
        lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")) + " €",
        lambda v: f"{v:,.2f}".replace(",", "'"),
        lambda v: f"{v:,.2f} kg".replace(",", "\u202f"),
        lambda v: f"{v:.8E}".replace(".", ","),
    ):
        texts = {"x": [write(value) for value in values]}
        np.testing.assert_allclose(TableEncoder().fit(texts).transform(texts), plain, rtol=1e-6)


def test_other_columns_show_the_decimal_sign():
    unsure, shown = [f"{i}.{i}00" for i in range(1, 9)] * 3, [f"{i},5" for i in range(8)] * 3
    encoder = TableEncoder().fit({"x": unsure, "y": shown})
    assert column(encoder, "x")["decimal"] == ","
    assert "the column 'x': '1.100' is read as 1100: '.' groups thousands." in encoder.notes()
    assert column(TableEncoder().fit({"x": unsure, "y": range(24)}), "x")["decimal"] == "."


def test_what_cannot_be_compared_is_said():
    units = [f"{i % 30} kg" if i % 3 else f"{i % 20} lb" for i in range(80)]
    found, encoder = learnt(units)
    assert found["kind"] == "category"
    assert "numbers in several units ('kg', 'lb'), which are not compared" in " ".join(encoder.notes())
    days = [f"{i % 28 + 1:02}/01/2024" if i % 2 else f"01/{i % 28 + 1:02}/2024" for i in range(200)]
    found, encoder = learnt(days)
    assert "dates with the day before the month, and others behind it" in " ".join(encoder.notes())


@pytest.mark.parametrize(
    ("write", "note"),
    [
        (lambda i: f"{i % 90 + 90}/{i % 40 + 60}", "several numbers in each text, such as '90/60'"),
        (lambda i: f"{i % 9} x {i % 30} x 2", "several numbers in each text"),
        (lambda i: f"{i / 4 - 20:.2f}, {i / 7:.2f}", "several numbers in each text"),
        (lambda i: "tbd" if i % 9 == 0 else f"{i % 50 / 4} kg", "numbers beside 'tbd': replace such text"),
        (lambda i: f"<{i % 2 + 1}" if i % 9 == 0 else f"{i % 50 / 4 + 2}", "numbers beside '<1', '<2'"),
        (
            lambda i: "never" if i % 9 == 0 else f"2020-{i % 12 + 1:02}-{i % 28 + 1:02}",
            "dates beside 'never'",
        ),
        (lambda i: f"{i % 8}:{i % 60:02}:{i % 6}0", "read as times of day"),
        (lambda i: f"{i % 8}:{i % 60:02}:{i % 6}0 AM", ""),
        (lambda i: f"{i % 22}:{i % 60:02}:{i % 6}0", ""),
        (lambda i: "3+" if i % 9 == 0 else str(i % 3), ""),
        (lambda i: f"{i % 3}.{i % 9}.{i % 7}", ""),
        (lambda i: "red" if i % 9 == 0 else f"code {i % 30}", ""),
    ],
)
def test_what_a_column_seems_to_hold_is_said(write, note):
    _, encoder = learnt([write(i) for i in range(200)])
    told = " ".join(text for text in encoder.notes() if "rare values" not in text)
    assert note in told if note else told == ""


def test_merged_cells_do_not_name_rows():
    _, encoder = learnt([f"group {i}" if i % 20 == 0 else None for i in range(200)])
    assert "left out: it is empty in most rows" in " ".join(encoder.notes())


@pytest.mark.parametrize(
    "values",
    [
        [f"555 {100 + i} {900 - i}" for i in range(60)],
        [f"+49{1701234567 + i * 7}" for i in range(60)],
        [f"{i:05}" for i in range(60)],
        [f"1.{i}.{i % 7}" for i in range(60)],
        [f"192.168.{100 + i}.{200 - i}" for i in range(60)],
        [f"AB-{i}" for i in range(60)],
        [f"{i % 9 + 1}/10" for i in range(60)],
    ],
)
def test_names_of_digits_are_no_numbers(values):
    assert learnt(values)[0]["kind"] in ("category", "ignore")


@pytest.mark.parametrize(
    ("name", "values", "seconds"),
    [
        ("x", ["0:30:00", "25:10:00"], [1800, 90600]),
        ("duration", ["0:30:00", "1:10:00"], [1800, 4200]),
        ("x", ["59:30", "1:02:03"], [3570, 3723]),
        ("x", ["40:30", "38:15"], [145800, 137700]),
        ("x", ["2 h 5 min", "45 min"], [7500, 2700]),
        ("x", ["PT1H", "PT90S"], [3600, 90]),
        ("x", [datetime.timedelta(hours=30), datetime.timedelta(0)], [108000, 0]),
    ],
)
def test_durations(name, values, seconds):
    found, encoder = learnt(values * 20, name)
    assert found["kind"] == "number"
    assert found["duration"]
    assert found["center"] == pytest.approx(np.median(seconds * 20))
    new = pd.DataFrame({name: pd.to_timedelta(seconds, unit="s"), "other": [0, 0]})
    old = pd.DataFrame({name: values, "other": [0, 0]})
    np.testing.assert_array_equal(again(encoder).transform(new), encoder.transform(old))


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("created_at", [1_600_000_000 + i * 86400 for i in range(40)], "date"),
        ("ts", [(1_600_000_000 + i * 86400) * 1000 for i in range(40)], "date"),
        ("eventTime", [1.6e9 + i * 0.5 for i in range(40)], "date"),
        ("x", [20240101 + i for i in range(28)], "date"),
        ("date", [20240101, 20240102], "date"),
        ("x", [20240101, 20240102], "number"),
        ("x", [20240101 + i for i in range(60)], "ignore"),  # not all are days: they count rows
        ("lifetime", [1_600_000_000 + i * i for i in range(40)], "number"),
        ("time", [float(i) for i in range(0, 400, 10)], "number"),
    ],
)
def test_numbers_that_count_time(name, values, kind):
    frames = [values, [str(value) for value in values]]
    for given in frames:
        found, encoder = learnt(given, name)
        assert found["kind"] == kind
        twin = again(encoder)
        for other in frames:
            frame = pd.DataFrame({name: other, "other": np.arange(len(values)) % 7})
            np.testing.assert_array_equal(twin.transform(frame), encoder.transform(frame))


def test_numbers_that_may_count_time_are_pointed_out():
    _, encoder = learnt([1_600_000_000 + (i * 1_370_003) % 5_000_000 for i in range(40)])
    (note,) = encoder.notes()
    assert note == (
        "the column 'x': its numbers could be times from 2020-09-13 to 2020-11-07, in seconds since 1970: "
        "make it a date if they are."
    )
