"""One of several processes that train codebooks, for test_vq_codebook_processes: each on its rows of every batch.

Run as ``codebook_process.py RANK PROCESSES RENDEZVOUS OUT``; writes the codebooks and all that belongs to them to OUT.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from tamingplat_vq.quantizer import MovingCodebook, VectorQuantizer, code_statistics

STEPS, PARTS, BATCH = 6, 2, 4

MOVING = {
    "averages": MovingCodebook(decay=0.9, clustered=True, revive_after=2),
    "gradients": MovingCodebook(clustered=True, revive_after=2),
    "uniform": MovingCodebook(decay=0.9, revive_after=1),
    # More codes than there are vectors.
    "many": MovingCodebook(decay=0.9, clustered=True, revive_after=1),
}


def train(rank: int, processes: int, name: str) -> dict[str, torch.Tensor]:
    """The state after some steps of two parts each, and the usage of codes in the last part."""
    torch.manual_seed(0)
    model = VectorQuantizer(300 if name == "many" else 80, 3, 0.25, "paper", moving=MOVING[name])
    draws = torch.Generator().manual_seed(1)
    rows = slice(rank * BATCH // processes, (rank + 1) * BATCH // processes)
    statistics = {}
    for step in range(STEPS):
        for _ in range(PARTS):
            latents = torch.randn(BATCH, 3, 4, 4, generator=draws)
            # Rows that differ in kind: a process that looked at its own alone would end elsewhere.
            latents[BATCH // 2 :] = latents[BATCH // 2 :] * 0.2 + 3
            quantized = model(latents[rows], step=step, generator=None)
            statistics = code_statistics(quantized.codes, model.size)
            if name == "gradients":
                (quantized.loss / PARTS).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            if processes > 1:
                dist.all_reduce(parameter.grad)
                parameter.grad /= processes
            parameter.data -= 0.5 * parameter.grad
            parameter.grad = None
        model.after_step(step, torch.Generator().manual_seed(step))
    return {**{key: tensor.detach().clone() for key, tensor in model.state_dict().items()}, **statistics}


def main(rank: int, processes: int, rendezvous: str, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
    records = {name: train(rank, processes, name) for name in MOVING}
    save_file({f"{name}.{key}": tensor for name, record in records.items() for key, tensor in record.items()}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
