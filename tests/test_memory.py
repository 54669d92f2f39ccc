"""The memory that a process may use, within containers too, and the refusal of what does not fit."""

import os

import pytest

from fastnn import _memory

GIB = 2**30
UNLIMITED = "9223372036854771712\n"  # what cgroup 1 says where there is no limit


@pytest.fixture
def control_groups(tmp_path, monkeypatch):
    """Pretend 16 GiB of memory, and control groups in a folder: a tree of files, and the process's own."""
    root, own_groups = tmp_path / "cgroup", tmp_path / "own"
    monkeypatch.setattr(_memory, "_CONTROL_GROUPS", root)
    monkeypatch.setattr(_memory, "_OWN_GROUPS", own_groups)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * GIB // 4096}.get)

    def make(groups, files):
        if groups is not None:
            own_groups.write_text(groups)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


@pytest.mark.parametrize(
    ("groups", "files", "gib"),
    [
        # A container sees its group as the root.
        ("0::/\n", {"memory.max": f"{3 * GIB}\n"}, 3),
        ("0::/\n", {"memory.max": "max\n"}, 16),
        ("0::/\n", {"memory.max": f"{64 * GIB}\n"}, 16),
        # Each of the groups around it limits a group.
        (
            "0::/user.slice/job\n",
            {"user.slice/memory.max": f"{2 * GIB}\n", "user.slice/job/memory.max": "max\n"},
            2,
        ),
        (
            "0::/user.slice/job\n",
            {"user.slice/memory.max": f"{2 * GIB}\n", "user.slice/job/memory.max": f"{GIB}\n"},
            1,
        ),
        # Groups of others do not.
        ("0::/mine\n", {"mine/memory.max": f"{2 * GIB}\n", "theirs/memory.max": f"{GIB}\n"}, 2),
        ("0::/../outside\n", {"outside/memory.max": f"{GIB}\n"}, 16),
        # cgroup 1, seen from within a container and from outside.
        ("4:memory:/docker/ab\n", {"memory/memory.limit_in_bytes": f"{GIB}\n"}, 1),
        (
            "5:cpu,cpuacct:/x\n4:memory:/docker/ab\n0::/\n",
            {
                "memory/memory.limit_in_bytes": UNLIMITED,
                "memory/docker/ab/memory.limit_in_bytes": f"{GIB}\n",
                "memory/x/memory.limit_in_bytes": "1\n",
            },
            1,
        ),
        # Another system, or no control groups.
        (None, {}, 16),
        ("0::/\n", {}, 16),
    ],
)
def test_memory_of_a_container(control_groups, groups, files, gib):
    control_groups(groups, files)
    assert _memory.memory_bytes() == gib * GIB


def test_memory_where_the_system_tells_little(control_groups, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert _memory.memory_bytes() is None
    control_groups("0::/\n", {"memory.max": f"{64 * GIB}\n"})
    assert _memory.memory_bytes() == 64 * GIB


def test_what_cannot_fit_is_refused(control_groups):
    control_groups("0::/\n", {})
    _memory.check_memory("a network", 16 * GIB, "its weights")
    message = r"^a network needs 4\.0 TiB for its weights, but this process may use 16\.0 GiB of memory\.$"
    with pytest.raises(ValueError, match=message):
        _memory.check_memory("a network", 4 * 2**40, "its weights")


def test_nothing_is_refused_where_the_memory_is_unknown(control_groups, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    _memory.check_memory("a network", 2**80, "its weights")


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**20, "1.0 MiB"),
        (3.5 * 2**30, "3.5 GiB"),
    ],
)
def test_bytes(n, text):
    assert _memory.size_text(n) == text
