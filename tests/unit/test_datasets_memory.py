"""Memory does not grow with the number of images."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

# Anonymous memory is what belongs to the process; pages of a mapped file are the system's to take back at any time.
_READ = """
import json, sys
from pathlib import Path
from tamingplat_datasets.config import ImageFolderConfig, ParquetConfig
from tamingplat_datasets.imagefolder import ImageFolderDataset
from tamingplat_datasets.parquet import ParquetDataset

folder = Path(sys.argv[1])

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

def parquet(count):
    path = folder / f"{count}.parquet"
    return ParquetDataset(ParquetConfig(train=path, validation=path, size=32, label_column=""), {})

def imagefolder(count):
    return ImageFolderDataset(ImageFolderConfig(root=folder / str(count), size=32), {})

results = {}
for make in (parquet, imagefolder):
    used = []
    for count in (300, 301, 3000):  # the first one pays for imports and allocators
        dataset = make(count)
        for split, images in dataset.info.splits.items():
            for index in range(images):
                dataset.read(split, index)
        used.append(anonymous())
    results[make.__name__] = used
print(json.dumps(results))
"""


def encoded(number: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from /proc")
def test_ten_times_the_images_take_no_more_memory(tmp_path: Path) -> None:
    images = [encoded(number) for number in range(3000)]
    for count in (300, 301, 3000):
        pq.write_table(pa.table({"image": images[:count]}), tmp_path / f"{count}.parquet")
        for number, image in enumerate(images[:count]):
            path = tmp_path / str(count) / str(number % 2) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image)
    environment = {**os.environ, "TAMINGPLAT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _READ, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for name, (_, few, many) in json.loads(done.stdout).items():
        # 2,700 more images are 32 MiB of pixels on disk.
        assert many - few < 8, f"{name}: {few:.1f} MiB with 300 images, {many:.1f} MiB with 3000"
