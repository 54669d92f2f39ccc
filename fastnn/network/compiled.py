"""A network as the kernels see it: its parameters in their layout, and the addresses of its hooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels.activations import OUTPUTS
from ..kernels.hooks import link
from ..kernels.records import Data, Network
from ..kernels.step import pack_weights
from .architecture import Architecture
from .layout import Layout, aligned_zeros


class CompiledNetwork:
    """Parameters of a network, and what the kernels need to know about it.

    Parameters
    ----------
    architecture : Architecture

    Attributes
    ----------
    architecture : Architecture
        Replaced when the output activation is chosen; nothing else in it changes.
    layout : Layout
    params : ndarray of shape (n,)
        All parameters, padding included.
    running : ndarray of shape (n,)
        Running statistics of the batch normalisations.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.layout = layout = architecture.make_layout()
        self.params = aligned_zeros(layout.n_params, layout.dtype)
        self.running = aligned_zeros(layout.n_running, layout.dtype)
        self._panels = aligned_zeros(layout.n_panels, layout.dtype)
        self._panels_t = aligned_zeros(layout.n_panels_t, layout.dtype)
        self._columns = architecture.feature_columns()
        self._hooks: dict[str, int] | None = None
        self._to_inputs: tuple[Layout, np.ndarray, int] | None = None

    def parameters(self) -> dict[str, np.ndarray]:
        """Return views of everything the network has learnt, by name; see :meth:`fastnn.MLP.parameters`."""
        return self.layout.named_views(self.params, self.running)

    def split(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return views of each layer's weights and biases in a vector with the layout of the parameters."""
        matrices = self.layout.weights(flat)[: self.layout.n_layers]
        pairs = [
            (matrix[:n], matrix[n]) for matrix, n in zip(matrices, self.layout.layers["n_in"], strict=False)
        ]
        return [w for w, _ in pairs], [b for _, b in pairs]

    def view(self, seed: int = 0, sparse: bool = False, packed: bool = False) -> Network:
        """Return the record for the kernels, for dense or sparse rows; `seed` is the seed of dropout.

        If `packed`, with the weights in panels, as they are now. Without, the kernels read `params`, which
        takes longer for many rows, and cannot train.
        """
        network = Network(
            layers=self.layout.layers,
            n_layers=self.layout.n_layers,
            columns=self._columns,
            params=self.params,
            panels=self._panels if packed else self._panels[:0],
            panels_t=self._panels_t if packed else self._panels_t[:0],
            output=OUTPUTS[self.architecture.output or "identity"],
            running=self.running,
            embed_hook=0,
            forward_hook=0,
            backward_hook=0,
            gradient_hook=0,
            sparse_forward=0,
            sparse_sort=0,
            sparse_gradient=0,
            sparse_update=0,
            rows_coupled="batch" in self.architecture.norm,
            seed=seed,
        )
        if self._hooks is None:
            self._hooks = self._compile_hooks(network)
        if sparse:  # their product reads whole rows
            network = network._replace(layers=self.layout.layers.copy())
            network.layers["panel_rows"][0] = 0
        if sparse and "sparse_forward" not in self._hooks:
            self._hooks |= link.addresses_of_sparse(network, self.layout.workspace(0, 0))
        network = network._replace(**self._hooks)  # type: ignore[arg-type]
        if packed:
            pack_weights(network)
        return network

    def packed(self, view: Network, panels: np.ndarray | None = None) -> Network:
        """Return the record with the weights in panels, as they are now: in `panels`, or in new ones.

        Those of ``view(packed=True)`` are in use while a training runs.
        """
        if self.layout.n_panels == 0:
            return view
        if panels is None:
            panels = aligned_zeros(self.layout.n_panels, self.layout.dtype)
        view = view._replace(panels=panels, panels_t=panels[:0])
        pack_weights(view)
        return view

    def view_to_predict(self, sparse: bool = False) -> Network:
        """Return the record for prediction, which applies no dropout.

        Layers that need a hook only for dropout then run without one.
        """
        network, architecture = self.view(sparse=sparse), self.architecture
        if not any(architecture.dropout):
            return network
        layers = network.layers.copy()
        for depth, activation in enumerate(architecture.activations):
            spec = architecture.layer_spec(depth)
            if activation.code is not None and not (spec.norm or spec.residual):
                layers["hooked"][depth], layers["activation"][depth] = 0, activation.code
        return network._replace(layers=layers)

    def view_to_inputs(self) -> tuple[Network, Layout]:
        """Return the record for a pass back to the inputs, as after a prediction, and its layout.

        It has panels of its own, for the weights as they are now.
        """
        view = self.view_to_predict()
        if self._to_inputs is None:
            layout, columns = self.architecture.make_layout(to_inputs=True), self._columns
            if not self.architecture.embeddings:
                columns = np.arange(self.architecture.sizes[0])
            for name in ("function", "hooked", "activation"):
                layout.layers[name][: layout.n_layers] = view.layers[name][: layout.n_layers]
            self._to_inputs = layout, columns, link.address_of_embed(view, layout.workspace(0, 0))
        layout, columns, embed_hook = self._to_inputs
        panels_t = aligned_zeros(layout.n_panels_t, layout.dtype)
        view = view._replace(layers=layout.layers, columns=columns, panels_t=panels_t, embed_hook=embed_hook)
        pack_weights(view)
        return view, layout

    def row_flops(self, data: Data) -> float:
        """Return the FLOPs of the matrix products for one row; for sparse rows, the average."""
        n_weights, layer = self.params.size, self.layout.layers[0]
        if data.starts.size > 0:
            n_weights += (data.x.size / (data.starts.size - 1) - layer["n_in"]) * layer["w_cols"]
        return 2.0 * n_weights

    def _compile_hooks(self, network: Network) -> dict[str, int]:
        """Compile what the layers need besides the core, and return the addresses."""
        layers, architecture = self.layout.layers, self.architecture
        for layer, activation in zip(layers, architecture.activations, strict=False):
            if layer["hooked"] and not layer["prelu"]:
                layer["function"] = link.address_of_activation(activation.kernel, architecture.dtype)
        return link.addresses_of_rows(
            network,
            self.layout.workspace(0, 0),
            embeds=bool(architecture.embeddings),
            hooked=bool(layers["hooked"].any() or architecture.input_dropout > 0),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out padding, buffers and addresses, which are valid in this process only."""
        architecture = self.architecture
        if not isinstance(architecture.init, str):  # arrays that were given are no longer needed
            architecture = replace(architecture, init=None)
        parameters = {name: view.copy() for name, view in self.parameters().items()}
        return {"architecture": architecture, "parameters": parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        CompiledNetwork.__init__(self, state["architecture"])
        for name, view in self.parameters().items():
            view[:] = state["parameters"][name]
