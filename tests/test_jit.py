"""The compile cache: what it holds is used again; what is damaged, another version's or untrusted is not."""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
from types import SimpleNamespace

import numba
import pytest
from numba.core import caching

from fastnn import _jit

compiles = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other permissions")

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


@compiles
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


class Kernel:
    """A kernel in a module of its own, which each call loads anew, as a new process does."""

    def __init__(self, tmp_path):
        self.root = tmp_path / "cache"
        self.path = tmp_path / "kernel.py"
        self.path.write_text("from fastnn._jit import jit\n@jit\ndef twice(x):\n    return x + x\n")

    def __call__(self, *values):
        """Return what the kernel makes of each value, and how many forms came from the cache."""
        spec = importlib.util.spec_from_file_location("fastnn.kernel_of_a_test", self.path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.dispatcher = module.twice
        return [module.twice(value) for value in values], sum(module.twice.stats.cache_hits.values())

    @property
    def folder(self):
        return next(self.root.iterdir())

    def files(self, ending):
        return sorted(self.folder.glob(f"*.{ending}"))


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    found = Kernel(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(found.root))
    for name, value in {"_folders": set(), "_refused": {}, "_told": set()}.items():
        monkeypatch.setattr(_jit, name, value)
    monkeypatch.setattr(_jit._notice, "_said", None)
    return found


def flipped(content):
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@compiles
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        flipped,
        lambda content: pickle.dumps(numba.__version__) + pickle.dumps(("stamp", {})),
        lambda content: content.replace(b"format 2", b"format 1"),
        None,
    ],
)
def test_a_damaged_file_is_compiled_again_and_replaced(kernel, ending, damage):
    assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]
    (path,) = kernel.files(ending)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
        n_damaged = int(not path.read_bytes().startswith((b"\x80", b"fastnn's compiled code, format 1")))
        assert _jit.cache_facts()["cache_damaged"] == n_damaged
    assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]
    assert _jit.cache_facts()["cache_damaged"] == 0


@compiles
@posix
def test_pipes_and_devices_are_not_read(kernel):
    assert kernel(21.0) == ([42.0], 0)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (index,), (code,) = kernel.files("nbi"), kernel.files("nbc")
        for path in (index, code):
            path.unlink()
            make(path)
        assert _jit.cache_facts()["cache_damaged"] == 2
        assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]


@compiles
def test_a_damaged_file_is_never_unpickled(kernel, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "exploded").write_text, ("",)

    kernel(21.0)
    for ending in ("nbi", "nbc"):
        (path,) = kernel.files(ending)
        sound = path.read_bytes()
        path.write_bytes(sound[: len(_jit._MAGIC) + 64] + pickle.dumps(Bomb()))
        assert kernel(21.0) == ([42.0], 0)
        path.write_bytes(pickle.dumps(Bomb()))
        assert kernel(21.0) == ([42.0], 0)
    assert not (tmp_path / "exploded").exists()


@compiles
def test_a_file_is_not_taken_for_another(kernel):
    assert kernel(21.0, 21) == ([42.0, 42], 0)
    assert kernel(21.0, 21) == ([42.0, 42], 2)
    first, second = kernel.files("nbc")
    (index,) = kernel.files("nbi")
    sound = {path: path.read_bytes() for path in (first, second, index)}
    for path, other in ((first, second), (second, first), (index, first), (first, index)):
        path.write_bytes(sound[other])
        assert _jit.cache_facts()["cache_damaged"] == 1
        assert kernel(21.0, 21) == ([42.0, 42], 0 if path == index else 1)
        assert kernel(21.0, 21) == ([42.0, 42], 2)


@compiles
def test_a_form_is_not_taken_for_another(kernel):
    """Of two processes that add a form each at once, one replaces the other's index, and names its file."""
    kernel(21.0)
    (code,), (index,) = kernel.files("nbc"), kernel.files("nbi")
    of_other = index.read_bytes()
    code.unlink()
    index.unlink()
    kernel(21)
    index.write_bytes(of_other)
    assert kernel(21.0) == ([42.0], 0)
    assert kernel(21.0) == ([42.0], 1)


@compiles
def test_code_of_other_sources_is_not_used(kernel, monkeypatch):
    """A process that ends between writing index and code leaves a new index that names old code."""
    kernel(21.0)
    (path,) = kernel.files("nbc")
    old = path.read_bytes()
    monkeypatch.setattr(_jit, "_source_stamp", lambda module: bytes(32))
    assert kernel(21.0) == ([42.0], 0)
    path.write_bytes(old)
    assert kernel(21.0) == ([42.0], 0)
    assert kernel(21.0) == ([42.0], 1)


@compiles
def test_where_no_folder_can_hold_code(kernel, monkeypatch, capsys):
    def refuse(locator):
        raise OSError("read-only")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)
    assert kernel(21.0) == kernel(21.0) == ([42.0], 0)
    err = capsys.readouterr().err
    assert err.count("\n") == err.count("again at each start") == err.count("NUMBA_CACHE_DIR") == 1
    assert "from a cache" not in err
    facts = _jit.cache_facts()
    assert not facts["cache_writable"]
    assert facts["cache_trusted"]
    assert facts["cache_refused"][0] == f"{kernel.folder} (read-only)"


