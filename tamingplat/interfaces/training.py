"""How a component is trained: the ``train`` block of a manifest, and a component's defaults for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tamingplat.interfaces.config import Config, Runtime


class TrainingSettings(Config):
    """Settings of the training loop. A component gives defaults; a manifest's ``train`` block overrides them."""

    steps: int = Field(1000, ge=0, description="Optimizer steps.")
    batch_size: int = Field(32, ge=1, description="Images per step, over all processes and accumulation steps together.")
    learning_rate: float = Field(3e-4, gt=0, description="Peak learning rate.")
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="Adam, or Adam with decoupled weight decay.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="Adam's decay rates of the two moments.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of the parameters that the model marks for it.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "constant", description="Learning rate after the warm-up: constant, or decayed to final_learning_rate_fraction."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises linearly from zero.")
    final_learning_rate_fraction: float = Field(
        0.0, ge=0, le=1, description="Share of the peak learning rate that a decaying schedule ends at."
    )
    gradient_clip: float | None = Field(None, gt=0, description="Largest global gradient norm, per phase; none clips nothing.")
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="Decay of an exponential moving average of the weights, which is then the result."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Arithmetic of the forward pass; weights stay float32."
    )
    accumulation_steps: int = Field(1, ge=1, description="Parts into which a process splits its batch to save memory.")
    validate_every: int = Field(0, ge=0, description="Steps between validations; 0 validates at the end alone.")
    validation_images: int = Field(2048, ge=1, description="At most so many validation images, the first ones, per validation.")
    checkpoint_every: Annotated[int, Runtime()] = Field(500, ge=1, description="Steps between resumable checkpoints.")
    log_every: Annotated[int, Runtime()] = Field(10, ge=1, description="Steps between logged loss terms.")
    workers: Annotated[int, Runtime()] = Field(0, ge=0, description="Processes that load data beside the training process.")
    compile: Annotated[bool, Runtime()] = Field(False, description="Compile the model with torch.compile.")

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSettings:
        if self.batch_size % self.accumulation_steps:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by accumulation_steps {self.accumulation_steps}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas must lie in [0, 1)")
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} exceeds steps {self.steps}")
        return self
