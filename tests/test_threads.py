"""Training from threads and processes of every kind: always the same bits."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn import _threads


@pytest.fixture(autouse=True)
def always_parallel(monkeypatch):
    """Run even the smallest step on several threads."""
    monkeypatch.setattr("fastnn.training.pace.PARALLEL_STEP_FLOPS", 0)
    monkeypatch.setattr(_threads, "usable_cores", lambda: 2)


def trained(seed=0, n_threads=2):
    """Parameters after a short training."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((500, 20)).astype(np.float32)
    net = fastnn.MLP([20, 33, 17, 3], seed=seed)
    trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=64, seed=seed, n_threads=n_threads)
    trainer.fit(x, rng.integers(0, 3, 500), epochs=10, verbose=0)
    return net.params


def _check_in_child(expected, code):
    os._exit(0 if np.array_equal(trained(), expected) else code)


def test_parallel_region_is_entered_and_gives_the_same_bits(monkeypatch):
    parts = []
    real = _threads.run_parts
    monkeypatch.setattr(_threads, "run_parts", lambda *args: (parts.append(args[1]), real(*args)))
    assert np.array_equal(trained(n_threads=2), trained(n_threads=1))
    assert set(parts) == {2}


def test_threads_that_do_not_all_come_leave_the_work_to_one(monkeypatch):
    from fastnn.kernels import step

    def only_one_comes(address, n_parts, args):
        step.train_part(0, n_parts, *args)

    monkeypatch.setattr(_threads, "run_parts", only_one_comes)
    assert np.array_equal(trained(n_threads=2), trained(n_threads=1))


def test_python_threads_train_at_once():
    expected = [trained(seed) for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = trained(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for seed in range(4):
        assert np.array_equal(found[seed], expected[seed])


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_child_process_trains_after_its_parent_did(method):
    expected = trained()
    process = multiprocessing.get_context(method).Process(target=_check_in_child, args=(expected, 3))
    process.start()
    process.join(timeout=240)
    assert process.exitcode == 0
    assert np.array_equal(trained(), expected)  # and the parent goes on


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend):
    joblib = pytest.importorskip("joblib")
    expected = [trained(seed) for seed in range(4)]
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(trained)(seed) for seed in range(4))
    for seed in range(4):
        assert np.array_equal(found[seed], expected[seed])


@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb"])
def test_threading_layers(layer):
    """Each layer in its own process: several threads at once, then a fork."""
    code = """
import os, threading
import numpy as np
import fastnn
from fastnn import _threads
from fastnn.training import pace
pace.PARALLEL_STEP_FLOPS = 0
_threads.usable_cores = lambda: 2

def trained(n_threads):
    x = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    net = fastnn.MLP([8, 16, 1], seed=0)
    trainer = fastnn.Trainer(net, loss="mse", seed=0, n_threads=n_threads)
    trainer.fit(x, x[:, 0], epochs=5, verbose=0)
    return net.params.tobytes()

expected = trained(1)
assert trained(2) == expected
found = []
threads = [threading.Thread(target=lambda: found.append(trained(2))) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert found == [expected] * 3
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        os._exit(0 if trained(2) == expected else 5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert trained(2) == expected
import numba
print(numba.threading_layer())
"""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if "No threading layer could be loaded" in run.stderr:
        pytest.skip(f"{layer} is not installed")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == layer  # TBB prints a warning of its own at a fork


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_quota_of_a_container(tmp_path, files, cores):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert _threads._quota(tmp_path, 8) == cores


def test_thread_count_follows_the_work():
    assert _threads.parts_for(None, flops=10, cutoff=100, n_shares=50) == 1
    assert _threads.parts_for(None, flops=1000, cutoff=100, n_shares=50) == 2
    assert _threads.parts_for(None, flops=1000, cutoff=100, n_shares=1) == 1
    assert _threads.parts_for(1, flops=1000, cutoff=100, n_shares=50) == 1
    assert _threads.parts_for(64, flops=1000, cutoff=100, n_shares=50) == 2
