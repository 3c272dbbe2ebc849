"""What an operator sees of the machine: everything read-only, except retrying, canceling and deciding."""

from runs.admin.attempts import AttemptAdmin, HeartbeatAdmin
from runs.admin.decisions import DecisionAdmin
from runs.admin.runs import RunAdmin
from runs.admin.tasks import TaskAdmin

__all__ = ["AttemptAdmin", "DecisionAdmin", "HeartbeatAdmin", "RunAdmin", "TaskAdmin"]
