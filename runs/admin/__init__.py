"""What an operator sees of the machine: everything read-only, except retrying and canceling."""

from runs.admin.attempts import AttemptAdmin, HeartbeatAdmin
from runs.admin.runs import RunAdmin
from runs.admin.tasks import TaskAdmin

__all__ = ["AttemptAdmin", "HeartbeatAdmin", "RunAdmin", "TaskAdmin"]
