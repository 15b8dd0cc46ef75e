"""A program that becomes another one, after asking the kernel to end it when its parent ends.

    python tether.py PARENT COMMAND [ARGUMENT]…

PARENT is the process that has to be the parent, or 0 for whichever it is. Run as a file, so that it needs nothing but the
standard library. Without it, a stage would go on alone, and hold its lock, when the process that started it is killed. It
also undoes an ignored interrupt, which a shell gives to what it runs in the background and which would make a stage deaf to
the request to stop.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tethered(parent: int) -> list[str]:
    """The beginning of a command line that ties what follows to its parent."""
    return [sys.executable, "-I", "-S", __file__, str(parent)]


def main() -> None:
    """Become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        # Kept across exec. Refused only by a kernel without it, where a stage is as free as on other systems.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit(f"process {parent}, which started this one, is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
