"""Columns of dates: formats, time zones, phases."""

from __future__ import annotations

import numpy as np
import pytest

from data.tables.examples import again, column
from fastnn.data import TableEncoder

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


def test_dates_by_hand():
    days = pd.date_range("2020-01-01", "2020-12-31", freq="6h")
    encoder = TableEncoder(dtype="float64").fit({"t": days})
    assert column(encoder, "t")["cycles"] == ["year", "month", "week", "day"]
    found = dict(
        zip(
            encoder.feature_names,
            encoder.transform({"t": [pd.Timestamp("2020-07-01 18:00")]})[0],
            strict=True,
        )
    )
    for cycle, part in {"year": 182 / 366, "month": 0, "week": 2 / 7, "day": 0.75}.items():
        assert found[f"t {cycle} sin"] == pytest.approx(np.sin(2 * np.pi * part), abs=1e-14)
        assert found[f"t {cycle} cos"] == pytest.approx(np.cos(2 * np.pi * part), abs=1e-14)
    middle = days[0] + (days[-1] - days[0]) / 2
    assert encoder.transform({"t": [middle]})[0, 0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("freq", "n", "cycles"),
    [
        ("D", 5, ["week"]),
        ("D", 400, ["year", "month", "week"]),
        ("MS", 50, ["year"]),
        ("YS", 50, []),
        ("h", 30, ["day"]),
        ("7D", 100, ["year", "month"]),
    ],
)
def test_cycles_that_are_needed(freq, n, cycles):
    encoder = TableEncoder().fit({"t": pd.date_range("2020-01-01", periods=n, freq=freq)})
    assert column(encoder, "t")["cycles"] == cycles


def test_missing_dates_stand_in_the_middle():
    days = [*pd.date_range("2020-01-01", periods=300).strftime("%d.%m.%Y"), None, "?"]
    encoder = TableEncoder().fit({"t": days})
    assert encoder.feature_names[:2] == ["t", "t is missing"]
    x = encoder.transform({"t": days})
    np.testing.assert_array_equal(x[-2:], np.eye(1, x.shape[1], 1).repeat(2, 0))
    assert np.array_equal(x[:-2, 1], np.zeros(300))


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t,
        lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
        lambda t: t.tz_localize("UTC"),
        lambda t: t.astype("datetime64[s]"),
        lambda t: t.to_period("s"),
        lambda t: pd.Categorical(t),
        lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        lambda t: pd.Series(t).astype(pd.ArrowDtype(pa.timestamp("ms"))),
        lambda t: list(t.to_pydatetime()),
    ],
)
def test_dates_written_in_other_ways(write):
    times = pd.date_range("2020-01-01", periods=200, freq="37h")
    twin = TableEncoder().fit({"t": times})
    np.testing.assert_array_equal(
        twin.transform(pd.DataFrame({"t": write(times)})), twin.transform({"t": times})
    )
    own = TableEncoder().fit(pd.DataFrame({"t": write(times)}))
    np.testing.assert_array_equal(
        own.transform(pd.DataFrame({"t": write(times)})), twin.transform({"t": times})
    )


def test_clocks_of_a_time_zone():
    noon = pd.date_range("2020-01-01 12:00", periods=200, tz="Asia/Tokyo")
    encoder = TableEncoder().fit({"t": noon, "z": np.arange(200) % 3})
    assert column(encoder, "t")["zone"] == "Asia/Tokyo"
    rows = {"t": noon.tz_convert("UTC"), "z": np.arange(200) % 3}
    np.testing.assert_array_equal(again(encoder).transform(rows), encoder.transform({**rows, "t": noon}))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (np.arange(1990, 2020), "%Y"),
        (20200101 + np.arange(28), "%Y%m%d"),
        (1_600_000_000 + np.arange(30) * 86400, "s"),
        ((1_600_000_000 + np.arange(30) * 86400) * 1000, "ms"),
        (1.6e9 + np.arange(30.0), "s"),
    ],
)
def test_numbers_that_are_dates(values, form):
    encoder = TableEncoder(columns={"t": "date"}).fit({"t": values})
    assert column(encoder, "t")["form"] == form
    with_gap = pd.DataFrame({"t": [None, *values.tolist()]})
    x = encoder.transform(with_gap)
    assert np.isfinite(x).all()
    assert np.all(np.diff(x[1:, 0]) > 0)
    assert encoder.unread == {}


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (lambda t, i: t.strftime("%Y-%m-%d" if i % 2 else "%m/%d/%Y"), "ISO8601 | %m/%d/%Y"),
        (lambda t, i: t.strftime("%Y-%m-%d" if i % 2 else "%d/%m/%Y"), "ISO8601 | %d/%m/%Y"),
        (lambda t, i: t if i % 2 else t.strftime("%d.%m.%Y"), "ISO8601 | %d.%m.%Y"),
        (lambda t, i: t.strftime("%d %B %Y" if i % 2 else "%b %d, %Y"), "%d %B %Y | %b %d, %Y"),
        (
            lambda t, i: t.strftime(("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y")[i % 3]),
            "ISO8601 | %d.%m.%Y | %m/%d/%Y",
        ),
        (lambda t, i: t.strftime("%d-%b-%y").upper(), "%d-%b-%y"),
        (lambda t, i: t.strftime("%d.%m.%y"), "%d.%m.%y"),
        (lambda t, i: t.strftime("%m/%d/%y"), "%m/%d/%y"),
        (lambda t, i: t.strftime("%m/%d/%Y %I:%M %p"), "%m/%d/%Y %I:%M %p"),
        (lambda t, i: t.strftime("%d/%m/%Y %H:%M:%S"), "%d/%m/%Y %H:%M:%S"),
        (lambda t, i: t.strftime("%Y%m%d"), "%Y%m%d"),
        (lambda t, i: int(t.strftime("%Y%m%d")), "%Y%m%d"),
        (lambda t, i: int(t.strftime("%Y%m%d%H%M%S")), "%Y%m%d%H%M%S"),
    ],
)
def test_forms_of_dates(write, form):
    days = pd.date_range("2023-01-01", periods=200)
    texts = pd.Series([write(t, i) for i, t in enumerate(days)], dtype=object).infer_objects()
    encoder = TableEncoder().fit(pd.DataFrame({"t": texts}))
    found = set(column(encoder, "t")["form"].split(" | "))
    assert found == set(form.split(" | "))
    expected = TableEncoder().fit({"t": days}).transform({"t": days})
    np.testing.assert_array_equal(again(encoder).transform(pd.DataFrame({"t": texts})), expected)
    (note,) = encoder.notes()
    assert note.startswith("the column 't': its dates are written as ")
    assert note.count("31") == note.count("24") == len(found)


