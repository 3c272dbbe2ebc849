import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

Upload = Callable[..., Any]


@pytest.fixture
def api() -> APIClient:
    # A failure of ours has to come back as the 500 that a client would see.
    return APIClient(raise_request_exception=False)


@pytest.fixture
def upload(api: APIClient) -> Upload:
    """Posts a storyboard: bytes, or a value that becomes JSON."""

    def post(content: Any, name: str = "demo.json") -> Any:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        form = {"file": SimpleUploadedFile(name, raw, "application/json")}
        return api.post("/api/v1/storyboards", form, format="multipart")

    return post


def segments(count: int, **fields: Any) -> dict[str, Any]:
    one = {"prompt_text": "A lighthouse", **fields}
    return {"segments": [{"segment_index": index, **one} for index in range(1, count + 1)]}


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 8), **options: Any) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def segment_url(upload: Upload, api: APIClient, db: None) -> str:
    """The address of a fresh segment of 10 seconds."""
    storyboard = upload(segments(1)).json()["id"]
    found = api.get(f"/api/v1/storyboards/{storyboard}/segments").json()["items"][0]
    return f"/api/v1/segments/{found['id']}"
