"""The error envelope of the OpenAI Videos protocol."""

from aiohttp import web

from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.downloads import html
from providers.simulator.faults import Fault, UnknownDirective


class Refused(Exception):
    """A request that gets the error envelope; raised anywhere below a route."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.error = {"message": message, "type": kind, "param": param, "code": code}
        self.headers = headers or {}

    def answer(self) -> web.Response:
        return web.json_response({"error": self.error}, status=self.status, headers=self.headers)


# status: type, code, message
_STATUSES = {
    400: ("invalid_request_error", None, "Your request could not be processed."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("billing_error", "insufficient_balance", "Your balance is too low for this request."),
    403: ("invalid_request_error", None, "You are not allowed to do this."),
    408: ("server_error", None, "The request timed out."),
    409: ("invalid_request_error", None, "The request conflicts with another one."),
    410: ("invalid_request_error", None, "This is no longer here."),
    422: ("invalid_request_error", None, "Your request could not be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
}
_OVERLOADED = ("server_error", "server_error", "The server had an error. Please try again later.")


def scripted(fault: Fault) -> web.Response:
    """The answer of a fault that is a bare status."""
    if fault.name == "502":
        return html(502)
    status = status_of(fault)
    if status is None:
        raise UnknownDirective(f"this dialect has no {fault.name}")
    kind, code, message = _STATUSES.get(status, _OVERLOADED)
    headers = waiting_headers(fault)
    return Refused(status, message, code=code, kind=kind, headers=headers).answer()


def invalid() -> Refused:
    message = "Invalid value: '3'. Supported values are: '4', '8', and '12'."
    return Refused(400, message, code="invalid_value", param="seconds")


def moderated() -> Refused:
    message = "Your request was blocked by our moderation system."
    return Refused(400, message, code="moderation_blocked")


def out_of_quota() -> Refused:
    message = "You exceeded your current quota, please check your plan and billing details."
    return Refused(429, message, code="insufficient_quota", kind="insufficient_quota")


def model_gone(model: str | None = None) -> Refused:
    name = f"model '{model}'" if model else "model"
    message = f"The {name} does not exist or you do not have access to it."
    return Refused(404, message, code="model_not_found")


def not_found(job_id: str) -> Refused:
    return Refused(404, f"Video with id '{job_id}' not found.", param="video_id")
