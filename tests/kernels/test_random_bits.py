"""The mixing function of SplitMix64 beside the published generator."""

from __future__ import annotations

import numpy as np

from fastnn._jit import jit
from fastnn.kernels.random_bits import GOLDEN, mix_bits

# The first numbers of the reference implementation (Vigna, splitmix64.c) from seed 0.
PUBLISHED = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_published_numbers():
    states = GOLDEN * np.arange(1, 4, dtype=np.uint64)
    np.testing.assert_array_equal(mix_bits(states), np.array(PUBLISHED, np.uint64))


def test_a_kernel_mixes_alike():
    mix = jit(mix_bits)
    with np.errstate(over="ignore"):  # of Python in place of compiled code
        assert [int(mix(GOLDEN * np.uint64(k))) for k in (1, 2, 3)] == PUBLISHED
