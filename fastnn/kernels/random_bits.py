"""The mixing function of SplitMix64, from which every random number of fastnn's own is made.

Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators". Its state moves on by GOLDEN;
arithmetic is modulo 2**64.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Bits = TypeVar("Bits", np.uint64, np.ndarray)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix_bits(bits: Bits) -> Bits:
    """64 bits of which each depends on all those that came in; of a number, or of every one of an array.

    A plain function, for Python and for kernels to be compiled from.

    Examples
    --------
    >>> hex(mix_bits(np.array([1], np.uint64))[0])
    '0x5692161d100b05e5'
    """
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
