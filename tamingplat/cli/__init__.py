"""The command line. ``main`` is the command ``tamingplat``; each command has a file of its own, registered in ``app``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 all done, 1 something failed, 2 the request was wrong, 130 interrupted.

    What the user can mend is told on standard error without a traceback; what only a programmer can mend passes through.

    Args:
        arguments: In place of the process's own.
    """
    from tamingplat.cli.app import Interruption, make_app
    from tamingplat.interfaces import TamingplatError

    try:
        make_app()(args=arguments, prog_name="tamingplat")
    except TamingplatError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except (Interruption, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        from tamingplat.engine import out_of_memory

        told = out_of_memory(error)
        if told is None:
            raise
        sys.stderr.write(f"{told}\n")
        sys.exit(1)
