"""What `GET /videos/models` answers: a part of OpenRouter's catalogue, as it was on 2026-10-09."""

from datetime import UTC, datetime
from typing import Any

_WIDE_AND_TALL = ["16:9", "9:16"]
_FIVE = ["16:9", "4:3", "1:1", "3:4", "9:16"]
_SIX = ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]
_SEEDANCE = ["1:1", "3:4", "9:16", "4:3", "16:9", "21:9", "9:21"]
_GROK = ["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3"]
_KLING = ["16:9", "9:16", "1:1"]
_FIRST, _FIRST_AND_LAST = ["first_frame"], ["first_frame", "last_frame"]
_VEO = ["personGeneration", "aspectRatio", "negativePrompt", "conditioningScale", "enhancePrompt"]
_SEEDANCE_720 = [
    *("480x480", "480x640", "480x854", "640x480", "854x480", "1120x480", "720x720", "720x960"),
    *("720x1280", "720x1680", "960x720", "1280x720", "1680x720"),
]
_SEEDANCE_4K = [
    *_SEEDANCE_720,
    *("1080x1080", "1080x1440", "1080x1920", "1440x1080", "1920x1080", "2520x1080"),
    *("3840x2160", "2160x3840", "2160x2160", "2880x2160", "2160x2880", "5040x2160"),
]
_SEEDANCE_25 = [
    *("854x480", "752x560", "640x640", "560x752", "480x854", "992x432"),
    *("1280x720", "1112x834", "960x960", "834x1112", "720x1280", "1470x630"),
]


def _seconds(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def _model(
    slug: str,
    day: str,
    name: str,
    durations: list[int] | None,
    resolutions: list[str] | None,
    ratios: list[str] | None,
    skus: dict[str, str],
    *,
    sizes: list[str] | None = None,
    frames: list[str] | None = None,
    audio: bool | None = None,
    seed: bool | None = None,
    passthrough: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "id": slug,
        "canonical_slug": f"{slug}-{day}",
        "name": name,
        "description": f"{name}, through OpenRouter.",
        "created": int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()),
        "hugging_face_id": None,
        "supported_durations": durations,
        "supported_resolutions": resolutions,
        "supported_aspect_ratios": ratios,
        "supported_sizes": sizes,
        "supported_frame_images": frames,
        "generate_audio": audio,
        "seed": seed,
        "upscale_factor": None,
        "creativity": None,
        "allowed_passthrough_parameters": passthrough or [],
        "pricing_skus": skus,
    }


def _tokens(plain: str, with_video: str) -> dict[str, str]:
    """Prices of a token: width × height × 24 frames / 1024 make the tokens of a second."""
    return {
        "video_tokens": plain,
        "video_tokens_without_audio": plain,
        "video_tokens_with_video_input": with_video,
    }


