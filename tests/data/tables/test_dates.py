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
