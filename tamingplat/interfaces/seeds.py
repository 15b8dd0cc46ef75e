"""Seeds by address: every use of randomness names itself instead of consuming a shared stream."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*address: str | int) -> int:
    """A 63-bit seed for an address such as ``(seed, "train_prior", epoch)``.

    The same address gives the same seed on every machine and in every process; different addresses give independent ones.
    """
    digest = hashlib.sha256(json.dumps(address, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
