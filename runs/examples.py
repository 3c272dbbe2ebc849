"""Example bodies of the OpenAPI document."""

from drf_spectacular.utils import OpenApiExample

_RUN_ID = "run_01jd8xk3m5p7q9rstvwxyz0123"
_TASK_ID = "task_01jd8xk3m5p7q9rstvwxyz0456"
_SB_ID = "sb_01jd8xk3m5p7q9rstvwxyz0789"

RUN_REQUEST = OpenApiExample(
    "dry run",
    request_only=True,
    value={
        "storyboard_id": _SB_ID,
        "model_id": "sora2",
        "routing_strategy": "default",
        "gen_count": 1,
        "concurrency": 3,
        "range": "all",
        "output_mode": "centralized",
        "output_path": None,
        "dry_run": True,
        "force": False,
    },
)
_RUN = {
    "id": _RUN_ID,
    "status": "running",
    "total_tasks": 2,
    "completed": 0,
    "failed": 0,
    "download_failed": 0,
    "created_at": "2026-01-02T10:12:10.000000Z",
    "storyboard_id": _SB_ID,
    "storyboard_name": "storyboard_demo.json",
    "model_id": "sora2",
    "dry_run": True,
    "queued": 1,
    "running": 1,
    "canceled": 0,
    "started_at": "2026-01-02T10:12:11.000000Z",
    "finished_at": None,
    "routing_strategy": "default",
    "provider_id": None,
    "gen_count": 1,
    "concurrency": 3,
    "range": "all",
    "output_mode": "centralized",
    "output_path": None,
    "force": False,
    "waiting_reason": None,
}
RUN = OpenApiExample("run", response_only=True, status_codes=["200"], value=_RUN)
CREATED_RUN = OpenApiExample(
    "run",
    response_only=True,
    status_codes=["201"],
    value={
        **_RUN,
        "warnings": [
            "openrouter google/veo-3.1 is ended by its vendor on 2026-12-31, in 39 days: "
            "from then on nothing is sent to it."
        ],
    },
)
_TASK = {
    "id": _TASK_ID,
    "status": "completed",
    "video_url": f"/api/v1/tasks/{_TASK_ID}/download",
    "metadata_url": f"/api/v1/tasks/{_TASK_ID}/metadata",
    "full_prompt": "@a1 waves. [Scene: Room | Props: lamp] (Director Note: Warm)",
    "error_msg": None,
    "error_code": None,
    "retryable": None,
    "segment_index": 1,
    "run_id": _RUN_ID,
    "segment_id": "seg_01jd8xk3m5p7q9rstvwxyz0abc",
    "take": 1,
    "provider_id": "preview",
    "provider_model_id": "preview",
    "progress": 100,
    "waiting_reason": None,
    "possibly_billed": False,
    "attempts": 1,
    "created_at": "2026-01-02T10:12:10.000000Z",
    "updated_at": "2026-01-02T10:12:14.000000Z",
    "started_at": "2026-01-02T10:12:11.000000Z",
    "finished_at": "2026-01-02T10:12:14.000000Z",
}
TASK = OpenApiExample("completed", response_only=True, status_codes=["200", "202"], value=_TASK)
FAILED_TASK = OpenApiExample(
    "failed",
    response_only=True,
    status_codes=["200"],
    value={
        **_TASK,
        "status": "failed",
        "video_url": None,
        "error_msg": "Rate limit reached",
        "error_code": "rate_limited",
        "retryable": True,
        "progress": None,
    },
)
METADATA = OpenApiExample(
    "metadata",
    response_only=True,
    status_codes=["200"],
    value={
        "id": _TASK_ID,
        "run_id": _RUN_ID,
        "storyboard_id": _SB_ID,
        "segment_id": "seg_01jd8xk3m5p7q9rstvwxyz0abc",
        "segment_index": 1,
        "take": 1,
        "status": "completed",
        "dry_run": False,
        "model_id": "preview",
        "segment": {"segment_index": 1, "prompt_text": "Alice waves.", "duration_seconds": 4},
        "full_prompt": "@a1 waves.",
        "error_code": None,
        "error_msg": None,
        "retryable": None,
        "possibly_billed": False,
        "attempts": [
            {"number": 1, "phase": "done", "provider_id": "preview", "provider_job_id": "preview-1"}
        ],
        "file": {
            "bytes": 48213,
            "sha256": "9f86d081…",
            "seconds": 4.0,
            "width": 1280,
            "height": 720,
        },
        "cost": {"currency": "USD", "estimated": 0.0, "possibly_more": False},
        "routing": {"strategy": "default", "choice": "preview preview"},
    },
)
