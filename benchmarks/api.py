"""The requests that are measured."""

from typing import Any

STORYBOARDS = "/api/v1/storyboards"
RUNS = "/api/v1/runs"
_PAGE = 100


def dry_run_of(storyboard_id: str) -> dict[str, Any]:
    return {"storyboard_id": storyboard_id, "model_id": "sora2", "dry_run": True}


def reads(storyboard: dict[str, Any], run: dict[str, Any]) -> dict[str, str]:
    """Paths of what a client shows, by a name for the table."""
    last_task, last_segment = (
        -(-run["total_tasks"] // _PAGE),
        -(-storyboard["segment_count"] // _PAGE),
    )
    tasks, segments = f"{RUNS}/{run['id']}/tasks", f"{STORYBOARDS}/{storyboard['id']}/segments"
    return {
        "one run": f"{RUNS}/{run['id']}",
        "runs": f"{RUNS}?page_size={_PAGE}",
        "tasks, first page": f"{tasks}?page_size={_PAGE}",
        "tasks, last page": f"{tasks}?page_size={_PAGE}&page={last_task}",
        "tasks, completed": f"{tasks}?page_size={_PAGE}&status=completed",
        "segments, first page": f"{segments}?page_size={_PAGE}",
        "segments, last page": f"{segments}?page_size={_PAGE}&page={last_segment}",
    }
