"""One clock for leases and due times: the database's, where there is a server that has one."""

from datetime import datetime

from django.db import connection
from django.utils import timezone


def now() -> datetime:
    """Read once per pass and handed on. On PostgreSQL the workers' own clocks may disagree; this one cannot."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
