"""A vLLM-Omni server: forms only, failed jobs in an error status, a DELETE that ends a running job.

Facts: vllm_omni 0.30.0, `entrypoints/openai/api_server.py` and `protocol/videos.py`.
"""

import json
import secrets
from typing import Any

from aiohttp import web

from providers.simulator import orders
from providers.simulator.downloads import drop
from providers.simulator.engine import ENGINE
from providers.simulator.faults import Fault
from providers.simulator.jobs import Job, Order
from providers.simulator.refusals import Refused, Words, detail_envelope, refuse
from providers.simulator.videos import WORDS, Videos

PREFIX = "/vllm/v1"


class VLLM(Videos):
    words = {
        **WORDS,
        "400": Words(400, "Model mismatch: the server runs another one."),
        "401": Words(401, "Unauthorized"),
        "validation": Words(422, "seconds: String should match pattern '^[1-9]\\d*$'"),
    }
    failures = {"server_error": ("EngineGenerateError", "The engine failed.")}
    posts_cancels = False

    def envelope(self, words: Words) -> dict[str, object]:
        return detail_envelope(words)

    def new_id(self, order: Order) -> str:
        return f"video_gen_{secrets.token_hex(16)}"

    async def read_order(self, request: web.Request) -> Order:
        if request.content_type != "multipart/form-data":
            raise refuse(422, "Field required: prompt")
        fields = await orders.fields_of(request)
        prompt = orders.prompt_of(fields)
        width, height = orders.pixels_of(fields.get("size", "1280x720"))
        seconds = orders.whole_seconds(fields.get("seconds", "4"))
        picture = _picture(fields)
        model = orders.model_of(fields)
        return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        shown = super().video(request, job)
        if isinstance(shown["progress"], int):
            shown["progress"] = 100 if shown["status"] == "completed" else 0
        return {**shown, "media_type": "video/mp4", "file_name": f"{job.id}.mp4"}

    def polled(self, request: web.Request, job: Job) -> web.Response:
        shown = self.video(request, job)
        if shown["status"] != "failed":
            return web.json_response(shown)
        # In a reply of its own, unlike in the list, the code is a number: that of the reply.
        shown["error"] = {**shown["error"], "code": 500}
        return web.json_response(shown, status=500)

    def deleted(self, request: web.Request, job: Job) -> web.Response:
        engine = request.config_dict[ENGINE]
        match engine.cancel_fault(job):
            case Fault("drop"):
                return drop(request)
            case Fault("too_late" | "unsupported"):
                raise refuse(409, "The job is being canceled already.")
            case Fault("500") as fault:
                return self.scripted(fault)
        engine.cancel(job)
        engine.delete(job)
        return web.json_response({"id": job.id, "deleted": True, "object": "video.deleted"})

    def not_found(self, job_id: str) -> Refused:
        return refuse(404, "Video not found")

    def not_ready(self, job: Job) -> Refused:
        return refuse(404, "The video is not ready yet.")


def _picture(fields: dict[str, Any]) -> orders.Picture:
    """A file, or a JSON string in the form."""
    reference = fields.get("image_reference")
    if reference is None:
        return orders.text_or_file(fields.get("input_reference"))
    try:
        return orders.text_or_file(json.loads(reference)["image_url"])
    except (ValueError, KeyError, TypeError) as error:
        raise refuse(422, "image_reference: Input should be valid JSON") from error


build_app = VLLM().build_app
