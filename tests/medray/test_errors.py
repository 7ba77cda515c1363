from __future__ import annotations

from ray.exceptions import RayTaskError
from ray.train import WorkerGroupError

from medray.errors import InputError, find_input_error, root_cause


def test_the_message_is_one_line() -> None:
    assert str(InputError("a.yaml:\n  key x\n\tis wrong")) == "a.yaml: key x is wrong"


def test_an_input_error_is_found_as_it_is() -> None:
    error = InputError("wrong")
    assert find_input_error(error) is error


def test_an_input_error_is_found_behind_raise_from() -> None:
    inner = InputError("wrong")
    try:
        try:
            raise inner
        except InputError as error:
            raise RuntimeError("outer") from error
    except RuntimeError as outer:
        assert find_input_error(outer) is inner


def test_an_input_error_is_found_behind_an_error_of_its_handler() -> None:
    inner = InputError("wrong")
    try:
        try:
            raise inner
        finally:
            raise RuntimeError("while cleaning up")
    except RuntimeError as outer:
        assert find_input_error(outer) is inner


def test_an_input_error_is_found_in_what_ray_core_raises() -> None:
    inner = InputError("wrong")
    assert find_input_error(RayTaskError("task", "a traceback", inner)) is inner


def test_an_input_error_is_found_in_what_ray_train_raises() -> None:
    inner = InputError("wrong")
    wrapped = RayTaskError("task", "a traceback", inner)
    assert find_input_error(WorkerGroupError("failed", {0: OSError(), 1: wrapped})) is inner


def test_other_errors_hold_no_input_error() -> None:
    assert find_input_error(ValueError("x")) is None
    assert find_input_error(WorkerGroupError("failed", {0: ValueError("x")})) is None


def test_a_ring_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert find_input_error(first) is None


def test_the_root_cause_is_what_went_wrong_in_the_worker() -> None:
    cause = MemoryError("no memory")
    wrapped = RayTaskError("task", "Traceback ...", cause)
    assert root_cause(WorkerGroupError("failed", {0: wrapped})) is cause
    assert root_cause(cause) is cause
