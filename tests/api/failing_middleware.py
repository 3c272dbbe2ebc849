from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tests.api.failing_urls import SECRET


def fails(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        raise RuntimeError(SECRET)

    return middleware