MODELS: list[dict[str, Any]] = [
    _model(
        "minimax/hailuo-3-max",
        "20260901",
        "MiniMax: Hailuo 3 Max",
        _seconds(5, 15),
        ["768p", "480p"],
        _SIX,
        {
            "duration_seconds": "0.08",
            "duration_seconds_480p": "0.05",
            "duration_seconds_768p": "0.08",
        },
        frames=_FIRST_AND_LAST,
        audio=False,
        seed=False,
        passthrough=["aigc_watermark"],
    ),
    _model(
        "minimax/hailuo-3",
        "20260730",
        "MiniMax: Hailuo 3",
        _seconds(5, 15),
        ["2K"],
        _SIX,
        {"duration_seconds": "0.13", "reference_images": "0.04"},
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=False,
        passthrough=["aigc_watermark"],
    ),
    _model(
        "alibaba/wan-3.0",
        "20260824",
        "Alibaba: Wan 3.0",
        _seconds(2, 30),
        ["480p", "720p", "1080p"],
        _FIVE,
        {
            "duration_seconds_480p": "0.05",
            "duration_seconds_720p": "0.1",
            "duration_seconds_1080p": "0.2",
        },
        frames=_FIRST,
        audio=True,
        seed=True,
    ),
    _model(
        "bytedance/seedance-2.5",
        "20260807",
        "ByteDance: Seedance 2.5",
        _seconds(4, 30),
        ["480p", "720p"],
        _SIX,
        _tokens("0.0000107", "0.0000064"),
        sizes=_SEEDANCE_25,
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=["watermark", "req_key", "output_format"],
    ),
    _model(
        "bytedance/seedance-2.0",
        "20260414",
        "ByteDance: Seedance 2.0",
        _seconds(4, 15),
        ["480p", "720p", "1080p", "4K"],
        _SEEDANCE,
        _tokens("0.000007", "0.0000043")
        | {"video_tokens_1080p": "0.0000077", "video_tokens_4k": "0.000004"},
        sizes=_SEEDANCE_4K,
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=["watermark", "req_key"],
    ),
    _model(
        "bytedance/seedance-2.0-fast",
        "20260414",
        "ByteDance: Seedance 2.0 Fast",
        _seconds(4, 15),
        ["480p", "720p"],
        _SEEDANCE,
        _tokens("0.0000042", "0.000002475"),
        sizes=_SEEDANCE_720,
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=["watermark", "req_key"],
    ),
    _model(
        "x-ai/grok-imagine-video-1.5",
        "20260719",
        "xAI: Grok Imagine Video 1.5",
        _seconds(1, 15),
        ["480p", "720p", "1080p"],
        _GROK,
        {
            "cents_per_image_input": "1",
            "cents_per_video_output_second_480p": "8",
            "cents_per_video_output_second_720p": "14",
            "cents_per_video_output_second_1080p": "25",
        },
        frames=_FIRST,
    ),
    _model(
        "kwaivgi/kling-v3.0-pro",
        "20260429",
        "Kling: v3.0 Pro",
        _seconds(3, 15),
        ["720p"],
        _KLING,
        {"duration_seconds": "0.112", "duration_seconds_with_audio": "0.168"},
        sizes=["1280x720", "720x1280", "720x720"],
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=False,
        passthrough=["negative_prompt", "cfg_scale"],
    ),
    _model(
        "runway/gen-4.5",
        "20260729",
        "Runway: Gen-4.5",
        _seconds(2, 10),
        ["720p"],
        _WIDE_AND_TALL,
        {"cents_per_second_output": "12"},
        sizes=["1280x720", "720x1280"],
        frames=_FIRST,
        audio=False,
        seed=True,
        passthrough=["contentModeration"],
    ),
    _model(
        "google/veo-3.1",
        "20260320",
        "Google: Veo 3.1",
        [4, 6, 8],
        ["720p", "1080p", "4K"],
        _WIDE_AND_TALL,
        {
            "duration_seconds_with_audio": "0.40",
            "duration_seconds_with_audio_4k": "0.60",
            "duration_seconds_without_audio": "0.20",
            "duration_seconds_without_audio_4k": "0.40",
        },
        sizes=["1280x720", "1080x1920", "1920x1080", "720x1280", "3840x2160", "2160x3840"],
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=_VEO,
    ),
    _model(
        "google/veo-3.1-fast",
        "20260320",
        "Google: Veo 3.1 Fast",
        [4, 6, 8],
        ["720p", "1080p", "4K"],
        _WIDE_AND_TALL,
        {
            "duration_seconds_with_audio": "0.12",
            "duration_seconds_with_audio_4k": "0.30",
            "duration_seconds_without_audio": "0.10",
            "duration_seconds_with_audio_720p": "0.10",
            "duration_seconds_without_audio_4k": "0.25",
            "duration_seconds_without_audio_720p": "0.08",
        },
        sizes=["1280x720", "1080x1920", "1920x1080", "720x1280", "3840x2160", "2160x3840"],
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=_VEO,
    ),
    _model(
        "google/veo-3.1-lite",
        "20260331",
        "Google: Veo 3.1 Lite",
        [8, 4, 6],
        ["720p", "1080p"],
        _WIDE_AND_TALL,
        {
            "duration_seconds_with_audio": "0.08",
            "duration_seconds_without_audio": "0.05",
            "duration_seconds_with_audio_720p": "0.05",
            "duration_seconds_without_audio_720p": "0.03",
        },
        sizes=["1280x720", "720x1280", "1920x1080", "1080x1920"],
        frames=_FIRST_AND_LAST,
        audio=True,
        seed=True,
        passthrough=_VEO,
    ),
    # It edits a video that it is given: nothing of what a shot is made from.
    _model(
        "black-forest-labs/flux-video-edit",
        "20260910",
        "Black Forest Labs: FLUX Video Edit",
        None,
        None,
        None,
        {"cents_per_second_output": "3"},
        audio=False,
        seed=False,
        passthrough=["safety_tolerance"],
    ),
]
