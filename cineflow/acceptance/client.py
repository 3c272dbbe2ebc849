"""An HTTP client for checks: it says in few words how an answer differs from what it should be."""

import ipaddress
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from cineflow.acceptance.shapes import Error

Shape = TypeVar("Shape", bound=BaseModel)
PREFIX = "/api/v1"
_TIMEOUT_SECONDS = 30


class Unmet(Exception):
    """An expectation that did not hold; the text goes into the record."""


class Bearer(requests.auth.AuthBase):
    """As an `auth` and not as a header, since requests lets ~/.netrc overwrite a header."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Api:
    """The API at `url`, called with `token`; each call may name another one, and "" for none."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.session = requests.Session()
        self.session.trust_env = not _is_loopback(self.url)

    def call(
        self, method: str, path: str, *, token: str | None = None, **arguments: Any
    ) -> requests.Response:
        auth = Bearer(self.token if token is None else token)
        return self.session.request(
            method, f"{self.url}{path}", auth=auth, timeout=_TIMEOUT_SECONDS, **arguments
        )

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("GET", f"{PREFIX}{path}", **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("POST", f"{PREFIX}{path}", **arguments)

    def patch(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("PATCH", f"{PREFIX}{path}", **arguments)


def _is_loopback(url: str) -> bool:
    """A proxy of the environment must not stand between us and this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Unmet(otherwise)


def read(response: requests.Response, status: int, shape: type[Shape]) -> Shape:
    """The body of an answer that must have this status and this shape."""
    expect_status(response, status)
    try:
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        raise Unmet(f"{status}，但响应不符合约定：{_first_problem(error)}") from None


def read_error(response: requests.Response, status: int, code: str) -> Error:
    error = read(response, status, Error)
    expect(error.code == code, f"{status}，但 code={error.code}（应为 {code}）")
    return error


def expect_status(response: requests.Response, *allowed: int) -> None:
    if response.status_code not in allowed:
        raise Unmet(
            f"{response.status_code}{_code_of(response)}（应为 {' 或 '.join(map(str, allowed))}）"
        )


def _code_of(response: requests.Response) -> str:
    try:
        return f" code={Error.model_validate_json(response.content).code}"
    except ValidationError:
        return ""


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    place = ".".join(map(str, problems[0]["loc"])) or "整个响应"
    more = f"（共 {len(problems)} 处）" if len(problems) > 1 else ""
    return f"{place}: {problems[0]['msg']}{more}"


def wait_for(look: Callable[[], Shape], done: Callable[[Shape], bool], *, seconds: float) -> Shape:
    """Look until it is done or the time is over; returns what was seen last."""
    deadline, pause = time.monotonic() + seconds, 0.05
    while not done(seen := look()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return seen
