"""Django's page for an exception, with DEBUG on: it shows every variable of every frame."""

from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter

from cineflow.core.redaction import redacted


class Reporter(ExceptionReporter):
    """The whole of it, but for the secrets of the settings."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(redacted(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redacted(super().get_traceback_text()))
