"""The examples in the OpenAPI document."""

CAPABILITIES = {
    "supports_image_to_video": True,
    "supported_durations": [10, 15, 25],
    "supported_resolutions": ["horizontal", "vertical"],
    "supports_pro": True,
}
CLOSED = {"held_until": None, "hold_reason": None, "breaker": "closed"}
PROVIDER = {
    "id": "sora_hk",
    "display_name": "Sora.hk",
    "enabled": True,
    "priority": 10,
    "weight": 10,
    **CAPABILITIES,
    "configured": False,
    **CLOSED,
    "provider_models": [
        {"name": "sora2", **CLOSED},
        {
            "name": "sora2-pro",
            "held_until": "2026-11-22T10:15:00Z",
            "hold_reason": "There is no such model. (HTTP 404)",
            "breaker": "open",
        },
    ],
}
PROVIDER_PATCH = {"priority": 5, "supported_durations": [10, 15]}

MODEL = {
    "id": "sora2",
    "display_name": "Sora2",
    "description": "For everyday shots.",
    "enabled": True,
}
ADMIN_MODEL = {
    **MODEL,
    "provider_map": {
        "sora_hk": ["sora2"],
        "openai": ["sora-2"],
        "aihubmix": ["sora-2", "web-sora-2"],
    },
}
MODEL_PATCH = {"display_name": "Sora 2", "description": None}
ROUTES_PATCH = {"provider_model_ids": ["sora-2", "web-sora-2"]}

CLIENT_EVENTS = {
    "events": [
        {
            "event_type": "api_error",
            "severity": "error",
            "timestamp": "2026-11-22T10:15:00Z",
            "endpoint": "/api/v1/runs",
            "method": "POST",
            "status_code": 503,
            "error_code": "unavailable",
            "message": "The run could not be created.",
        }
    ]
}
RECEIPTS = {
    "count": 1,
    "events": [
        {
            "event_id": "evt_01kam3v0w4e8v9t0c5r1m7q2xz",
            "received_at": "2026-11-22T10:15:00.412000Z",
        }
    ],
}
