"""The settings of a web server that dies where a request asks it to."""

import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

from cineflow.settings import *  # noqa: F403 - all of them, and one middleware more
from cineflow.settings import MIDDLEWARE as LIVING

MIDDLEWARE = ["tests.api.mortal.Mortal", *LIVING]
HEADER = "X-Dies-Before"  # the beginning of a statement, or this word:
ANSWER = "answer"


class Mortal:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        last = request.headers.get(HEADER)

        def until(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if last and sql.startswith(last):
                die()
            return execute(sql, *rest)

        with connection.execute_wrapper(until):
            response = self.get_response(request)
        if last == ANSWER:
            die()
        return response


def die() -> None:
    """As the kernel does it: nothing is rolled back, closed or said by us."""
    os.kill(os.getpid(), signal.SIGKILL)
