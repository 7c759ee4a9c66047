"""MediaFM: a BERT-style Transformer over the shots of one title.

Shape letters: B titles, S shots, T = 2 + S tokens, H hidden, F fused, M metadata.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from mediafm_core.errors import DimensionError
from mediafm_core.model.block import Block
from mediafm_core.model.centring import Centring
from mediafm_core.model.config import Missing, ModelConfig, Positions, Readout
from mediafm_core.model.fresh import initialise
from mediafm_core.model.positions import N_FRACTION_FEATURES, fraction_features, rotary_turns, rows_as_used
from mediafm_core.model.stem import Stem


class Encoded(NamedTuple):
    """What the encoder makes of titles."""

    shots: Tensor  # (B, S, H) the last hidden state of each shot: its contextual embedding; padding undefined
    cls: Tensor  # (B, H) the last hidden state of [CLS]


class Output(NamedTuple):
    """What the encoder makes of titles, and its prediction of each shot."""

    shots: Tensor  # (B, S, H) as in `Encoded`
    cls: Tensor  # (B, H)
    reconstruction: Tensor  # (B, S, F) in the centred space, of any length; padding undefined


class MediaFM(nn.Module):
    """The encoder. Call `MediaFM.new` for fresh weights; the constructor leaves torch's own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.centring = Centring(config.modality_dims)
        self.input_proj = nn.Linear(config.fused_dims, config.hidden)
        self.global_proj = nn.Linear(config.metadata_dims, config.hidden)
        self.cls = nn.Parameter(torch.empty(config.hidden))
        self.mask = nn.Parameter(torch.empty(config.hidden))
        self.no_metadata = nn.Parameter(torch.empty(config.hidden))
        if config.missing is Missing.LEARNED:
            self.absent = nn.Parameter(torch.empty(len(config.modality_dims), config.hidden))
        if config.stem:
            self.stem = Stem(config.stem, config.hidden)
        if config.positions is Positions.LEARNED:
            self.place = nn.Parameter(torch.empty(config.window, config.hidden))
        else:
            self.fraction_proj = nn.Linear(N_FRACTION_FEATURES, config.hidden, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.output_proj = nn.Linear(config.hidden, config.fused_dims)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.centring.mean.device

    @classmethod
    def new(cls, config: ModelConfig, generator: torch.Generator) -> Self:
        """An encoder with fresh weights, the same for the same state of `generator`, and a zero corpus mean."""
        with torch.device("meta"):
            encoder = cls(config)
        encoder.to_empty(device=generator.device)
        encoder.centring.mean.zero_()
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                initialise(name, parameter, config, generator)
        encoder.load_state_dict(rows_as_used(encoder.state_dict(), config))
        return encoder

    def forward(
        self, fused: Tensor, real: Tensor | None, fraction: Tensor, metadata: Tensor, masked: Tensor | None = None
    ) -> Output:
        """Read titles and predict their shots; the arguments are those of `encode`."""
        encoded = self.encode(fused, real, fraction, metadata, masked)
        return Output(encoded.shots, encoded.cls, self.output_proj(encoded.shots))

    def read(self, fused: Tensor, real: Tensor | None, fraction: Tensor, metadata: Tensor) -> Encoded:
        """Read titles for what is kept of them; as `encode`, but a shot is what `ModelConfig.readout` says."""
        encoded = self.encode(fused, real, fraction, metadata)
        is_projected = self.config.readout is Readout.PROJECTED
        return encoded._replace(shots=self.output_proj(encoded.shots)) if is_projected else encoded

    def encode(
        self, fused: Tensor, real: Tensor | None, fraction: Tensor, metadata: Tensor, masked: Tensor | None = None
    ) -> Encoded:
        """Read titles.

        Args:
            fused: (B, S, F) float32 fused embeddings as they are stored; an absent modality is an all-zero block.
            real: (B, S) bool; false where a row is padding. What stands in padding changes nothing. None where no row
                is: that is faster, and differs from a mask of all true in rounding.
            fraction: (B, S) float32, where in the whole title a shot stands, in [0, 1]; unused by learned positions.
            metadata: (B, M) float32; an all-zero row is a title without metadata.
            masked: (B, S) bool, shots that are hidden behind [MASK]; None hides none.

        Raises:
            DimensionError: a width is not the configured one, or there are more shots than learned positions.
        """
        self._check(fused, metadata)
        shots = self._placed(self._contents(fused, real, masked), fraction)  # (B, S, H)
        B, S, H = shots.shape
        x = torch.cat([self.cls.expand(B, 1, H), self._global(metadata), shots], dim=1)  # (B, T, H)
        readable = None if real is None else torch.cat([real.new_ones(B, 2), real], dim=1)[:, None, None]
        turns = self._turns(S, x)
        for block in self.blocks:
            x = block(x, readable, turns)  # (B, T, H)
        x = self.norm(x)
        return Encoded(x[:, 2:], x[:, 0])

    def _contents(self, fused: Tensor, real: Tensor | None, masked: Tensor | None) -> Tensor:
        """(B, S, H) what each shot is, or [MASK], with the means around it where there is a stem."""
        centred = self.centring(fused if real is None else fused.masked_fill(~real[..., None], 0.0))
        shots = self.input_proj(centred.shots.to(self.cls.dtype))
        if self.config.missing is Missing.LEARNED:
            shots = shots + (~centred.present).to(shots.dtype) @ self.absent
        if masked is not None:
            shots = torch.where(masked[..., None], self.mask, shots)
        if self.config.stem:
            shots = shots + self.stem(shots, _visible(shots, real, masked))
        return shots

    def _global(self, metadata: Tensor) -> Tensor:
        known = (metadata != 0).any(-1, keepdim=True)  # (B, 1)
        return torch.where(known, self.global_proj(metadata.to(self.cls.dtype)), self.no_metadata)[:, None]  # (B, 1, H)

    def _placed(self, shots: Tensor, fraction: Tensor) -> Tensor:
        if self.config.positions is Positions.LEARNED:
            return shots + self.place[: shots.shape[1]]
        return shots + self.fraction_proj(fraction_features(fraction).to(self.cls.dtype))

    def _turns(self, n_shots: int, like: Tensor) -> Tensor | None:
        if self.config.positions is Positions.LEARNED:
            return None
        return rotary_turns(n_shots, self.config.head_dims, like)

    def _check(self, fused: Tensor, metadata: Tensor) -> None:
        c = self.config
        if fused.shape[-1] != c.fused_dims or metadata.shape[-1] != c.metadata_dims:
            raise DimensionError(
                "input of the encoder",
                found=f"shots {fused.shape[-1]} wide, metadata {metadata.shape[-1]}",
                expected=f"shots {c.fused_dims} wide, of {c.modality_dims}, and metadata {c.metadata_dims}",
                next_step="Use the suite that the encoder is bound to.",
            )
        if c.positions is Positions.LEARNED and fused.shape[1] > c.window:
            raise DimensionError(
                "input of the encoder",
                found=f"{fused.shape[1]} shots at once",
                expected=f"at most {c.window}, as many as there are learned positions",
                next_step="Read the title by windows.",
            )


def _visible(shots: Tensor, real: Tensor | None, masked: Tensor | None) -> Tensor:
    """(B, S) bool, false for padding and for masked shots."""
    visible = shots.new_ones(shots.shape[:2], dtype=torch.bool) if real is None else real
    return visible if masked is None else visible & ~masked