@compiles
def test_where_the_home_folder_is_not_known(kernel, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(os, "makedirs", lambda path, **_: pytest.fail(path) if str(path)[0] == "~" else None)
    _, of_package, of_user, *_ = _jit._CacheImpl._locator_classes
    monkeypatch.setattr(of_package, "get_cache_path", lambda _: str(tmp_path / "none"))
    monkeypatch.setattr(of_user, "get_cache_path", lambda _: "~/.cache/numba")
    assert kernel(21.0) == ([42.0], 0)
    assert "~/.cache/numba (the home folder is not known)" in _jit.cache_facts()["cache_refused"]


@compiles
@posix
@pytest.mark.parametrize("name", ["kernel", "fastnn.kernel"])  # fastnn says that its own compile
def test_a_full_disk(run_python, kernel, name):
    """The limit of a file's size stands in for it."""
    code = f"""
import importlib.util, resource
spec = importlib.util.spec_from_file_location({name!r}, {str(kernel.path)!r})
kernel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernel)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
print(kernel.twice(21.0), kernel.twice(21))
from fastnn import _jit
print(_jit.cache_facts()["cache_writable"])
"""
    done = run_python(code, NUMBA_CACHE_DIR=str(kernel.root), PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout.split() == ["42.0", "42", "False"]
    assert done.stderr.count("again at each start") == done.stderr.count("NUMBA_CACHE_DIR") == 1
    assert "from a cache" not in done.stderr
    assert list(kernel.folder.iterdir()) == []


UNTRUSTED = [lambda kernel: kernel.folder.chmod(0o757), lambda kernel: kernel.root.chmod(0o777)]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    UNTRUSTED += [
        lambda kernel: os.chown(kernel.folder, 12345, -1),
        lambda kernel: (os.chown(kernel.folder, -1, 12345), kernel.folder.chmod(0o775)),
    ]


@compiles
@posix
@pytest.mark.parametrize("way", UNTRUSTED)
def test_a_folder_that_others_may_write_to(kernel, way, capsys, monkeypatch):
    of_package = _jit._CacheImpl._locator_classes[1]
    monkeypatch.setattr(of_package, "get_cache_path", lambda _: str(kernel.path.parent / "b"))
    assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]
    way(kernel)
    capsys.readouterr()
    assert kernel(21.0) == ([42.0], 0)
    assert kernel(21.0) == ([42.0], 1)  # from the next folder
    assert kernel.dispatcher.stats.cache_path == str(kernel.path.parent / "b")
    err = capsys.readouterr().err
    assert err.count("is not used") == err.count("NUMBA_CACHE_DIR") == 1
    assert str(kernel.folder) in err
    assert _jit.cache_facts()["cache_trusted"] is False


@compiles
@posix
def test_a_file_that_others_may_write_to(kernel):
    kernel(21.0)
    for ending in ("nbi", "nbc"):
        (path,) = kernel.files(ending)
        path.chmod(0o646)
        assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]
        if os.geteuid() == 0:
            os.chown(path, 12345, -1)
            assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]


@compiles
@posix
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_folders_and_files_that_are_made_can_be_trusted(kernel, mask):
    """Whatever the mask; a folder of a user's own group is trusted, as many systems make them."""
    before = os.umask(mask)
    try:
        kernel.root.mkdir(mode=0o755)
        assert [kernel(21.0), kernel(21.0)] == [([42.0], 0), ([42.0], 1)]
    finally:
        os.umask(before)


@posix
def test_a_group_of_ones_own():
    import grp
    import pwd

    found = SimpleNamespace(st_uid=os.geteuid(), st_gid=os.getegid(), st_mode=0o040775)
    name = pwd.getpwuid(found.st_uid).pw_name
    if (grp.getgrgid(found.st_gid).gr_name, grp.getgrgid(found.st_gid).gr_mem) != (name, []):
        pytest.skip("this user has no group of its own")
    _jit._check_trust("x", found)
    found.st_mode = 0o040777
    with pytest.raises(OSError, match="other users may write to x"):
        _jit._check_trust("x", found)


def test_what_is_compiled_later_is_told_of_too(capsys, monkeypatch):
    """The gradient for L-BFGS takes half a minute, long after a first training has compiled."""
    event = SimpleNamespace(data={"dispatcher": _jit.span})
    notice, lines = _jit._CompileNotice(), []
    for start, end in [(0.0, 1.0), (1.5, 9.0), (30.0, 60.0), (60.5, 61.0)]:
        for now, change in ((start, notice.on_start), (end, notice.on_end)):
            monkeypatch.setattr(_jit.time, "perf_counter", lambda now=now: now)
            change(event)
        lines.append(capsys.readouterr().err)
    assert lines[0].startswith("fastnn: compiling what is new for this CPU")
    assert lines[1] == ""  # a moment after the first
    assert lines[2] == lines[3] == "fastnn: compiling more that is new ...\n"
    assert notice.seconds == 39.0


@pytest.mark.parametrize("given", [(700, 10, 10), (0, 10, 10), (60_000, 5, 5)])
def test_the_collector_is_relaxed_only_while_compiling(given):
    event = SimpleNamespace(data={"dispatcher": _jit.span})
    notice, before = _jit._CompileNotice(), gc.get_threshold()
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
