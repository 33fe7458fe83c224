"""``orca-cool`` and ``python -m orca_cool``."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line. What can go wrong while it is loaded is told like all the rest, which
    :mod:`orca_cool.cli.guard` tells.
    """
    try:
        from orca_cool.cli import main
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was written\n")
        sys.exit(130)
    except MemoryError:
        sys.stderr.write("Error: out of memory: there is not enough to load the program\n")
        sys.exit(2)
    main(prog_name="orca-cool")


if __name__ == "__main__":
    run()
