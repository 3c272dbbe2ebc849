"""The error envelope of the OpenAI Videos protocol."""

from aiohttp import web

from providers.simulator.downloads import html
from providers.simulator.faults import Fault


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
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.error = {"message": message, "type": kind, "param": param, "code": code}
        self.headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}

    def answer(self) -> web.Response:
        return web.json_response({"error": self.error}, status=self.status, headers=self.headers)


# status: type, code, message
_SCRIPTED = {
    "400": ("invalid_request_error", None, "Your request could not be processed."),
    "401": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "402": ("billing_error", "insufficient_balance", "Your balance is too low for this request."),
    "403": ("invalid_request_error", None, "You are not allowed to do this."),
    "408": ("server_error", None, "The request timed out."),
    "429": ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
}
_OVERLOADED = ("server_error", "server_error", "The server had an error. Please try again later.")


def scripted(fault: Fault) -> web.Response:
    """The answer of a fault that is a bare status."""
    if fault.name == "502":
        return html(502)
    kind, code, message = _SCRIPTED.get(fault.name, _OVERLOADED)
    return Refused(
        int(fault.name), message, code=code, kind=kind, retry_after=fault.argument
    ).answer()


def rate_limited(retry_after: int | None) -> Refused:
    kind, code, message = _SCRIPTED["429"]
    return Refused(429, message, code=code, kind=kind, retry_after=retry_after)


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
