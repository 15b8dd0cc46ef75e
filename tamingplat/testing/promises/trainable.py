"""What tokenizers and priors promise as models that the training loop trains.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces.models import Trainable
from tamingplat.testing.promises.kinds import check_same, close, difference
from tamingplat.testing.subject import BATCH, Subject
from tamingplat.testing.tokenizers import check_phase_gradients
from tamingplat.testing.verdicts import NotApplicable

_LATE = 10_000_000
STEPS = 3

BatchOf = Callable[[Subject, int], Any]


@dataclass(frozen=True)
class TrainingPromises:
    """The promises of one kind of model.

    Attributes:
        batch: What the kind is trained on, of a number of images.
        on_meta: The same where weights have no memory.
    """

    batch: BatchOf
    on_meta: BatchOf

    def all(self) -> tuple[Callable[[Subject], None], ...]:
        """In the order in which they are examined."""
        return (
            self.phases_own_their_parameters,
            self.losses_are_finite,
            self.validation_draws_nothing,
            self.training_repeats,
            self.state_is_complete,
            self.trains_on_a_batch_of_one,
            self.trains_in_bfloat16,
            self.parameters_are_counted_without_memory,
            self.training_is_counted_without_memory,
        )

    def phases_own_their_parameters(self, subject: Subject) -> None:
        """Phases share no parameter; each has finite gradients that reach all that its optimizer steps; terms are detached."""
        model = trained_by_gradients(subject)
        step = step_of_all_phases(model)
        assert step is not None, f"no step up to {_LATE} runs all phases {model.phases}. Look at phases_at"
        check_phase_gradients(model, self.batch(subject, BATCH), step=step, generator=torch.Generator().manual_seed(0))

    def losses_are_finite(self, subject: Subject) -> None:
        """Loss terms are finite scalars, one of them named total, in training and in validation, at the first step and late."""
        model, batch = subject.make(), self.batch(subject, BATCH)
        for training in (True, False):
            model.train(training)
            for step in (0, _LATE):
                for phase in model.phases_at(step):
                    with torch.set_grad_enabled(training):
                        terms = model(
                            batch, step=step, phase=phase, generator=torch.Generator().manual_seed(0) if training else None
                        )
                    where = f"{'training' if training else 'validation'} of phase {phase} at step {step}"
                    assert "total" in terms, f"{where} gives {', '.join(terms)}, and no total. Look at what forward returns"
                    wrong = [name for name, term in terms.items() if term.shape != () or not bool(term.isfinite())]
                    assert not wrong, f"{where}: {', '.join(f'{name} is {terms[name]}' for name in wrong)}. Look at forward"

    def validation_draws_nothing(self, subject: Subject) -> None:
        """Without a generator, in eval mode and without gradients, forward always gives the same terms and changes nothing."""
        model, batch = subject.make().eval(), self.batch(subject, BATCH)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        for phase in model.phases_at(0):
            with torch.no_grad():
                first, second = (model(batch, step=0, phase=phase, generator=None) for _ in range(2))
            changing = [name for name in first if not torch.equal(first[name], second[name])]
            assert not changing, f"{', '.join(changing)} of phase {phase} differ from call to call. Look for dropout and noise"
        changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
        assert not changed, f"validation changed {', '.join(changed)}. Look at statistics that are updated outside training"

    def training_repeats(self, subject: Subject) -> None:
        """Training steps with the same seed end in the same weights, bit by bit, and move some of them."""
        initial = {name: value.clone() for name, value in subject.make().state_dict().items()}
        ends = []
        for seed in (1, 2):
            torch.manual_seed(seed)  # of no influence: all randomness comes from generators
            model = subject.make()
            self.train(subject, model)
            ends.append({name: value.clone() for name, value in model.state_dict().items()})
        differing = [name for name, value in ends[0].items() if not torch.equal(value, ends[1][name])]
        assert not differing, (
            f"{', '.join(differing)} differ between two trainings of the same seed. Look for randomness without the generator"
        )
        assert any(not torch.equal(value, initial[name]) for name, value in ends[0].items()), "training moves nothing"

    def state_is_complete(self, subject: Subject) -> None:
        """The state dict, loaded into another object of the same settings, gives the same result, bit by bit."""
        model = subject.make()
        self.train(subject, model)
        other = subject.make(seed=1)
        other.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
        check_same(
            subject.result(other.eval()),
            subject.result(model.eval()),
            "the restored model gives another result",
            "for state that is no parameter and no persistent buffer",
        )

    def trains_on_a_batch_of_one(self, subject: Subject) -> None:
        """A single image trains and validates: the last batch of a split may hold no more."""
        model = trained_by_gradients(subject)
        batch = self.batch(subject, 1)
        step = step_of_all_phases(model)
        for training in (True, False):
            model.train(training)
            for phase in model.phases_at(step or 0):
                with torch.set_grad_enabled(training):
                    generator = torch.Generator().manual_seed(0) if training else None
                    terms = model(batch, step=step or 0, phase=phase, generator=generator)
                wrong = [name for name, term in terms.items() if not bool(term.isfinite())]
                assert not wrong, f"{', '.join(wrong)} of phase {phase} are not finite. Look at statistics over the batch"

    def trains_in_bfloat16(self, subject: Subject) -> None:
        """Under autocast to bfloat16 losses and gradients are finite, and total is close to what float32 gives."""
        model, batch = trained_by_gradients(subject), self.batch(subject, BATCH)
        step = step_of_all_phases(model) or 0
        for phase in model.phases_at(step):
            totals = []
            for enabled in (False, True):
                model.zero_grad(set_to_none=True)
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                    terms = model(batch, step=step, phase=phase, generator=torch.Generator().manual_seed(0))
                terms["total"].backward()
                totals.append(float(terms["total"].detach()))
            wrong = [
                name for name, one in model.named_parameters() if one.grad is not None and not bool(one.grad.isfinite().all())
            ]
            assert not wrong, f"gradients of phase {phase} are not finite: {', '.join(wrong)}. Look at without_autocast"
            assert abs(totals[1] - totals[0]) <= 0.2 * (1 + abs(totals[0])), (
                f"total of phase {phase} is {totals[1]:.4g} and in float32 {totals[0]:.4g}. Look at sums and differences that "
                "need float32: without_autocast keeps it"
            )

    def parameters_are_counted_without_memory(self, subject: Subject) -> None:
        """Built on the meta device, where plans count, it has the same parameters and buffers, none of them with memory."""
        expected = {name: tuple(value.shape) for name, value in subject.built.state_dict().items()}
        with torch.device("meta"):
            model = subject.make()
        found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        assert found == expected, f"on the meta device it has {found}, and else {expected}. Look at the constructor"
        solid = [name for name, value in model.named_parameters() if not value.is_meta]
        assert not solid, f"{', '.join(solid)} have memory. Look for tensors that are made on a device by name"

    def training_is_counted_without_memory(self, subject: Subject) -> None:
        """A training step of every phase runs on the meta device, where plans count its operations."""
        trained_by_gradients(subject)
        with torch.device("meta"):
            model = subject.make()
            step = step_of_all_phases(model) or 0
            for phase in model.phases_at(step):
                terms = model(self.on_meta(subject, BATCH), step=step, phase=phase, generator=None)
                assert terms["total"].is_meta, "total is not on the meta device. Look for tensors that are made elsewhere"
                terms["total"].backward()

    def train(self, subject: Subject, model: Any) -> None:
        """Some training steps, or a fit, with all randomness from generators of their own."""
        if getattr(model, "fitted", False):
            images = self.batch(subject, BATCH)["image"]
            model.fit(lambda epoch: [images], generator=torch.Generator().manual_seed(0), log=lambda step, terms: None)
            return
        train_steps(model, self.batch(subject, BATCH), STEPS)


def train_steps(model: Trainable, batch: Any, steps: int, learning_rate: float = 1e-2) -> None:
    """Train a model a little, as the training loop does: each phase's own optimizer on its own parameters."""
    model.train()
    start = step_of_all_phases(model) or 0
    optimizers = {
        phase: torch.optim.AdamW(
            [parameter for group in model.phase_parameters(phase) for parameter in group.parameters], lr=learning_rate
        )
        for phase in model.phases
    }
    for step in range(start, start + steps):
        for phase in model.phases_at(step):
            mine = {id(one) for group in optimizers[phase].param_groups for one in group["params"]}
            others = [one for one in model.parameters() if one.requires_grad and id(one) not in mine]
            for one in others:
                one.requires_grad_(False)
            optimizers[phase].zero_grad(set_to_none=True)
            model(batch, step=step, phase=phase, generator=torch.Generator().manual_seed(step))["total"].backward()
            optimizers[phase].step()
            for one in others:
                one.requires_grad_(True)
        with torch.no_grad():
            model.after_step(step, torch.Generator().manual_seed(step))


def step_of_all_phases(model: Trainable) -> int | None:
    """The first power of ten, or 0, at which all phases run; ``None`` where there is none."""
    steps = (0, *(10**power for power in range(8)))
    return next((step for step in steps if tuple(model.phases_at(step)) == tuple(model.phases)), None)


def trained_by_gradients(subject: Subject) -> Any:
    """A new model.

    Raises:
        NotApplicable: It is fitted, and has no gradients.
    """
    model = subject.make()
    if getattr(model, "fitted", False):
        raise NotApplicable("it is fitted and has no gradients")
    return model


def check_rows(seen: Sequence[Tensor], together: Sequence[Tensor], tolerance: float) -> None:
    """Hold results of single images to be those of the whole batch."""
    for one, other in zip(seen, together, strict=True):
        assert close(one, other, tolerance), (
            f"in batches of one: {difference(one, other)}. Look for statistics of the batch, and for rows that are mixed"
        )


def moved(batch: Mapping[str, Tensor], device: str) -> dict[str, Tensor]:
    """A batch of columns on another device."""
    return {name: value.to(device) for name, value in batch.items()}
