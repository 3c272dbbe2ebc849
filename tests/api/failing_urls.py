"""The real addresses, and some that fail as a bug or a lost database would."""

from typing import NoReturn

from django.db import OperationalError
from django.http import HttpRequest
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from cineflow.urls import urlpatterns as real

SECRET = "a-secret-of-the-traceback"


def bug(request: HttpRequest) -> NoReturn:
    raise RuntimeError(SECRET)


def away(request: HttpRequest) -> NoReturn:
    raise OperationalError(SECRET)


class Bug(APIView):
    def get(self, request: Request) -> NoReturn:
        raise RuntimeError(SECRET)


class Away(APIView):
    def get(self, request: Request) -> NoReturn:
        raise OperationalError(SECRET)


urlpatterns = [
    path("api/v1/plain/bug", bug),
    path("api/v1/plain/away", away),
    path("api/v1/view/bug", Bug.as_view()),
    path("api/v1/view/away", Away.as_view()),
    *real,
]
