"""The one error that a user can mend: wrong input or configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class InputError(Exception):
    """The input or the configuration is wrong; the message is one line: what, where, remedy.

    The command line prints the message and exits with 2; every other exception is a failure of
    the program or the machine and exits with 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def find_input_error(error: BaseException) -> InputError | None:
    """Return the InputError inside ``error``, or None."""
    return next((e for e in _inside(error) if isinstance(e, InputError)), None)


def root_cause(error: BaseException) -> BaseException:
    """Return the innermost error: what went wrong, not who passed it on."""
    return list(_inside(error))[-1]


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and, one after another, the errors that it was made from.

    Ray wraps what a worker raised, in ``cause`` (RayTaskError), ``worker_failures`` or
    ``controller_failure`` (Train), and chains what it re-raises; all of these are followed.
    """
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        current = pending.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        yield current
        seen.add(id(current))
        failures = getattr(current, "worker_failures", None)
        pending += list(failures.values()) if isinstance(failures, dict) else []
        for name in ("cause", "controller_failure", "__cause__"):
            pending.append(getattr(current, name, None))
        if not current.__suppress_context__:  # "raise ... from None" is the whole story
            pending.append(current.__context__)
