"""What a project tries beside mixture and size (section ``vary`` of its file)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from leadsman.strict_yaml import Strict

Rate = Annotated[float, Field(gt=0, le=1)]


class VarySpec(Strict):
    """Settings tried by further small runs around the first choice; an empty list tries none."""

    share: float = Field(0.25, gt=0, le=2, description="most compute, as a share of the ladder's")
    lr: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.003, 0.012), description="peak learning rates beside the default"
    )
    batch_tokens: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (512, 2048), description="beside the default; whole sequences"
    )
    keep: tuple[Rate, ...] = Field((0.1, 0.5), description="rates beside selection.keep")
    added_share: float = Field(
        0.25, ge=0, le=0.5, description="of the tokens, moved to one source after the other"
    )
    optimizer: tuple[str, ...] = Field((), description="beside adamw, such as muon")
    precision: tuple[Literal["bf16", "float32"], ...] = ()
    methods: tuple[dict[str, dict[str, Any]], ...] = Field(
        (), description="training methods, such as {gstack: {factor: 2, after_tokens: 65536}}"
    )

    def rates(self, keep: float) -> list[float]:
        """Selection rates that are not the reference, each once."""
        return [each for each in dict.fromkeys(self.keep) if abs(each - keep) > 1e-9]
