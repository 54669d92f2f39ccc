"""Sizes of the caches: what Linux lists, in a folder of the tests' own, and what block sizes take of it."""

from __future__ import annotations

import sys

import pytest

from fastnn.kernels import caches, sizes


@pytest.fixture
def listed(tmp_path):
    """List caches, (level, type, size) each, as Linux does; None leaves a file out."""

    def make(*of_caches):
        for number, values in enumerate(of_caches):
            folder = tmp_path / f"index{number}"
            folder.mkdir()
            for name, value in zip(("level", "type", "size"), values, strict=True):
                if value is not None:
                    (folder / name).write_text(f"{value}\n")
        return caches.read_sysfs(tmp_path)

    return make


L1, L2 = ("1", "Data", "48K"), ("2", "Unified", "1280K")


def test_sizes_by_level(listed):
    found = listed(L1, ("1", "Instruction", "64K"), L2, ("3", "Unified", "32M"))
    assert found == {1: 48 * 1024, 2: 1280 * 1024, 3: 32 * 1024**2}


@pytest.mark.parametrize(("size", "n"), [("32K", 32768), ("1M", 1 << 20), ("32768", 32768), ("7", 7)])
def test_units(listed, size, n):
    assert listed(("1", "Data", size)) == {1: n}


def test_no_folder_and_an_empty_one(tmp_path):
    assert caches.read_sysfs(tmp_path / "none") == caches.read_sysfs(tmp_path) == {}


DAMAGED = {
    "no level": (None, "Unified", "1M"),
    "no type": ("2", None, "1M"),
    "no size": ("2", "Unified", None),
    "nothing": (None, None, None),
    "an empty level": ("", "Unified", "1M"),
    "an empty size": ("2", "Unified", ""),
    "a level of words": ("two", "Unified", "1M"),
    "a size of words": ("2", "Unified", "large"),
    "an unknown unit": ("2", "Unified", "1G"),
    "only a unit": ("2", "Unified", "K"),
    "a fraction": ("2", "Unified", "1.5M"),
}


@pytest.mark.parametrize("cache", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_entry_hides_no_other(listed, cache):
    assert listed(L1, cache, ("3", "Unified", "8M")) == {1: 48 * 1024, 3: 8 * 1024**2}


def test_a_file_that_is_no_text(tmp_path, listed):
    listed(L1, L2)
    (tmp_path / "index1" / "size").write_bytes(b"\xff\xfe\x00")
    assert caches.read_sysfs(tmp_path) == {1: 48 * 1024}


K, M = 1024, 1024**2


@pytest.mark.parametrize(
    ("found", "l1", "l2"),
    [
        ({}, 32 * K, 256 * K),
        ({1: 48 * K}, 48 * K, 256 * K),
        ({2: 1280 * K, 3: 32 * M}, 32 * K, 1280 * K),
        ({1: 128 * K, 2: 4 * M}, 128 * K, 4 * M),
        # Less than half of the smallest known, or more than one core has for itself: a fault of a list.
        ({1: 0, 2: 0}, 16 * K, 128 * K),
        ({1: -1, 2: -1}, 16 * K, 128 * K),
        ({1: 16 * K, 2: 128 * K}, 16 * K, 128 * K),
        ({1: 16 * K - 1, 2: 128 * K - 1}, 16 * K, 128 * K),
        ({1: 1 << 40, 2: 1 << 40}, 256 * K, 4 * M),
    ],
)
def test_usable_sizes_have_bounds(found, l1, l2):
    assert caches.usable(found) == (l1, l2)


@pytest.mark.skipif(sys.platform != "darwin", reason="macOS lists them otherwise")
def test_what_macos_lists():
    found = caches.read_sysctl()
    assert set(found) == {1, 2}
    assert all(n > 0 for n in found.values())


def test_block_sizes_are_computed_from_them():
    assert sizes.L1_BYTES == caches.L1_BYTES
    assert sizes.L2_BYTES == caches.L2_BYTES
    read = caches.read_sysctl if sys.platform == "darwin" else caches.read_sysfs
    assert caches.usable(read()) == (caches.L1_BYTES, caches.L2_BYTES)


@pytest.mark.parametrize("l2_bytes", [128 * 1024, 4 * 1024**2])
def test_compiled_code_of_a_machine_with_other_caches(run_python, l2_bytes):
    """Blocks have the size that their buffers have, whichever caches the code was compiled for."""
    code = """
import fastnn.kernels.caches as caches
caches.L2_BYTES = {}
import numpy as np, fastnn
net = fastnn.MLP([300, 300, 3], seed=0)
x, y = np.random.default_rng(0).standard_normal((64, 300)), np.arange(64) % 3
fastnn.Trainer(net, loss="cross_entropy", batch_size=32, seed=0).fit(x, y, epochs=2, verbose=False)
print(fastnn.kernels.sizes.BLOCK_ROWS, net.params.astype("f8").sum().hex())
"""
    ours, theirs = (run_python(code.format(n)).stdout.split() for n in (caches.L2_BYTES, l2_bytes))
    assert ours[0] != theirs[0]
    assert ours[1] == theirs[1]
