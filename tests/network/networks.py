"""Kinds of networks, a comparison, and changes to the headers of files."""

import json
import struct

import numpy as np


def header_of(path):
    """The JSON header of a safetensors file, and the bytes after it."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewrite(path, change=lambda own, architecture: None):
    """Apply `change` to a file's own header and its architecture, and write it back without a checksum."""
    header, _ = header_of(path)
    own = json.loads(header["__metadata__"]["fastnn"])
    del own["checksum"]
    change(own, own["architecture"])
    replace_header(path, json.dumps(own))


def replace_header(path, text):
    """Write a file back with another own header, a text."""
    header, data = header_of(path)
    header["__metadata__"]["fastnn"] = text
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + data)


# Every kind of layer that a file can hold.
KEPT = {
    "batch norm": {"norm": "batch", "activation": "tanh"},
    "layer norm": {"norm": "layer", "activation": "gelu"},
    "prelu": {"activation": "prelu"},
    "residual": {"residual": True},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1, "activation": "tanh"},
    "alpha": {"activation": ["elu", "leaky_relu", "selu"]},
    "init": {"init": "orthogonal", "output": "exp"},
    "mixture": {
        "activation": ["prelu", "silu", "prelu"],
        "norm": ["batch", None, "layer"],
        "dropout": [0.1, 0.0, 0.2],
        "residual": [False, True, True],
        "output": "softmax",
    },
}


def assert_same_network(comp, ref, x):
    assert repr(comp) == repr(ref)
    assert (comp.activations, comp.init, comp.residual) == (ref.activations, ref.init, ref.residual)
    assert comp.n_params == ref.n_params
    for (name, array), (ref_name, ref_array) in zip(
        comp.parameters().items(), ref.parameters().items(), strict=True
    ):
        assert name == ref_name
        np.testing.assert_array_equal(array, ref_array, strict=True)
    np.testing.assert_array_equal(comp.predict_raw(x), ref.predict_raw(x))
