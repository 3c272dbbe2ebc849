"""What a task and its attempt keep of a failure: the columns, by name."""

from typing import Any

from providers.errors import Failure


def of_task(failure: Failure) -> dict[str, Any]:
    return {
        "error_code": failure.code,
        "error_msg": failure.message,
        "retryable": failure.retryable,
    }


def of_attempt(failure: Failure) -> dict[str, Any]:
    return {
        "error_code": failure.code,
        "error_msg": failure.message,
        "http_status": failure.http_status,
        "provider_code": failure.provider_code[:64],
    }


# An attempt that has got over its error.
NONE: dict[str, Any] = {
    "error_code": "",
    "error_msg": "",
    "http_status": None,
    "provider_code": "",
}
