"""Django's admin, with the number of open decisions wherever their list is linked."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from runs import decisions

_COUNTED = 1_000


class Site(AdminSite):
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        for model in (model for app in apps for model in app["models"]):
            if model["object_name"] == "Decision":
                model["name"] = _name(decisions.number_open(_COUNTED + 1))
        return apps


def _name(number: int) -> str:
    if not number:
        return "Decisions"
    return f"Decisions ({_COUNTED:,}+)" if number > _COUNTED else f"Decisions ({number:,})"
