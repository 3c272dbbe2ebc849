"""What the words of providers mean: their codes first, and where they have none, passages of their texts.

A code or a text that is not here means nothing, and then the HTTP status decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from providers.errors import Code


@dataclass(frozen=True, slots=True)
class Meaning:
    """As in `Failure`."""

    code: Code
    gone: bool = False
    output_refused: bool = False


_INPUT = Meaning(Code.CONTENT_POLICY)
_OUTPUT = Meaning(Code.CONTENT_POLICY, output_refused=True)
_NO_MONEY = Meaning(Code.QUOTA_EXCEEDED)
_GONE = Meaning(Code.DEPENDENCY_ERROR, gone=True)
_SLOWER = Meaning(Code.RATE_LIMITED)
_THEIRS = Meaning(Code.SERVER_ERROR)
_KEY = Meaning(Code.UNAUTHORIZED)
_LATE = Meaning(Code.TIMEOUT)
_OURS = Meaning(Code.VALIDATION_ERROR)
_ENDED = Meaning(Code.CANCELED)

# In lower case. Relays pass on the codes of those behind them, so all of them are here together.
CODES: Mapping[str, Meaning] = {
    # OpenAI and Azure
    "moderation_blocked": _INPUT,
    "content_policy_violation": _INPUT,
    "content_policy": _INPUT,
    "content_filter": _INPUT,
    "contentfilter": _INPUT,
    "insufficient_quota": _NO_MONEY,
    "billing_error": _NO_MONEY,
    "billing_hard_limit_reached": _NO_MONEY,
    "invalid_api_key": _KEY,
    "authentication_error": _KEY,
    "model_not_found": _GONE,
    "rate_limit": _SLOWER,
    "rate_limited": _SLOWER,
    "rate_limit_error": _SLOWER,
    "rate_limit_exceeded": _SLOWER,
    "server_error": _THEIRS,
    "internal_error": _THEIRS,
    "internal_server_error": _THEIRS,
    # New API (its types/error.go)
    "sensitive_words_detected": _INPUT,
    "prompt_blocked": _INPUT,
    "insufficient_user_quota": _NO_MONEY,
    "pre_consume_token_quota_failed": _NO_MONEY,
    "model_price_error": _GONE,
    "get_channel_failed": _GONE,
    "channel:no_available_key": _GONE,
    "token_concurrency_limit_reached": _SLOWER,
    # MiniMax, Ark, DashScope, fal, Replicate
    "insufficient_balance": _NO_MONEY,
    "insufficient_balance_error": _NO_MONEY,
    "accountoverdueerror": _NO_MONEY,
    "authenticationerror": _KEY,
    "inputtextsensitivecontentdetected": _INPUT,
    "inputimagesensitivecontentdetected": _INPUT,
    "outputvideosensitivecontentdetected": _OUTPUT,
    "datainspectionfailed": _INPUT,
    "concurrent_requests_limit": _SLOWER,
    # fal (its `error_type` and `detail[].type`)
    "client_cancelled": _ENDED,
    "request_timeout": _THEIRS,
    "startup_timeout": _THEIRS,
    "generation_timeout": _THEIRS,
    "runner_scheduling_failure": _THEIRS,
    "runner_connection_timeout": _THEIRS,
    "runner_connection_refused": _THEIRS,
    "runner_connection_error": _THEIRS,
    "runner_disconnected": _THEIRS,
    "runner_incomplete_response": _THEIRS,
    "runner_server_error": _THEIRS,
    "downstream_service_error": _THEIRS,
    "downstream_service_unavailable": _THEIRS,
    "no_media_generated": _THEIRS,
    # Runway; more of its codes are families
    "internal": _THEIRS,
    # vLLM-Omni, LiteLLM
    "enginegenerateerror": _THEIRS,
    "enginedeaderror": _THEIRS,
    "budget_exceeded": _NO_MONEY,
    "auth_error": _KEY,
}
# Families of codes, Runway's above all: "SAFETY.INPUT.TEXT".
_FAMILIES: tuple[tuple[str, Meaning], ...] = (
    ("safety.output.", _OUTPUT),
    ("safety.input.", _INPUT),
    ("safety.", _INPUT),
    ("input_preprocessing.safety.", _INPUT),
    ("input_preprocessing.internal", _THEIRS),
    ("asset.invalid", _OURS),
    ("third_party.input_validation", _OURS),
    ("third_party.unavailable", _THEIRS),
    ("internal.", _THEIRS),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """A passage in lower case, who says so, and when it was last seen there."""

    passage: str
    meaning: Meaning
    source: str
    seen: date


# Texts change without notice, so they are asked last, and each tells how old it is.
WORDINGS: tuple[Wording, ...] = (
    Wording("可能违反", _INPUT, "Sora.hk, API documentation", date(2025, 10, 19)),
    Wording(
        "违反了", _INPUT, "relays of Sora, as a client of theirs lists them", date(2026, 1, 22)
    ),
    Wording(
        "写实人物", _INPUT, "relays of Sora, as a client of theirs lists them", date(2026, 1, 22)
    ),
    Wording("包含未成年人", _INPUT, "relays of Sora, as a client lists them", date(2026, 1, 22)),
    Wording("包含名人", _INPUT, "relays of Sora, as a client lists them", date(2026, 1, 22)),
    Wording("moderation system", _INPUT, "OpenAI, failed jobs", date(2026, 9, 24)),
    Wording("may violate our", _INPUT, "OpenAI, failed jobs", date(2026, 9, 24)),
    Wording("photorealistic people", _INPUT, "OpenAI, failed jobs", date(2026, 9, 24)),
    Wording("content policy", _INPUT, "OpenAI and relays", date(2026, 9, 24)),
    Wording("contentpolicyviolation", _INPUT, "LiteLLM 1.109", date(2026, 11, 1)),
    Wording("flagged as sensitive", _INPUT, "Replicate, error E005", date(2026, 9, 19)),
    Wording("output video may contain sensitive", _OUTPUT, "Ark, failed tasks", date(2026, 9, 1)),
    Wording("may contain sensitive information", _INPUT, "Ark, failed tasks", date(2026, 9, 1)),
    Wording("based on the prompt provided", _INPUT, "Google, filtered by Veo", date(2025, 9, 9)),
    Wording("余额不足", _NO_MONEY, "Sora.hk, API documentation, code 1012", date(2025, 10, 19)),
    Wording("额度不足", _NO_MONEY, "One API and New API", date(2026, 9, 4)),
    Wording(
        "预扣费额度失败", _NO_MONEY, "New API, service/pre_consume_quota.go", date(2026, 8, 22)
    ),
    Wording("content moderation", _INPUT, "Runway, of prompts", date(2026, 9, 26)),
    Wording("enough credits", _NO_MONEY, "Runway, with status 400", date(2026, 9, 2)),
    Wording("exhausted balance", _NO_MONEY, "fal, of a locked account", date(2026, 8, 6)),
    Wording("quota is not enough", _NO_MONEY, "One API and New API", date(2026, 9, 4)),
    Wording("无可用渠道", _GONE, "One API and New API, distributor", date(2026, 9, 4)),
    Wording("no available channel", _GONE, "New API, distributor", date(2026, 9, 4)),
    Wording("no_valid_channel_error", _GONE, "AIHubMix", date(2026, 5, 31)),
    Wording("is no longer available", _GONE, "Google, of retired Veo models", date(2026, 10, 22)),
    Wording("do not have access to it", _GONE, "OpenAI, of unknown models", date(2026, 9, 24)),
    Wording("已下线", _GONE, "relays, of retired models", date(2026, 9, 4)),
    Wording("上游负载已饱和", _SLOWER, "New API, in place of any 429's text", date(2026, 9, 4)),
    Wording("无效的令牌", _KEY, "New API, token check", date(2026, 9, 14)),
    Wording("incorrect api key", _KEY, "OpenAI", date(2026, 9, 24)),
    Wording("参数错误", _OURS, "Sora.hk, API documentation, code 1001", date(2025, 10, 19)),
    Wording("must match the requested width", _OURS, "OpenAI, of start images", date(2026, 9, 24)),
    # OpenRouter's failed jobs have a text and no code; those are of whoever made them.
    Wording("internal server error", _THEIRS, "OpenRouter, failed jobs", date(2026, 10, 9)),
    Wording("timed out", _LATE, "OpenRouter, failed jobs", date(2026, 10, 9)),
)


def of_code(*codes: str) -> Meaning | None:
    """Of the first code or type that says anything."""
    for code in codes:
        known = code.lower()
        if known in CODES:
            return CODES[known]
        for beginning, meaning in _FAMILIES:
            if known.startswith(beginning):
                return meaning
    return None


def of_text(text: str) -> Meaning | None:
    known = text.lower()
    return next((each.meaning for each in WORDINGS if each.passage in known), None)
