"""Writing a part of a matrix that is stored in panels; `layout.from_panels` reads all of it."""

import numpy as np

from fastnn.kernels.sizes import PAD


def put(panels, capacity, values, row=0):
    """Write values into a matrix in panels of `capacity` rows, from element [row, 0] on."""
    r, c = np.indices(np.shape(values))
    panels[c // PAD * capacity + row + r, c % PAD] = values
