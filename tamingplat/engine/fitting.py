"""Tokenizers that are fitted rather than trained by gradients."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from tamingplat.engine.clock import Clock, Contention, PeakMemory
from tamingplat.engine.devices import device_name
from tamingplat.engine.processes import from_main_process
from tamingplat.engine.progress import Progress, Report
from tamingplat.engine.randomness import preserved_random_state
from tamingplat.engine.record import CurvePoint, TrainingRecord
from tamingplat.engine.weights import fill_module, module_tensors
from tamingplat.interfaces import TamingplatError, derive_seed
from tamingplat.interfaces.models import Tokenizer

# Seconds between two reports of a fit, which can log very often.
_REPORT_EVERY = 0.2


def fit_tokenizer(
    tokenizer: Tokenizer,
    batches: Callable[[int], Iterable[Tensor]],
    *,
    accelerator: Accelerator,
    seed: int,
    report: Report,
) -> TrainingRecord:
    """Fit a tokenizer on process 0 and give every process the result.

    Afterwards the tokenizer is in eval mode and on the accelerator's device. A fit that is interrupted starts anew.

    Args:
        tokenizer: Has ``fitted`` set; the same in every process.
        batches: Given an epoch, that epoch's images, float (B, C, H, W) in [-1, 1], on any device. Called on process 0 alone.
        accelerator: From ``make_accelerator``.
        seed: Of all that is random in the fit.
        report: Called on process 0 as the fit logs.

    Returns:
        The record, on every process that of process 0; steps and the curve are what the fit logged, operations are not counted.

    Raises:
        TamingplatError: On the other processes, when the fit on process 0 failed with whatever error.
    """
    assert tokenizer.fitted, f"{type(tokenizer).__name__} is trained, not fitted"
    tokenizer.to(accelerator.device)
    fit = _Fit(batches, accelerator.device, report)
    generator = torch.Generator(device=accelerator.device).manual_seed(derive_seed(seed, "fit"))
    error: Exception | None = None
    if accelerator.is_main_process:
        try:
            with preserved_random_state(accelerator.device), fit.clock.running():
                tokenizer.fit(fit.batches, generator=generator, log=fit.log)
        except Exception as caught:  # noqa: BLE001 — raised below, once the waiting processes were told
            error = caught
    failure = from_main_process(None if error is None else f"{type(error).__name__}: {error}", accelerator)
    if error is not None:
        raise error
    if failure is not None:
        raise TamingplatError(f"the fit on process 0 failed: {failure}")
    _share_state(tokenizer, accelerator)
    tokenizer.eval()
    return from_main_process(fit.record(tokenizer, accelerator.num_processes), accelerator)


class _Fit:
    """The images, the clock and the log of one fit."""

    def __init__(self, source: Callable[[int], Iterable[Tensor]], device: torch.device, report: Report) -> None:
        self.source = source
        self.device = device
        self.report = report
        self.clock = Clock(device)
        self.memory = PeakMemory(device)
        self.contention = Contention()
        self.images = 0
        self.points: list[CurvePoint] = []
        self.reported = -_REPORT_EVERY

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The images of an epoch, on the device."""
        source = iter(self.source(epoch))
        while True:
            with self.clock.loading():
                images = next(source, None)
                if images is None:
                    return
                images = images.to(self.device)
            self.images += len(images)
            yield images

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Take what the fit has to say."""
        values = {name: float(value) for name, value in terms.items()}
        seconds = self.clock.read()
        self.points.append(CurvePoint("train", step, self.images, seconds, None, values))
        if time.monotonic() - self.reported >= _REPORT_EVERY:
            self.reported = time.monotonic()
            rate = self.images / max(seconds, 1e-9)
            self.report(Progress(stage="fitting", step=step, steps=0, terms=values, images_per_second=rate))

    def record(self, tokenizer: Tokenizer, processes: int) -> TrainingRecord:
        """The costs and the curve."""
        self.contention.sample()
        return TrainingRecord(
            steps=self.points[-1].step if self.points else 0,
            images=self.images,
            parameters=sum(value.numel() for value in module_tensors(tokenizer).values() if value.is_floating_point()),
            seconds=self.clock.seconds,
            cpu_seconds=self.clock.cpu_seconds,
            loading_seconds=self.clock.loading_seconds,
            logging_seconds=self.clock.logging_seconds,
            flops=None,
            peak_memory_bytes=self.memory.read(),
            device=device_name(self.device),
            host=platform.node(),
            threads=torch.get_num_threads(),
            processes=processes,
            contended=self.contention.seen,
            precision="float32",
            averaged=False,
            resumptions=0,
            curve=tuple(self.points),
        )


def _share_state(tokenizer: Tokenizer, accelerator: Accelerator) -> None:
    """Give every process the state of process 0, where the fit ran."""
    if accelerator.num_processes > 1:
        tensors = {name: broadcast(value.clone()) for name, value in module_tensors(tokenizer).items()}
        fill_module(tokenizer, tensors, where="process 0")
