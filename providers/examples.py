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
    "warnings": [],
}
PROVIDER_PATCH = {"priority": 5, "supported_durations": [10, 15]}

MODEL = {
    "id": "veo",
    "display_name": "Veo 3.1",
    "description": "Google's: 4, 6 or 8 s, with sound.",
    "enabled": True,
    "live": True,
    "why_not_live": None,
    "providers": [
        {
            "provider_id": "openrouter",
            "provider_model_id": "google/veo-3.1",
            "configured": True,
            "live": True,
            "why_not_live": None,
            "retired_at": "2026-12-31",
            "retires_in_days": 39,
            "durations": [4, 6, 8],
            "resolutions": ["horizontal", "vertical"],
            "image_inputs": ["inline", "url"],
            "pro": "never",
            "max_prompt_length": None,
            "price_per_second": 0.4,
            "price_as_of": "2026-11-01",
            "limits": {"max_in_flight": 20, "max_per_minute": None},
            "warnings": [
                "openrouter google/veo-3.1 is ended by its vendor on 2026-12-31, in 39 days: "
                "from then on nothing is sent to it."
            ],
        },
        {
            "provider_id": "replicate",
            "provider_model_id": "google/veo-3.1",
            "configured": False,
            "live": False,
            "why_not_live": "set REPLICATE_API_TOKEN",
            "retired_at": None,
            "retires_in_days": None,
            "durations": {"min": 4, "max": 8},
            "resolutions": ["horizontal", "vertical"],
            "image_inputs": ["url"],
            "pro": "never",
            "max_prompt_length": None,
            "price_per_second": None,
            "price_as_of": None,
            "limits": {"max_in_flight": None, "max_per_minute": 600},
            "warnings": [],
        },
    ],
}
ADMIN_MODEL = {
    **MODEL,
    "provider_map": {"openrouter": ["google/veo-3.1"], "replicate": ["google/veo-3.1"]},
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
