"""Promises of every tokenizer.

Shape letters: B batch, C/H/W image, N code positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

from tamingplat.interfaces.models import Tokenizer


@torch.no_grad()
def check_round_trip_state(tokenizer: Tokenizer, build: Callable[[], Tokenizer], images: Tensor) -> None:
    """The state dict, written as safetensors and read into a newly built tokenizer, gives bitwise the same codes and images.

    Args:
        tokenizer: Trained, fitted or with random weights.
        build: Builds another of the same settings, with other weights.
        images: float (B, C, H, W) in [-1, 1].
    """
    restored = build()
    restored.load_state_dict(load(save({name: value.contiguous() for name, value in tokenizer.state_dict().items()})))
    size = (images.shape[2], images.shape[3])
    pairs = []
    for one in (tokenizer.eval(), restored.to(images.device).eval()):
        codes = one.encode(images)
        pairs.append((codes, one.decode(codes, size)))
    for what, first, second in zip(("codes", "decoded images"), *pairs, strict=True):
        assert torch.equal(first, second), (
            f"State round trip: {what} of the restored tokenizer differ at {int((first != second).sum())} of {first.numel()} "
            "places. Look for state that is no parameter and no persistent buffer, and for parts that became submodules"
        )


@torch.no_grad()
def check_encode_deterministic(tokenizer: Tokenizer, images: Tensor) -> None:
    """In eval mode ``encode`` draws nothing and changes nothing: twice the same images, twice the same codes."""
    tokenizer.eval()
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    drawn: list[Tensor] = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            torch.manual_seed(seed)
            drawn.append(tokenizer.encode(images))
    assert torch.equal(*drawn), (
        f"Encoding is deterministic: {int((drawn[0] != drawn[1]).sum())} of {drawn[0].numel()} codes change with torch's seed. "
        "Look for dropout or noise that eval mode leaves on"
    )
    changed = [name for name, value in tokenizer.state_dict().items() if not torch.equal(value, before[name])]
    assert not changed, f"Encoding in eval mode changes no state: it changed {', '.join(changed)}"


@torch.no_grad()
def check_code_range(tokenizer: Tokenizer, images: Tensor) -> None:
    """Codes are int64 (B, N) in [0, V) as the code space says, and decode to images of the same shape."""
    tokenizer.eval()
    size = (images.shape[2], images.shape[3])
    space = tokenizer.code_space(size)
    codes = tokenizer.encode(images)
    assert codes.dtype == torch.int64 and codes.shape == (len(images), space.length), (
        f"Codes are int64 (B, N) = ({len(images)}, {space.length}): they are {codes.dtype} {tuple(codes.shape)}"
    )
    assert int(codes.min()) >= 0 and int(codes.max()) < space.vocab_size, (
        f"Codes lie in [0, {space.vocab_size}): they lie in [{int(codes.min())}, {int(codes.max())}]"
    )
    decoded = tokenizer.decode(codes, size)
    assert decoded.shape == images.shape and decoded.is_floating_point(), (
        f"Codes decode to float images of shape {tuple(images.shape)}: got {decoded.dtype} {tuple(decoded.shape)}"
    )
    assert bool(decoded.isfinite().all()), (
        "Decoded images are finite: some pixels are not. Look at normalisation of flat images"
    )


def check_phase_gradients(
    tokenizer: Tokenizer, batch: Mapping[str, Tensor], *, step: int, generator: torch.Generator | None = None
) -> None:
    """Every phase of a step gives one scalar to differentiate, and its gradient reaches all that the phase's optimizer steps.

    Args:
        tokenizer: What is checked; set to training mode. Its gradients are left at ``None``.
        batch: ``image``, float (B, C, H, W) in [-1, 1], and other columns that it trains on.
        step: Late enough for every phase to run, or some phases are not checked.
        generator: Randomness of the step.
    """
    tokenizer.train()
    owner: dict[int, str] = {}
    names = {id(parameter): name for name, parameter in tokenizer.named_parameters()}
    for phase in tokenizer.phases:
        for group in tokenizer.phase_parameters(phase):
            for parameter in group.parameters:
                name = names[id(parameter)]
                assert id(parameter) not in owner, f"Phases share no parameter: {name} is in {owner[id(parameter)]} and {phase}"
                owner[id(parameter)] = phase
    for phase in tokenizer.phases_at(step):
        tokenizer.zero_grad(set_to_none=True)
        terms = tokenizer(batch, step=step, phase=phase, generator=generator)
        for name, value in terms.items():
            assert value.shape == () and bool(value.isfinite()), f"Loss terms are finite scalars: {phase}'s {name} is {value}"
            assert (name == "total") == value.requires_grad, (
                f"total is differentiated and the other terms are detached: {phase}'s {name} "
                f"{'requires' if value.requires_grad else 'has no'} gradient"
            )
        terms["total"].backward()
        mine = [(names[id(p)], p) for group in tokenizer.phase_parameters(phase) for p in group.parameters]
        without = [name for name, parameter in mine if parameter.grad is None]
        assert not without, f"Gradients of phase {phase} reach all its parameters: none reaches {', '.join(without)}"
        gradients = [(name, parameter.grad) for name, parameter in mine if parameter.grad is not None]
        wrong = [name for name, gradient in gradients if not bool(gradient.isfinite().all())]
        assert not wrong, f"Gradients of phase {phase} are finite: those of {', '.join(wrong)} are not"
        assert any(bool(gradient.any()) for _, gradient in gradients), f"Gradients of phase {phase} are not all zero: they are"
    tokenizer.zero_grad(set_to_none=True)
