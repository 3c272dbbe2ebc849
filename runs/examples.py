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
        "conform": "route",
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
    "paused_at": None,
    "routing_strategy": "default",
    "provider_id": None,
    "conform": "nearest_longer",
    "gen_count": 1,
    "concurrency": 3,
    "range": "all",
    "output_mode": "centralized",
    "output_path": None,
    "force": False,
    "waiting_reason": None,
}
RUN = OpenApiExample("run", response_only=True, status_codes=["200"], value=_RUN)
LAUNCHED = OpenApiExample(
    "created",
    response_only=True,
    status_codes=["201"],
    value={
        **_RUN,
        "conform_plan": [
            {
                "segment_index": 2,
                "seconds": 10,
                "outcome": "longer",
                "provider_id": "openai",
                "provider_model_id": "sora-2",
                "asked_seconds": 12,
                "why": "none that can take it makes 10 s; "
                "openai sora-2 as 12 s (of 4, 8, 12 s) is first by priority",
            }
        ],
        "conform_plan_rest": 0,
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
_CANDIDATE = {
    "provider_id": "openai",
    "provider_model_id": "sora-2",
    "taken": True,
    "why": "taken as 12 s",
    "asked_seconds": 12,
    "priority": 20,
    "weight": 10,
    "price_per_second": 0.1,
    "price": 1.2,
    "latency_p50": None,
    "latency_p95": None,
    "free_slots": 3,
    "free_share": 0.75,
    "left_this_minute": None,
    "balance": 25.5,
    "balance_currency": "USD",
    "held_until": None,
}
_DECISION = {
    "strategy": "failover",
    "conform": "nearest_longer",
    "decided_at": "2026-01-02T10:12:11Z",
    "requested_seconds": 10,
    "asked_seconds": 12,
    "provider_id": "openai",
    "provider_model_id": "sora-2",
    "looked_at": "priority: openai 20",
    "reason": "first by priority",
    "candidates": [
        _CANDIDATE,
        {
            **_CANDIDATE,
            "provider_id": "sora_hk",
            "provider_model_id": "sora2",
            "taken": False,
            "why": "set SORA_API_KEY",
            "asked_seconds": 10,
            "priority": 10,
            "price_per_second": None,
            "price": None,
            "free_slots": None,
            "free_share": None,
            "balance": None,
            "balance_currency": None,
        },
    ],
}
_ROUTE = {
    "task_id": _TASK_ID,
    "run_id": _RUN_ID,
    "segment_index": 1,
    "take": 1,
    "status": "running",
    **_DECISION,
    "waiting_for": None,
    "waiting_until": None,
    "attempts": [
        {"number": 1, "phase": "accepted", "error_code": None, "decision": _DECISION},
    ],
}
ROUTE = OpenApiExample("routed", response_only=True, status_codes=["200"], value=_ROUTE)
WAITING_ROUTE = OpenApiExample(
    "waits",
    response_only=True,
    status_codes=["200"],
    value={
        **_ROUTE,
        "status": "queued",
        "asked_seconds": None,
        "provider_id": None,
        "provider_model_id": None,
        "looked_at": "",
        "reason": "Waiting for a provider. openai sora-2: is held until 10:13:00 UTC (rate limited).",
        "candidates": [
            {
                **_CANDIDATE,
                "taken": False,
                "why": "is held until 10:13:00 UTC (rate limited)",
                "held_until": "2026-01-02T10:13:00Z",
            }
        ],
        "waiting_for": "Waiting for a provider. openai sora-2: is held until 10:13:00 UTC (rate limited).",
        "waiting_until": "2026-01-02T10:13:00Z",
        "attempts": [],
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
        "cost": {
            "currency": "USD",
            "billed_seconds": 4,
            "estimated": 0.0,
            "possibly_more": False,
        },
        "conform": "route",
        "requested_seconds": 4,
        "routing": {**_DECISION, "waits": False},
    },
)
