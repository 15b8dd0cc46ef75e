"""The loop that trains every tokenizer and every prior."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import torch
from accelerate import Accelerator

from tamingplat.engine.batches import BatchOrder, Rows, TrainingData, TrainingRows, load_batches, to_device, training_schedule
from tamingplat.engine.devices import AUTOCAST_TYPES, check_division
from tamingplat.engine.interrupts import StopRequest
from tamingplat.engine.phases import Phase
from tamingplat.engine.processes import share_buffers, sum_of_processes, wrap
from tamingplat.engine.progress import Progress, Report
from tamingplat.engine.randomness import AddressedRandomness, preserved_random_state
from tamingplat.engine.record import CurvePoint, TrainingRecord
from tamingplat.engine.state import TrainingState, make_record
from tamingplat.engine.terms import stack_terms, term_names
from tamingplat.engine.tracking import TrackedRun
from tamingplat.engine.validation import validation_terms
from tamingplat.interfaces import TamingplatError, TrainingSettings
from tamingplat.interfaces.models import Trainable


def train(
    model: Trainable,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    accelerator: Accelerator,
    seed: int,
    work: Path,
    report: Report,
    config: Mapping[str, Any] = MappingProxyType({}),
    stop: Callable[[], bool] = lambda: False,
    track: TrackedRun | None = None,
) -> TrainingRecord:
    """Train a model, or continue a training that was interrupted.

    Afterwards the model holds the final weights (the averaged ones where ``ema_decay`` is set, with the model's own buffers),
    is in eval mode and on the accelerator's device. PyTorch's default generators are left as they were.

    A run that was killed and is started again with the same arguments ends with the same weights, optimizer states, averages
    and logged terms, bit for bit, as one that was not: on the same machine and build, with the same thread and process counts,
    without ``compile``, and as far as the device's kernels are deterministic. Several processes are given equal shares of every
    batch.

    Args:
        model: Initialised, and the same in every process.
        data: Training and validation examples.
        settings: Of the training.
        accelerator: From ``make_accelerator``.
        seed: Of the batch order, of dropout, and of all else that is random in training.
        work: Folder of this training alone, seen by every process: checkpoints and ``curve.jsonl``.
        report: Called on process 0 at most every ``log_every`` steps and when a validation begins.
        config: What is trained, for whoever reads a checkpoint's ``state.json``; JSON-able, and not read again.
        stop: Asked after every step whether to stop, beside SIGINT and SIGTERM. Several processes stop together, at the next
            step whose terms are logged.
        track: Told every point of the curve that this call adds to it; by process 0 alone.

    Returns:
        The record, on every process that of process 0.

    Raises:
        TamingplatError: The batch cannot be divided among the processes, or there are no training examples, or a tracker cannot
            begin.
        TrainingDivergedError: A loss or a weight is not finite. No checkpoint with such weights is written.
        CheckpointMismatchError: ``work`` holds the checkpoint of another training.
        KeyboardInterrupt: It was asked to stop; a checkpoint of the last finished step is in ``work``.
    """
    check_division(settings, accelerator.num_processes)
    assert accelerator.mixed_precision == "no", "precision is the loop's own; make the Accelerator with make_accelerator"
    assert accelerator.gradient_accumulation_steps == 1, "accumulation is the loop's own; use make_accelerator"
    if data.length < 1:
        raise TamingplatError("there are no training examples")
    work.mkdir(parents=True, exist_ok=True)
    with preserved_random_state(accelerator.device), StopRequest(stop) as request:
        run = _Run(model, data, settings, accelerator, seed, work, report, config, request)
        try:
            run.track(track)
            run.all_steps()
            return run.finish()
        finally:
            run.release()


class _Run:
    """One call of ``train``."""

    def __init__(
        self,
        model: Trainable,
        data: TrainingData,
        settings: TrainingSettings,
        accelerator: Accelerator,
        seed: int,
        work: Path,
        report: Report,
        config: Mapping[str, Any],
        request: StopRequest,
    ) -> None:
        self.data = data
        self.settings = settings
        self.accelerator = accelerator
        self.seed = seed
        self.report = report
        self.request = request
        self.device = accelerator.device
        self.model = model.to(self.device).train()
        self.state = TrainingState(self.model, settings, accelerator, seed=seed, work=work, config=config)
        some_unused = any(phase.others for phase in self.state.phases.values())
        self.wrapped = wrap(self.model, accelerator, some_unused=some_unused)
        self.compiled = torch.compile(self.wrapped) if settings.compile else self.wrapped
        self.randomness = AddressedRandomness(seed, self.device)
        self.started = (self.state.step, self.state.clock.seconds)
        self.reported = self.started
        self.rate = 0.0
        self.tracked: TrackedRun | None = None

    def track(self, track: TrackedRun | None) -> None:
        """Tell a tracker how far the run is, and every point of the curve from here on."""
        if track is not None and self.accelerator.is_main_process:
            track.begin(self.state.step)
            self.tracked = track

    def autocast(self) -> torch.autocast:
        """The arithmetic of a forward pass."""
        kind = AUTOCAST_TYPES[self.settings.precision]
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    def all_steps(self) -> None:
        """Train to the last step, with all validations and checkpoints that are due."""
        state, settings = self.state, self.settings
        parts = settings.accumulation_steps
        schedule = training_schedule(
            range(state.step, settings.steps),
            settings.batch_size,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            accumulation_steps=parts,
        )
        order = BatchOrder(self.data.length, settings.batch_size, self.seed)
        with state.clock.running():
            if not self._validate_if_due():  # the run can have been stopped in front of a validation
                self._stop()
            batches = load_batches(TrainingRows(self.data, order), schedule, workers=settings.workers, device=self.device)
            with closing(batches):
                while state.step < settings.steps:
                    self._step([self._next(batches) for _ in range(parts)])
                    self._after_step()

    def _next(self, batches: Iterator[tuple[Rows, dict[str, torch.Tensor]]]) -> Any:
        with self.state.clock.loading():
            rows, loaded = next(batches)
            loaded = to_device(loaded, self.device)
        total = self.settings.batch_size
        return self.data.prepare(loaded, address=rows.batch, rows=(rows.start, rows.stop), total=total)

    def _step(self, batches: list[Any]) -> None:
        """One optimizer step of every phase that is due."""
        state = self.state
        names = tuple(self.model.phases_at(state.step))
        with state.flops.step(names) as counted:
            # Operations are counted one by one, which a compiled model hides.
            model = self.wrapped if counted else self.compiled
            for name in names:
                self._step_phase(state.phases[name], batches, model)
        if names:
            state.scaler.update()
        with torch.no_grad():
            self.model.after_step(state.step, self.randomness.at("after step", state.step))
        if state.average is not None:
            state.average.update()
        state.step += 1

    def _step_phase(self, phase: Phase, batches: list[Any], model: Callable[..., dict[str, torch.Tensor]]) -> None:
        state, step = self.state, self.state.step
        vectors: list[torch.Tensor] = []
        names: tuple[str, ...] = ()
        with phase.alone(step):
            for part, batch in enumerate(batches):
                last = part == len(batches) - 1
                generator = self.randomness.at("train", step, phase.name, self.accelerator.process_index, part)
                with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                    with self.autocast():
                        terms = model(batch, step=step, phase=phase.name, generator=generator)
                    names = term_names(phase.name, terms, several=len(self.model.phases) > 1)
                    self.accelerator.backward(state.scaler.scale(terms["total"] / len(batches)))
                vectors.append(stack_terms(terms))
            if self.settings.gradient_clip is not None:
                state.scaler.unscale_(phase.optimizer)
                self.accelerator.clip_grad_norm_(phase.parameters, self.settings.gradient_clip)
            state.scaler.step(phase.optimizer)
            phase.optimizer.zero_grad(set_to_none=True)
        state.terms.add(step, phase.name, names, vectors)

    def _after_step(self) -> None:
        """Log, validate, write a checkpoint and stop, as far as each is due."""
        state, settings = self.state, self.settings
        finished = state.step == settings.steps
        saving = finished or state.step % settings.checkpoint_every == 0
        logging = finished or state.step % settings.log_every == 0
        fetching = logging or saving or state.terms.full
        stopping = self._asked_to_stop(agreeing=fetching)
        if fetching:
            with state.clock.logging():
                state.terms.fetch()
                if logging:
                    self._log(CurvePoint("train", *self._position(), state.terms.take()))
        # A validation that a stop prevents is made up for when the run is continued.
        stopping = stopping or not self._validate_if_due()
        if saving or stopping:
            with state.clock.paused():
                state.save()
        if stopping:
            self._stop()

    def _asked_to_stop(self, *, agreeing: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return bool(self.request)
        return agreeing and sum_of_processes(float(bool(self.request)), self.accelerator) > 0

    def _stop(self) -> NoReturn:
        raise KeyboardInterrupt(f"training was stopped after step {self.state.step} of {self.settings.steps}")

    def _validate_if_due(self) -> bool:
        """Whether all is well: ``False`` where a due validation was broken off by a request to stop."""
        state, settings = self.state, self.settings
        regular = settings.validate_every and state.step and state.step % settings.validate_every == 0
        due = state.step == settings.steps or regular
        if not due or state.validated == state.step or not self.data.validation_length:
            return True
        with state.clock.paused():
            self._tell("validating")
            share_buffers(self.model, self.accelerator)
            with nullcontext() if state.average is None else state.average.applied():
                terms = validation_terms(
                    self.model,
                    self.data,
                    settings,
                    accelerator=self.accelerator,
                    autocast=self.autocast,
                    randomness=self.randomness,
                    step=state.step,
                    stopped=lambda: bool(self.request),
                )
            state.contention.sample()
            if terms is None:
                return False
            self._log(CurvePoint("validation", *self._position(), terms))
            state.validated = state.step
            return True

    def _position(self) -> tuple[int, int, float, int]:
        state = self.state
        return state.step, state.step * self.settings.batch_size, state.clock.read(), state.flops.total

    def _log(self, point: CurvePoint) -> None:
        """Everything that is logged passes here."""
        self.state.curve.add(point)
        if self.tracked is not None:
            with self.state.clock.paused():  # a tracker may be a server far away
                self.tracked.point(point)
        if point.split == "train":
            self._tell("training")

    def _tell(self, stage: str) -> None:
        if not self.accelerator.is_main_process:
            return
        step, seconds = self.state.step, self.state.clock.read()
        done, spent = step - self.started[0], seconds - self.started[1]
        if stage == "training":
            images = (step - self.reported[0]) * self.settings.batch_size
            self.rate = images / max(seconds - self.reported[1], 1e-9)
            self.reported = step, seconds
        self.report(
            Progress(
                stage=stage,
                step=step,
                steps=self.settings.steps,
                terms=self.state.terms.latest,
                images_per_second=self.rate,
                eta_seconds=spent / done * (self.settings.steps - step) if done else None,
            )
        )

    def finish(self) -> TrainingRecord:
        """Leave the final weights in the model and say what they cost."""
        state, accelerator = self.state, self.accelerator
        if state.average is not None:
            state.average.apply()
        share_buffers(self.model, accelerator)
        self.model.eval()
        state.contention.sample()
        return make_record(state)

    def release(self) -> None:
        """Let go of everything that the model does not need."""
        for parameter in self.model.parameters():
            parameter.grad = None
        if self.wrapped is not self.model:
            self.accelerator.free_memory()  # it would hold every model that it ever wrapped
