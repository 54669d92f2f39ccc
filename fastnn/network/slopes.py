"""The derivatives of a network's outputs by its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._threads import launch, parts_for
from ..kernels.sizes import PARALLEL_CALL_FLOPS, ROW_BLOCK
from .compiled import CompiledNetwork
from .inputs import check_dense


class Slopes:
    """The part of a network that differentiates its outputs by its inputs.

    Attributes
    ----------
    compiled_network : CompiledNetwork
    """

    compiled_network: CompiledNetwork

    def input_gradient(
        self, x: ArrayLike, output_grad: ArrayLike, *, n_threads: int | None = None
    ) -> np.ndarray:
        """Compute the gradient by x of a cost whose gradient by the outputs is given.

        For saliency maps, adversarial examples, designs that minimise a predicted figure, and networks one
        after another. The network is that of :meth:`predict_raw`: without dropout, with the running
        statistics of batch normalisations.

        Parameters
        ----------
        x : array-like of shape (n, n_in)
        output_grad : array-like of shape (n, n_out)
            Gradient of the cost by the outputs, after the output activation.
        n_threads : int, optional
            Largest number of threads; all usable cores by default, fewer when the work is small.

        Returns
        -------
        ndarray of shape (n, n_in), of the network's dtype
            0 in columns that are embedded: category numbers have no slope.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what is described here.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> net = fastnn.MLP([2, 1], init=[np.array([[3.0], [5.0]])], output="identity")
        >>> net.input_gradient(np.zeros((1, 2)), np.array([[2.0]]))
        array([[ 6., 10.]], dtype=float32)
        """
        network, architecture = self.compiled_network, self.compiled_network.architecture
        x = check_dense("x", x, architecture)
        grad = _checks.check_targets("output_grad", output_grad, architecture.sizes[-1], architecture.dtype)
        _checks.check_lengths("x", len(x), "output_grad", len(grad))
        return _input_gradient(network, _checks.writable_view(x), _checks.writable_view(grad), n_threads)

    def jacobian(self, x: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Compute the slopes of all outputs by all inputs, as of :meth:`input_gradient`.

        Parameters
        ----------
        x : array-like of shape (n, n_in)
        n_threads : int, optional
            Largest number of threads; all usable cores by default, fewer when the work is small.

        Returns
        -------
        ndarray of shape (n, n_out, n_in), of the network's dtype
            ``[r, o, i]`` is the slope of output o by feature i at row r.

        Raises
        ------
        ValueError, TypeError
            If x is not what the network takes.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> net = fastnn.MLP([3, 2], init=[np.array([[1.0, 2], [3, 4], [5, 6]])], output="identity")
        >>> net.jacobian(np.zeros((1, 3)))
        array([[[1., 3., 5.],
                [2., 4., 6.]]], dtype=float32)
        """
        x = check_dense("x", x, self.compiled_network.architecture)
        n_out = self.compiled_network.architecture.sizes[-1]
        rows, units = np.repeat(x, n_out, axis=0), np.tile(np.eye(n_out, dtype=x.dtype), (len(x), 1))
        return _input_gradient(self.compiled_network, rows, units, n_threads).reshape(
            len(x), n_out, x.shape[1]
        )


def _input_gradient(
    network: CompiledNetwork, x: np.ndarray, output_grad: np.ndarray, n_threads: int | None
) -> np.ndarray:
    """Compute the gradient by x; both arrays are writable, C-contiguous and of the network's dtype."""
    from ..kernels.hooks.slopes import input_gradient_part

    n_rows, n_out = output_grad.shape
    view, layout = network.view_to_inputs()
    flops = 4.0 * n_rows * network.params.size
    n_parts = parts_for(n_threads, flops, PARALLEL_CALL_FLOPS, -(-n_rows // ROW_BLOCK))
    work = layout.workspace(min(n_rows, ROW_BLOCK) * n_parts, n_out)
    grads = np.empty_like(x)
    launch(input_gradient_part, layout.dtype, n_parts, grads, x, output_grad, view, work)
    return grads
