"""OpenAI's error object, and what a handler raises to be answered with one."""

from __future__ import annotations

from pydantic import BaseModel


class RequestError(Exception):
    """A request that is answered with an error body. ``param`` names the field at fault.

    ``retry_after_s``: what the client is told to wait, where the same request may do later.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        *,
        status: int = 400,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.status, self.code = message, param, status, code
        self.retry_after_s = retry_after_s


class ErrorDetail(BaseModel):
    """OpenAI's error object. ``type`` follows from the status."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """What every answer with a status of 400 and above holds."""

    error: ErrorDetail


_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    504: "timeout_error",
}


def error_body(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> ErrorBody:
    """Return the body of an error answer with HTTP status ``status``."""
    other = "server_error" if status >= 500 else "invalid_request_error"
    kind = _ERROR_TYPES.get(status, other)
    return ErrorBody(error=ErrorDetail(message=message, type=kind, param=param, code=code))
