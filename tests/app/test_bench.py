"""The quick measurement: its figures fit together, and bad arguments are refused."""

import io

import pytest

from fastnn.app.bench import measure, table


def shown(results):
    from rich.console import Console

    screen = io.StringIO()
    Console(file=screen, width=120).print(table(results))
    return screen.getvalue()


def test_figures_fit_together():
    result = measure([8, 16, 4], batch_size=32, seconds=0.05, n_threads=1)
    flops = 2 * 32 * (2 * 8 * 16 + 3 * 16 * 4)
    assert result["gflops"] == pytest.approx(flops / result["us_per_step"] / 1e3)
    assert result["samples_per_second"] == pytest.approx(32e6 / result["us_per_step"])
    assert 0 < result["share_of_peak"] < 1
    assert result["threads"] == 1
    assert (result["peers"], result["left_out"]) == ({}, {})
    text = shown(result)
    assert "8-16-4" in text
    assert "adam, float32, at most 1 threads" in text


@pytest.mark.parametrize("peer", ["sklearn", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peers_have_their_turn(peer, dtype):
    pytest.importorskip(peer)
    result = measure(
        [8, 16, 4], batch_size=32, optimizer="sgd", dtype=dtype, seconds=0.01, n_threads=1, peers=[peer]
    )
    its = result["peers"][peer]
    assert its["ratio"] == pytest.approx(its["us_per_step"] / result["us_per_step"])
    assert " x)" in shown([result])


def test_who_is_left_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = measure([4, 8, 2], seconds=0.01, peers="torch")
    assert result["left_out"] == {"torch": "it is not installed"}
    assert "left out" in shown(result)


def test_peers_only_have_some_optimisers():
    pytest.importorskip("sklearn")
    result = measure([4, 8, 2], optimizer="lion", seconds=0.01, peers=["sklearn"])
    assert "not measured with optimizer 'lion'" in result["left_out"]["sklearn"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [4]}, "inputs and outputs"),
        ({"sizes": [4, 8, 1]}, "at least 2 classes"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"optimizer": "adma"}, "Did you mean 'adam'"),
        ({"dtype": "float16"}, "dtype must be float32 or float64"),
        ({"seconds": 0}, "seconds"),
        ({"peers": ["pytorch"]}, "Did you mean 'torch'"),
        ({"n_threads": 0}, "n_threads must be at least 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        measure(**{"sizes": [4, 8, 2], "seconds": 0.01, **arguments})
