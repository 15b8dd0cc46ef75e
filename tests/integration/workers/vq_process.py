"""One of several processes that train a small VQGAN, for test_vq_processes: each on its rows of every batch.

Run as ``vq_process.py RANK PROCESSES RENDEZVOUS OUT``; writes the terms of three steps and the state after them to OUT, with
synchronised statistics and without.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.vqgan import VQGAN

from tamingplat.interfaces import NoConfig

STEPS, BATCH = 3, 4


def train(rank: int, processes: int, sync: bool) -> dict[str, torch.Tensor]:
    """Terms of every step, averaged over processes, and the state at the end."""
    torch.manual_seed(0)
    config = VQGANConfig(
        codebook_size=11,
        embedding_dim=5,
        downsampling=1,
        channels=4,
        norm_groups=2,
        residual_blocks=1,
        perceptual="none",
        discriminator_channels=4,
        discriminator_layers=2,
        discriminator_start=1,
        sync=sync,
    )
    model = VQGAN(config, {"perceptual": NoDistance(NoConfig(), {})}, image_size=(16, 16), channels=3)
    images = torch.rand(STEPS, BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    # Unequal halves of a batch, so that statistics of one half are not those of the whole.
    images[:, BATCH // 2 :] *= 0.3
    rows = slice(rank * BATCH // processes, (rank + 1) * BATCH // processes)
    parameters = {
        phase: [parameter for group in model.phase_parameters(phase) for parameter in group.parameters]
        for phase in model.phases
    }
    optimizers = {phase: torch.optim.SGD(own, 0.05) for phase, own in parameters.items()}
    record: dict[str, torch.Tensor] = {}
    for step in range(STEPS):
        for phase in model.phases_at(step):
            terms = model({"image": images[step, rows]}, step=step, phase=phase, generator=None)
            optimizers[phase].zero_grad()
            terms["total"].backward()
            for parameter in parameters[phase]:
                assert parameter.grad is not None
                if processes > 1:
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= processes
            optimizers[phase].step()
            for name, term in terms.items():
                mean = term.detach().clone()
                if processes > 1:
                    dist.all_reduce(mean)
                record[f"{step}.{phase}.{name}"] = mean / processes
    return record | {f"state.{name}": tensor.detach().clone() for name, tensor in model.state_dict().items()}


def main(rank: int, processes: int, rendezvous: str, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
    records = {name: train(rank, processes, name == "sync") for name in ("sync", "apart")}
    save_file({f"{name}.{key}": tensor for name, record in records.items() for key, tensor in record.items()}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
