"""Forks while other threads are inside: no child hangs, and neither does its parent."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

import fastnn
from fastnn import _checks, _fork, _threads
from fastnn.data.streams.stream import read_ahead

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of forks beside threads
]


def in_child(function):
    """Call a function in a forked child; return what it returns, or "hangs"."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(int(function()))
        finally:
            os._exit(99)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


class Inside:
    """Another thread that is inside a context, for a while or until this object's context ends."""

    def __init__(self, context, seconds=None):
        self._context, self._seconds = context, seconds
        self._entered, self._end = threading.Event(), threading.Event()
        self.has_left = False
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        with self._context:
            self._entered.set()
            self._end.wait(self._seconds)
            self.has_left = True

    def __enter__(self):
        self._thread.start()
        self._entered.wait()
        return self

    def __exit__(self, *exception):
        self._end.set()
        self._thread.join()


def test_locks_of_other_threads_are_free_in_the_child():
    lock, own = _fork.new_lock(), _fork.new_lock()

    def use():
        with lock, own:
            pass
        own.release()  # what the thread itself holds it goes on holding
        return not own._is_owned()

    with Inside(lock), own:
        assert in_child(use) == 1
    assert in_child(use) == 99  # it is not held here: the check can fail


def test_a_fork_waits_for_sections_and_compilation():
    for context in (_fork.unforked(), global_compiler_lock):
        with Inside(context, seconds=0.3) as other:
            assert in_child(lambda other=other: other.has_left) == 1
        assert in_child(lambda: not _fork._sections) == 1

    def use():
        with _fork.unforked(), global_compiler_lock:
            return in_child(lambda: 7)

    assert in_child(use) == 7  # also in the child of a child


def test_a_section_may_need_what_forks_wait_for():
    """A fork that held numba's lock while it waits for a section would wait for ever."""
    inside, done = threading.Event(), threading.Event()

    def work():
        with _fork.unforked():
            inside.set()
            time.sleep(0.2)
            with global_compiler_lock:
                done.set()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    assert in_child(done.is_set) == 1
    thread.join()


def test_the_lock_of_logging_is_not_held_while_a_fork_waits(run_python):
    """As numba compiles, it asks for this lock, which logging's own hook takes before a fork."""
    run_python("""
import fastnn._jit, os, threading, time
from fastnn import _fork
from numba.core.compiler_lock import global_compiler_lock
import logging
_fork.PATIENCE = 5
inside, done = threading.Event(), []

def compile_and_log():
    with global_compiler_lock:
        inside.set()
        time.sleep(0.1)
        logging.getLogger("a logger of its own").debug("takes the lock")
        done.append(1)

threading.Thread(target=compile_and_log).start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(len(done))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
""")


def test_a_fork_that_can_never_go_on_goes_on(monkeypatch):
    monkeypatch.setattr(_fork, "PATIENCE", 0.2)
    with Inside(_fork.unforked()):
        assert in_child(lambda: not _fork._sections) == 1
    with Inside(_fork._sections_lock):
        assert in_child(lambda: _fork._sections_lock.acquire(timeout=1)) == 1


def test_a_section_does_not_wait_for_its_own_fork():
    with _fork.unforked():
        assert in_child(lambda: list(_fork._sections.values()) == [1]) == 1
    assert not _fork._sections


def test_a_module_is_being_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.3)\nvalue = 5\n")
    thread = threading.Thread(target=_checks.require, args=("slow_to_import", "all"))
    thread.start()
    while not _fork._sections and thread.is_alive():
        time.sleep(0.001)
    assert in_child(lambda: _checks.require("slow_to_import", "all").value) == 5
    thread.join()


def test_a_predictor_is_being_called():
    net = fastnn.MLP([4, 8, 3], seed=0)
    predict, x = net.predictor(), np.ones((3, 4), "f4")
    expected = predict(x)
    with Inside(predict._lock):
        assert in_child(lambda: np.array_equal(predict(x), expected)) == 1


def test_a_stream_is_being_read():
    """The thread that reads is not in the child: it can neither go on nor wait for it."""
    items = read_ahead(range(5), n_ahead=1)
    assert [next(items), next(items)] == [0, 1]

    def go_on():
        try:
            return len(list(items))
        except RuntimeError:
            return 77

    time.sleep(0.05)
    assert in_child(go_on) in (77, 1)
    assert in_child(lambda: items.close() is None) == 1
    assert list(items) == [2, 3, 4]


@pytest.fixture
def layer_starts_slowly():
    return """
import threading, time, sys, os
import numpy as np
from numba.np.ufunc import parallel
import fastnn
from fastnn import _threads
from fastnn.training import pace
pace.PARALLEL_STEP_FLOPS = 0
_threads.usable_cores = lambda: 2
inside, launch = threading.Event(), parallel._load_threading_functions

def slow(lib):
    inside.set()
    time.sleep(0.5)
    launch(lib)

parallel._load_threading_functions = slow

def train(n_threads):
    x = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    trainer = fastnn.Trainer(fastnn.MLP([8, 16, 1], seed=0), loss="mse", seed=0, n_threads=n_threads)
    trainer.fit(x, x[:, 0], epochs=2, verbose=0)
    return trainer.net.params.tobytes()

expected = train(1)
starting = threading.Thread(target=START)
starting.start()
inside.wait(60) or os._exit(8)
child = os.fork()
if child == 0:
    os._exit(0 if train(2) == expected else 5)
for _ in range(1500):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
    time.sleep(0.01)
else:
    os.kill(child, 9)
    os._exit(6)
starting.join()
assert os.waitstatus_to_exitcode(status) == 0, status
assert train(2) == expected
"""


@pytest.mark.parametrize("start", ["lambda: train(2)", "parallel.get_num_threads"])
def test_the_layer_is_being_started(run_python, layer_starts_slowly, start):
    run_python(layer_starts_slowly.replace("START", start), NUMBA_NUM_THREADS="2")


def test_numbas_lock_is_not_taken_once_the_layer_is_known(monkeypatch):
    monkeypatch.setattr("fastnn.training.pace.PARALLEL_STEP_FLOPS", 0)
    monkeypatch.setattr(_threads, "usable_cores", lambda: 2)
    regions, run_parts = [], _threads.run_parts
    monkeypatch.setattr(_threads, "run_parts", lambda *args: (regions.append(args[1]), run_parts(*args)))
    x = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)

    def train():
        trainer = fastnn.Trainer(fastnn.MLP([8, 16, 1], seed=0), loss="mse", seed=0, n_threads=2)
        trainer.fit(x, x[:, 0], epochs=2, verbose=0)

    train()
    n_before = parallel._get_num_threads()
    monkeypatch.setattr(parallel, "_launch_threads", lambda: pytest.fail("it has been taken"))
    train()
    assert set(regions) == {2}
    assert parallel._get_num_threads() == n_before


def test_all_locks_are_made_in_one_place():
    """But for the command line's, which runs in one thread, and those of a stream's own two threads."""
    made = re.compile(r"\b(Lock|RLock|Condition|Semaphore)\(|functools\.cached_property")
    root = Path(fastnn.__file__).parent
    paths = [path for path in root.rglob("*.py") if made.search(path.read_text(encoding="utf-8"))]
    names = {path.relative_to(root).as_posix() for path in paths if root / "app" not in path.parents}
    assert names == {"_fork.py", "data/streams/stream.py"}
