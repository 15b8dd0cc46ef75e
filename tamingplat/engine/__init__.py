"""How anything is trained: one Accelerate loop for every tokenizer and every prior. Knows no plugin."""

from tamingplat.engine.batches import TrainingData
from tamingplat.engine.clock import PeakMemory
from tamingplat.engine.devices import available_devices, check_training, device_name, make_accelerator, resolve_device
from tamingplat.engine.errors import CheckpointMismatchError, EngineWarning, TrainingDivergedError
from tamingplat.engine.estimates import TrainingEstimate, estimate_training, part_size
from tamingplat.engine.fitting import fit_tokenizer
from tamingplat.engine.loop import train
from tamingplat.engine.memory import memory_shortage, out_of_memory, total_memory
from tamingplat.engine.operation_counter import KnownOperations
from tamingplat.engine.progress import Progress, Report
from tamingplat.engine.record import CurvePoint, TrainingRecord
from tamingplat.engine.torch_files import CheckpointFile, read_checkpoint
from tamingplat.engine.tracking import TrackedRun, Tracking, make_tracking
from tamingplat.engine.weights import load_tensors, load_weights, save_tensors, save_weights

__all__ = [
    "CheckpointFile",
    "CheckpointMismatchError",
    "CurvePoint",
    "EngineWarning",
    "KnownOperations",
    "PeakMemory",
    "Progress",
    "Report",
    "TrackedRun",
    "Tracking",
    "TrainingData",
    "TrainingDivergedError",
    "TrainingEstimate",
    "TrainingRecord",
    "available_devices",
    "check_training",
    "device_name",
    "estimate_training",
    "fit_tokenizer",
    "load_tensors",
    "load_weights",
    "make_accelerator",
    "make_tracking",
    "memory_shortage",
    "out_of_memory",
    "part_size",
    "read_checkpoint",
    "resolve_device",
    "save_tensors",
    "save_weights",
    "total_memory",
    "train",
]