@pytest.mark.parametrize(
    "form", ["%b %Y", "%m/%Y", "%d/%b/%Y:%H:%M:%S +0000", "%d.%m.%Y, %H:%M Uhr", "%Y年%m月%d日"]
)
def test_forms_of_databases_logs_and_spreadsheets(form):
    hours = pd.date_range("2019-01-01", periods=200, freq="8D5h17min")
    encoder = TableEncoder().fit({"t": hours.strftime(form)})
    days = {"%b %Y": "M", "%m/%Y": "M", "%Y年%m月%d日": "D"}.get(form)
    expected = hours.to_period(days).to_timestamp() if days else hours
    if not days:
        expected = expected.floor("s" if "%S" in form else "min")
    assert column(encoder, "t")["kind"] == "date"
    x = again(encoder).transform({"t": hours.strftime(form)})
    np.testing.assert_array_equal(x, TableEncoder().fit({"t": expected}).transform({"t": expected}))


def test_four_digits_are_no_year_before_1000():
    values = [f"{9 + i % 12:02d}{i % 6}5" for i in range(60)]
    assert column(TableEncoder().fit({"t": values, "n": range(60)}), "t")["kind"] == "category"


def test_day_and_month_are_told_apart_by_the_whole_column():
    days = pd.date_range("2020-01-01", "2023-12-31")
    early = days[days.day <= 12]
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        texts = [*early.strftime(form), pd.Timestamp("2023-05-25").strftime(form)]
        encoder = TableEncoder().fit({"t": texts})
        assert column(encoder, "t")["form"] == form
        assert encoder.transform({"t": texts}).shape[0] == len(texts)
        assert encoder.unread == {}
    for form, found in (("%d/%m/%Y", "%m/%d/%Y"), ("%d.%m.%Y", "%d.%m.%Y")):  # nothing shows it
        assert column(TableEncoder().fit({"t": early.strftime(form)}), "t")["form"] == found


@pytest.mark.parametrize("form", ["%H:%M", "%I:%M %p", "%H:%M:%S", None])
def test_times_of_day(form):
    times = pd.date_range("2020-01-01", periods=90, freq="16min")
    values = [t.time() if form is None else t.strftime(form) for t in times]
    frame = pd.DataFrame({"t": values, "z": np.arange(90) % 7})
    encoder = TableEncoder(dtype="float64").fit(frame)
    assert column(encoder, "t")["kind"] == "date"
    assert encoder.feature_names[:3] == ["t", "t day sin", "t day cos"]
    x = again(encoder).transform(frame)
    angle = 2 * np.pi * np.arange(90) * 16 / 1440
    np.testing.assert_allclose(x[:, 1], np.sin(angle), atol=1e-12)
    np.testing.assert_allclose(x[:, 2], np.cos(angle), atol=1e-12)
    assert np.all(np.diff(x[:, 0]) > 0)
    other = frame.assign(t=[t.strftime("%H:%M:%S.0") for t in times])
    np.testing.assert_array_equal(encoder.transform(other), x)
    assert encoder.describe()[0]["encoding"] == "time of day, place in the day"
