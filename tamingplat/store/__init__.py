"""Where results live: content keys, atomic artifacts and locks. Knows nothing of images."""

from tamingplat.store.arrays import create_array, open_array, smallest_integer
from tamingplat.store.artifact import Artifact
from tamingplat.store.draft import Draft
from tamingplat.store.fingerprints import fingerprint
from tamingplat.store.keys import canonical_json, content_key
from tamingplat.store.locks import StageBusyError
from tamingplat.store.prune import Pruning, Removal
from tamingplat.store.store import Store

__all__ = [
    "Artifact",
    "Draft",
    "Pruning",
    "Removal",
    "StageBusyError",
    "Store",
    "canonical_json",
    "content_key",
    "create_array",
    "fingerprint",
    "open_array",
    "smallest_integer",
]
