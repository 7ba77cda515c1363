"""One run of a command: what it returns, and one line for what went wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from medray.errors import find_input_error, root_cause

EXIT_DONE, EXIT_FAILED, EXIT_INPUT = 0, 1, 2


def run_command(command: Callable[[], int], *, debug: bool = False) -> int:
    """Run a command; return 0 done, 1 failed, 2 the input or configuration is wrong."""
    try:
        return command()
    except KeyboardInterrupt:
        print("medray: interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the outermost place: every error becomes one line
        wrong_input = find_input_error(error)
        if debug:
            traceback.print_exc()
        if wrong_input is not None:
            print(f"medray: {wrong_input}", file=sys.stderr)
            return EXIT_INPUT
        cause = root_cause(error)
        first_line = (str(cause).strip() or repr(cause)).splitlines()[0]
        hint = "" if debug else " (--debug shows where)"
        print(f"medray: failed: {type(cause).__name__}: {first_line}{hint}", file=sys.stderr)
        return EXIT_FAILED
