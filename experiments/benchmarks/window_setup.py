"""What the benchmarks of images larger than the window draw, and how: priors with random weights, a batch, and the samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, layout_length
from tamingplat.interfaces.models import Prior, Sampler, SampleRequest, Tokenizer, VisitPlan
from tamingplat.registry import Registry

WINDOW = (16, 16)
VOCABULARY = 512
SEED = 0
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt": {"layers": 4, "heads": 8, "width": 256},
    "pixelsnail": {"layers": 2, "residual_layers": 2, "width": 64},
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "sliding-window": ("sliding-window", {"stride": 1}),
    "stride 4": ("sliding-window", {"stride": 4}),
    "wavefront": ("wavefront", {}),
}


def layout_of(grid: tuple[int, int], condition: str) -> ConditionLayout:
    """A map with one token per code, or nothing."""
    return (ConditionPart("map", VOCABULARY, grid),) if condition == "equal" else ()


def make_prior(registry: Registry, name: str, condition: str, device: torch.device) -> Prior:
    """A prior of a window with its initial weights."""
    component = registry.find("prior", name)
    torch.manual_seed(SEED)
    space = CodeSpace((WINDOW,), VOCABULARY)
    config = component.config.model_validate(CONFIGS[name])
    prior: Prior = registry.load_class(component)(space, layout_of(WINDOW, condition), config, {}).to(device).eval()
    return prior


def make_request(prior: Prior, grid: tuple[int, int], condition: str, batch: int, device: torch.device) -> SampleRequest:
    """A batch of images with random conditions."""
    space, layout = CodeSpace((grid,), VOCABULARY), layout_of(grid, condition)
    tokens = torch.randint(VOCABULARY, (batch, layout_length(layout)), generator=torch.Generator().manual_seed(SEED))
    return SampleRequest(
        prior=prior,
        tokenizer=cast(Tokenizer, None),  # these samplers look at codes alone
        space=space,
        layout=layout,
        plan=VisitPlan.repeat(torch.arange(space.length, device=device), batch),
        condition=tokens.to(device),
        null_condition=None,
        image_size=grid,
        indices=torch.arange(batch, device=device),
        seed=SEED,
        prior_space=CodeSpace((WINDOW,), VOCABULARY),
        prior_layout=layout_of(WINDOW, condition),
    )


def make_sampler(registry: Registry, way: str) -> Sampler:
    """One of the ways to draw."""
    name, settings = WAYS[way]
    component = registry.find("sampler", name)
    sampler: Sampler = registry.load_class(component)(component.config.model_validate({"top_k": 100, **settings}), {})
    return sampler


def synchronise(device: torch.device) -> None:
    """Wait until all that was begun on a device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def pass_over_a_window(prior: Prior, condition: str, batch: int, device: torch.device) -> Callable[[], None]:
    """The reference's work for one code of every image: the logits of all positions of a window."""
    length = WINDOW[0] * WINDOW[1]
    codes = torch.zeros(batch, length, dtype=torch.int64, device=device)
    tokens = torch.zeros(batch, length if condition == "equal" else 0, dtype=torch.int64, device=device)
    plan = VisitPlan.repeat(torch.arange(length, device=device), batch)

    @torch.inference_mode()
    def forward() -> None:
        prior.nll(codes, tokens, plan)

    return forward
