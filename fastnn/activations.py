"""Stub until the real one is merged."""

from dataclasses import dataclass

from .kernels.activations import ACTIVATIONS


@dataclass(frozen=True)
class Activation:
    name: str
    alpha: float = 0.0

    @property
    def code(self):
        return ACTIVATIONS.get(self.name)

    @property
    def kernel(self):
        from .kernels.hooks import activations

        return getattr(activations, self.name)

    @property
    def init(self):
        return "he_normal" if self.name == "relu" else "glorot_uniform"

    def to_json(self):
        return self.name

    @classmethod
    def from_json(cls, entry):
        return cls(entry)


NAMES = (*ACTIVATIONS, "prelu", "gelu", "silu")


def as_activation(spec):
    return spec if isinstance(spec, Activation) else Activation(spec)
