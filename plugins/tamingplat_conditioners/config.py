"""Settings of the conditioners."""

from __future__ import annotations

from pydantic import Field, model_validator

from tamingplat.interfaces import Config


class ClassConfig(Config):
    """Settings of ``class``."""

    classes: tuple[str, ...] | None = Field(
        None,
        description="The dataset's classes that are told apart, by name and in this order; all others share one more token. "
        "None tells all classes apart, in the dataset's order.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of training examples whose class is replaced by the null token; guidance needs some.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> ClassConfig:
        if self.classes is not None:
            if not self.classes:
                raise ValueError("classes must name at least one class; leave it out to tell all classes apart")
            repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
            if repeated:
                raise ValueError(f"classes names {', '.join(repeated)} more than once")
        return self
