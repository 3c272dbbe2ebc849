"""Example bodies of the OpenAPI document."""

from drf_spectacular.utils import OpenApiExample

_SEGMENT_ID = "seg_01jd8xk3m5p7q9rstvwxyz0123"

STORYBOARD = OpenApiExample(
    "storyboard",
    response_only=True,
    status_codes=["200", "201"],
    value={
        "id": "sb_01jd8xk3m5p7q9rstvwxyz0789",
        "name": "storyboard_demo.json",
        "created_at": "2026-01-02T10:10:10.000000Z",
        "segment_count": 2,
    },
)
SEGMENT = OpenApiExample(
    "segment",
    response_only=True,
    status_codes=["200"],
    value={
        "id": _SEGMENT_ID,
        "segment_index": 1,
        "prompt_text": "[Alice] opens the window; the harbour wakes below her.",
        "image_url": None,
        "asset": {
            "characters": [{"name": "Alice", "id": "@alice"}],
            "scene": "Attic room",
            "props": ["brass telescope"],
        },
        "is_pro": False,
        "duration_seconds": 10,
        "resolution": "horizontal",
        "director_intent": "Quiet before the journey.",
    },
)
CHANGES = OpenApiExample(
    "some fields",
    request_only=True,
    value={
        "prompt_text": "City sunrise, wide shot",
        "duration_seconds": 12,
        "director_intent": None,
    },
)
SCHEMA_ERROR = OpenApiExample(
    "schema_error",
    response_only=True,
    status_codes=["400"],
    value={
        "code": "schema_error",
        "message": "Invalid storyboard schema",
        "details": {
            "errors": [
                {
                    "loc": ["segments", 0, "prompt_text"],
                    "msg": "Prompt text cannot be empty.",
                    "type": "value_error",
                }
            ]
        },
    },
)
START_IMAGE = OpenApiExample(
    "start image",
    response_only=True,
    status_codes=["200"],
    value={"image_url": "/uploads/0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png"},
)
