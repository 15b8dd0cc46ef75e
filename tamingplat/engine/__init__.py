"""How anything is trained: one Accelerate loop for every tokenizer and every prior. Knows no plugin."""

from tamingplat.engine.batches import TrainingData
from tamingplat.engine.clock import PeakMemory
from tamingplat.engine.devices import available_devices, check_training, device_name, make_accelerator, resolve_device
from tamingplat.engine.errors import CheckpointMismatchError, EngineWarning, TrainingDivergedError
from tamingplat.engine.fitting import fit_tokenizer
from tamingplat.engine.loop import train
from tamingplat.engine.progress import Progress, Report
from tamingplat.engine.record import CurvePoint, TrainingRecord
from tamingplat.engine.weights import load_weights, save_weights

__all__ = [
    "CheckpointMismatchError",
    "CurvePoint",
    "EngineWarning",
    "PeakMemory",
    "Progress",
    "Report",
    "TrainingData",
    "TrainingDivergedError",
    "TrainingRecord",
    "available_devices",
    "check_training",
    "device_name",
    "fit_tokenizer",
    "load_weights",
    "make_accelerator",
    "resolve_device",
    "save_weights",
    "train",
]
