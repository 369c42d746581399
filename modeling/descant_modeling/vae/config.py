"""Configuration of a variational autoencoder's run."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_modeling.common.config import BELOW_ONE, NOT_NEGATIVE, POSITIVE, check, check_fields, within
from descant_modeling.families.config import FamilyConfig
from descant_tokenizers.pianoroll.rolls import WINDOW_STEPS


@dataclass(frozen=True)
class VaeModelConfig:
    """Sizes of the network.

    Args:
        num_voices: 4 for four voices, 1 for the soprano alone.
        width: Size of embeddings and hidden states.
        latent_size: Size of the latent vector.
        input_dropout: Share of steps whose predecessor the decoder does not see in training, so that it uses the
            latent vector.
    """

    num_voices: int = 4
    width: int = 256
    latent_size: int = 128
    input_dropout: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self, "model", within(1, 4), "num_voices")
        check_fields(self, "model", within(1, 2048), "width", "latent_size")
        check_fields(self, "model", BELOW_ONE, "input_dropout")


@dataclass(frozen=True)
class VaeLossConfig:
    """Weight of the divergence from the prior.

    Args:
        beta: Its weight at the end of the annealing.
        annealing_steps: Steps over which the weight rises from 0.
        free_nats: Divergence of a window that costs nothing.
    """

    beta: float = 0.2
    annealing_steps: int = 500
    free_nats: float = 32.0

    def __post_init__(self) -> None:
        check_fields(self, "loss", POSITIVE, "annealing_steps")
        check_fields(self, "loss", NOT_NEGATIVE, "beta", "free_nats")


@dataclass(frozen=True)
class VaeConfig(FamilyConfig):
    """One run of the autoencoder.

    Args:
        loss: Weight of the divergence.
    """

    objective: str = "vae"
    name: str = "vae"
    model: VaeModelConfig = field(default_factory=VaeModelConfig)
    loss: VaeLossConfig = field(default_factory=VaeLossConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        is_window = self.data.window_16ths == WINDOW_STEPS
        check(is_window, "data.window_16ths", self.data.window_16ths, f"give {WINDOW_STEPS}, two bars of 4/4")
