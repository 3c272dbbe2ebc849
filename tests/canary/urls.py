"""The real addresses, and some that fail with a key in their hands."""

from typing import NoReturn

from django.http import HttpRequest
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from cineflow.urls import urlpatterns as real
from providers import registry


def crash(request: HttpRequest) -> NoReturn:
    account = registry.account("openai")
    headers = {"Authorization": f"Bearer {account.key}"}
    raise RuntimeError(f"{account.key} in {headers}")


class Crash(APIView):
    def get(self, request: Request) -> NoReturn:
        crash(request._request)


urlpatterns = [
    path("canary/crash", crash),
    path("api/v1/canary/crash", Crash.as_view()),
    *real,
]
