"""The process of ``checking``: examines components and writes a line of JSON about each promise to standard output."""

from __future__ import annotations

import base64
import dataclasses
import json
import pickle
import sys
from functools import partial
from typing import Any

from tamingplat.interfaces import TamingplatError
from tamingplat.registry.probe_process import own_output


def main() -> None:
    """Examine what standard input names: pickled requests, from the process that started this one."""
    told = own_output()

    def tell(**what: Any) -> None:
        told.write(json.dumps(what) + "\n")
        told.flush()

    def begin(reference: str, promise: str) -> None:
        tell(begin=[reference, promise])

    requests, left_out = pickle.loads(base64.b64decode(sys.stdin.read()))
    # Imports the component's own modules, and torch: nothing is said until then but that it begins.
    from tamingplat.testing.kit import iterate_promises

    tell(ready=True)
    for request in requests:
        try:
            for verdict in iterate_promises(request, left_out=left_out, begin=partial(begin, request.reference)):
                tell(verdict=dataclasses.asdict(verdict))
        except TamingplatError as error:
            tell(wrong=str(error))
            return
    tell(end=True)


if __name__ == "__main__":
    main()
