"""The one error that a user can mend: wrong input or configuration."""

from __future__ import annotations


class InputError(Exception):
    """The input or the configuration is wrong; the message is one line: what, where, remedy.

    The command line prints the message and exits with 2; every other exception is a failure of
    the program or the machine and exits with 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def find_input_error(error: BaseException | None) -> InputError | None:
    """Return the InputError inside ``error``, or None.

    Ray wraps what a worker raised, in ``cause`` (RayTaskError) or ``worker_failures``
    and ``controller_failure`` (Train), and chains what it re-raises; all of these are followed.
    """
    seen: set[int] = set()
    pending = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        if isinstance(current, InputError):
            return current
        seen.add(id(current))
        pending += [current.__cause__, current.__context__, getattr(current, "cause", None)]
        pending.append(getattr(current, "controller_failure", None))
        worker_failures = getattr(current, "worker_failures", None)
        if isinstance(worker_failures, dict):
            pending += list(worker_failures.values())
    return None
