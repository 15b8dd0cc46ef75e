"""Where training time went: the share of loading and of logging in every training of a store.

    python experiments/benchmarks/training_profile.py STORE

Times are those that each training recorded of itself. Exits with 1 where loading and logging together take a tenth or more.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tamingplat.store import Store

LIMIT = 0.1


def main(root: Path) -> int:
    """Print a line per training."""
    table = Table("training", "steps", "ms/step", "loading", "logging", "both")
    largest = 0.0
    for artifact in Store(root).artifacts():
        record = artifact.details["result"]
        if artifact.stage not in ("train_tokenizer", "train_prior") or not record["steps"] or record["flops"] is None:
            continue
        seconds, loading, logging = (record[name] for name in ("seconds", "loading_seconds", "logging_seconds"))
        share = (loading + logging) / seconds
        largest = max(largest, share)
        shares = [f"{part / seconds:.1%}" for part in (loading, logging)]
        table.add_row(
            artifact.details["label"], str(record["steps"]), f"{1000 * seconds / record['steps']:.1f}", *shares, f"{share:.1%}"
        )
    Console(width=140).print(table)
    print(f"largest share of loading and logging: {largest:.1%}")
    return int(largest >= LIMIT)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
