"""An SGLang Diffusion server: no key, numbers for seconds, FastAPI's errors, jobs that tell no prompt.

Facts: sglang 0.5.23, `multimodal_gen/runtime/entrypoints/openai/video_api.py` and `protocol.py`.
"""

import uuid
from typing import Any

from aiohttp import web

from providers.simulator import orders
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.jobs import Job, Order
from providers.simulator.refusals import Refused, Words, detail_envelope, refuse
from providers.simulator.videos import WORDS, Videos

PREFIX = "/sglang/v1"

# Frames are made in steps, so a clip is a little longer than asked for.
_FRAMES_PER_SECOND = 24


class SGLang(Videos):
    words = {
        **WORDS,
        "400": Words(400, "Invalid request body: prompt"),
        "validation": Words(422, "seconds: Input should be a valid integer"),
    }
    failures = {"server_error": (None, "CUDA out of memory.")}
    posts_cancels = False

    def envelope(self, words: Words) -> dict[str, object]:
        return detail_envelope(words)

    def gets_in(self, engine: Engine, key: str) -> bool:
        return True

    def new_id(self, order: Order) -> str:
        return str(uuid.uuid4())

    async def read_order(self, request: web.Request) -> Order:
        fields = await orders.fields_of(request)
        prompt = orders.prompt_of(fields)
        width, height = orders.pixels_of(fields.get("size", "1280x720"))
        seconds = orders.whole_seconds(fields.get("seconds", 4))
        # The object form is refused here.
        picture = orders.text_or_file(fields.get("reference_url") or fields.get("input_reference"))
        model = orders.model_of(fields)
        return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        shown = super().video(request, job)
        del shown["prompt"]
        frames = job.order.seconds * _FRAMES_PER_SECOND + 1
        running = shown["status"] in ("queued", "in_progress")
        capped = isinstance(shown["progress"], int) and running
        return {
            **shown,
            "seconds": f"{frames / _FRAMES_PER_SECOND:g}",
            "progress": min(shown["progress"], 99) if capped else shown["progress"],
            "url": None,
            "file_path": f"/outputs/{job.id}.mp4" if shown["completed_at"] else None,
            "num_outputs": 1,
        }

    def failure(self, job: Job) -> dict[str, Any]:
        return {"message": super().failure(job)["message"]}

    def deleted(self, request: web.Request, job: Job) -> web.Response:
        """It forgets the job; the work goes on."""
        shown = self.video(request, job)
        request.config_dict[ENGINE].delete(job)
        return web.json_response({**shown, "status": "deleted"})

    def not_found(self, job_id: str) -> Refused:
        return refuse(404, "Video not found")

    def not_ready(self, job: Job) -> Refused:
        return refuse(404, "Generation is still in-progress")


build_app = SGLang().build_app
