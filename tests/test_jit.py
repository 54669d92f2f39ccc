"""The compile cache: what it holds is used again, and what another version left in it does no harm."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numba
import pytest

from fastnn import _jit

# A kernel in a module of its own, whose file the cache needs.
_MODULE = """
from typing import NamedTuple
from fastnn._jit import jit

class {record}(NamedTuple):
    value: int

@jit
def twice(pair):
    return 2 * pair.value

print(twice({record}(21)), sum(twice.stats.cache_hits.values()))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_a_cache_of_types_that_are_gone(run_python, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "kernel_of_a_test.py"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import kernel_of_a_test"
    path.write_text(_MODULE.format(record="Before"))
    assert run_python(code).stdout.split() == ["42", "0"]
    assert run_python(code).stdout.split() == ["42", "1"]
    path.write_text(_MODULE.format(record="Now"))
    assert run_python(code).stdout.split() == ["42", "0"]


@pytest.mark.parametrize("given", [(700, 10, 10), (0, 10, 10), (60_000, 5, 5)])
def test_the_collector_is_relaxed_only_while_compiling(given):
    event = SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=_jit.compile_seconds)})
    notice, before = _jit._CompileNotice(), gc.get_threshold()
    notice.seconds = 1.0  # nothing is printed
    try:
        gc.set_threshold(*given)
        notice.on_start(event)
        notice.on_start(event)  # what it calls
        assert gc.get_threshold() == (_jit.GC_THRESHOLD if given[0] == 700 else given)
        notice.on_end(event)
        notice.on_end(event)
        assert gc.get_threshold() == given
    finally:
        gc.set_threshold(*before)
