"""Every dialect that the simulator speaks, as the contract of `tests/runs/test_dialects.py` needs to know it.

One entry a dialect. What a fault must come to stands here once for all of them; an entry names only what
its vendor does otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.errors import Code
from providers.simulator.faults import CREATES_A_JOB, FAULTS


@dataclass(frozen=True)
class Refused:
    """Surely nothing was made, and the attempt says why.

    `waits`: the task goes back to the queue by itself; otherwise it ends with the code.
    """

    code: Code
    waits: bool = False


@dataclass(frozen=True)
class Lost:
    """Sent, and no usable answer: nobody sends it again."""


SubmitEnd = Refused | Lost

_WAITS = {Code.RATE_LIMITED, Code.UNAUTHORIZED, Code.QUOTA_EXCEEDED, Code.DEPENDENCY_ERROR}


def refused(code: Code) -> Refused:
    return Refused(code, waits=code in _WAITS)


# What the first attempt comes to when its submit meets the fault.
# No dialect hangs in a way of its own, and waiting for a time-out takes long.
SUBMITS: Mapping[str, SubmitEnd] = {
    **dict.fromkeys(CREATES_A_JOB - {"hang"}, Lost()),
    "drop_before_create": Lost(),
    "html": Lost(),
    "408": Lost(),
    "500": Lost(),
    "502": Lost(),
    "503": Lost(),
    "504": Lost(),
    "redirect": refused(Code.DEPENDENCY_ERROR),
    "400": refused(Code.CONTENT_POLICY),
    "moderation": refused(Code.CONTENT_POLICY),
    "validation": refused(Code.VALIDATION_ERROR),
    "401": refused(Code.UNAUTHORIZED),
    "402": refused(Code.QUOTA_EXCEEDED),
    "balance": refused(Code.QUOTA_EXCEEDED),
    "insufficient_quota": refused(Code.QUOTA_EXCEEDED),
    "403": refused(Code.FORBIDDEN),
    "404": refused(Code.DEPENDENCY_ERROR),
    "410": refused(Code.DEPENDENCY_ERROR),
    "409": refused(Code.VALIDATION_ERROR),
    "422": refused(Code.VALIDATION_ERROR),
    "429": refused(Code.RATE_LIMITED),
    "429_ms": refused(Code.RATE_LIMITED),
    "429_date": refused(Code.RATE_LIMITED),
}
# What a fault needs besides its name: seconds, or milliseconds.
ARGUMENTS = {"429_ms": "429_ms:1500", "429_date": "429_date:2", "slow": "slow:0.1"}

# How a job ends that was told to fail: error code.
FAILURES: Mapping[str, Code] = {
    "moderation": Code.CONTENT_POLICY,
    "server_error": Code.SERVER_ERROR,
}
# Faults of a poll that stay for ever, and what the task ends with.
POLLS_FOR_EVER: Mapping[str, Code] = {
    "404": Code.DEPENDENCY_ERROR,
    "stuck": Code.TIMEOUT,
    "unknown_status": Code.TIMEOUT,
    "500": Code.TIMEOUT,
}


@dataclass(frozen=True)
class Dialect:
    """One dialect, and a model of the catalogue that is made in it."""

    name: str
    provider: str  # whose account: a key of settings.PROVIDERS
    prefix: str  # of the simulator, below its origin
    model: str  # logical
    provider_model: str
    seconds: int
    image_model: str = ""  # the provider's for a shot with a start image, where that is another one
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the account, besides key and base_url
    api_prefix: str = ""  # of the vendor's second address, where there is one
    # What the simulator's ledger shows of the order: seconds as they were billed, and the picture's size.
    size: str = "1280x720"
    billed_seconds: int | None = None
    # Columns of the provider model, where the seeded ones do not do (or none is seeded).
    columns: Mapping[str, Any] = field(default_factory=dict)
    key_is_asked_for: bool = True  # False where a server of one's own takes everybody
    submits: Mapping[str, SubmitEnd | None] = field(
        default_factory=dict
    )  # None: it has no such fault
    polls: frozenset[str] = frozenset()  # more faults of a poll that pass
    polls_for_ever: Mapping[str, Code | None] = field(default_factory=dict)
    failures: Mapping[str, Code | None] = field(default_factory=dict)  # None: it has no such end
    output_refusals: frozenset[str] = (
        frozenset()
    )  # of `failures`: it is what was made that is refused
    fetches: Mapping[str, bool] = field(default_factory=dict)  # False: it has no such fault
    lists_jobs: bool = True
    absence_is_told: bool = True  # False where its list may miss a job that was made
    cancels: bool = False
    retires: bool = True  # tells of a model that is gone

    def __str__(self) -> str:
        return self.name

    def base_url(self, origin: str) -> str:
        return f"{origin}{self.prefix}"

    def account(self, origin: str, key: str) -> dict[str, Any]:
        """The provider's entry in settings.PROVIDERS."""
        second = {"api_url": f"{origin}{self.api_prefix}"} if self.api_prefix else {}
        return {"key": key, "base_url": self.base_url(origin), **second, **self.settings}

    def submit_ends(self) -> dict[str, SubmitEnd]:
        ends = {**SUBMITS, **self.submits}
        return {name: end for name, end in ends.items() if end is not None}

    def passing_polls(self) -> frozenset[str]:
        return (FAULTS["poll"] - {"stuck"}) | self.polls

    def lasting_polls(self) -> dict[str, Code]:
        ends = {**POLLS_FOR_EVER, **self.polls_for_ever}
        return {name: code for name, code in ends.items() if code is not None}

    def passing_fetches(self) -> set[str]:
        return {name for name in FAULTS["fetch"] if self.fetches.get(name, True)}

    def ends(self) -> dict[str, Code]:
        ends = {**FAILURES, **self.failures}
        return {name: code for name, code in ends.items() if code is not None}


# What takes for ever is soon over.
_IMPATIENT = {"max_poll_seconds": 300.0}
# A server of one's own knows neither money nor moderation.
_UNPAID: Mapping[str, SubmitEnd | None] = {
    "moderation": None,
    "balance": None,
    "insufficient_quota": None,
    "400": refused(Code.VALIDATION_ERROR),
}

DIALECTS = (
    Dialect(
        name="openai",
        provider="openai",
        prefix="/openai/v1",
        model="sora2",
        provider_model="sora-2",
        seconds=4,
        settings={"dialect": "openai"},
        cancels=True,
    ),
    Dialect(
        name="openrouter",
        provider="openrouter",
        prefix="/openrouter/api/v1",
        model="seedance",
        provider_model="bytedance/seedance-2.5",
        seconds=4,
        columns=_IMPATIENT,
        submits={"400": refused(Code.VALIDATION_ERROR), "insufficient_quota": None},
        polls=frozenset({"signed_only"}),
        polls_for_ever={"no_output": Code.SERVER_ERROR},
        failures={"expired": Code.TIMEOUT},
        lists_jobs=False,
    ),
    Dialect(
        name="ark",
        provider="ark",
        prefix="/ark/api/v3",
        model="seedance",
        provider_model="dreamina-seedance-2-5-260628",
        seconds=4,
        columns=_IMPATIENT,
        submits={"400": refused(Code.VALIDATION_ERROR), "insufficient_quota": None},
        polls_for_ever={"no_output": Code.SERVER_ERROR},
        failures={"expired": Code.TIMEOUT},
        output_refusals=frozenset({"moderation"}),
        cancels=True,
    ),
    Dialect(
        name="minimax",
        provider="minimax",
        prefix="/minimax",
        model="hailuo",
        provider_model="MiniMax-H3",
        seconds=4,
        columns=_IMPATIENT,
        size="1366x768",
        submits={
            "400": refused(Code.VALIDATION_ERROR),
            "422": refused(Code.CONTENT_POLICY),
            "in_body_error": refused(Code.RATE_LIMITED),
            "insufficient_quota": None,
        },
        polls=frozenset({"in_body_error"}),
        polls_for_ever={"no_output": Code.SERVER_ERROR},
        failures={"expired": Code.TIMEOUT},
        output_refusals=frozenset({"moderation"}),
        # It lists them, but not so that one could be told from another: see test_minimax_adapter.
        lists_jobs=False,
        cancels=True,
    ),
    Dialect(
        name="azure",
        provider="openai",
        prefix="/azure/openai/v1",
        model="sora2",
        provider_model="our-deployment",
        seconds=8,
        settings={"dialect": "azure"},
    ),
    Dialect(
        name="newapi",
        provider="openai",
        prefix="/newapi/v1",
        model="sora2pro",
        provider_model="sora-2-pro",
        seconds=12,
        settings={"dialect": "newapi"},
        submits={"402": refused(Code.QUOTA_EXCEEDED), "no_channel": refused(Code.DEPENDENCY_ERROR)},
        lists_jobs=False,
    ),
    Dialect(
        name="sglang",
        provider="openai",
        prefix="/sglang/v1",
        model="wan",
        provider_model="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        seconds=4,
        settings={"dialect": "sglang"},
        size="832x480",
        columns={"options": {"sizes": {"horizontal": "832x480", "vertical": "480x832"}}},
        key_is_asked_for=False,
        submits=_UNPAID,
        failures={"moderation": None, "server_error": Code.UNKNOWN_ERROR},
        lists_jobs=False,  # it does list, but its jobs look all alike
        retires=False,
    ),
    Dialect(
        name="vllm_omni",
        provider="openai",
        prefix="/vllm/v1",
        model="wan",
        provider_model="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        seconds=4,
        settings={"dialect": "vllm_omni"},
        submits=_UNPAID,
        failures={"moderation": None},
        cancels=True,
    ),
    Dialect(
        name="litellm",
        provider="openai",
        prefix="/litellm/v1",
        model="sora2",
        provider_model="runwayml/gen4_turbo",
        seconds=8,
        settings={"dialect": "litellm"},
        lists_jobs=False,
    ),
    Dialect(
        name="aihubmix",
        provider="aihubmix",
        prefix="/aihubmix/v1",
        model="sora2",
        provider_model="sora-2",
        seconds=12,
        submits={"no_channel": refused(Code.DEPENDENCY_ERROR)},
        lists_jobs=False,
    ),
    Dialect(
        name="aihubmix_seedance",
        provider="aihubmix",
        prefix="/aihubmix/v1",
        model="seedance2",
        provider_model="doubao-seedance-2-0-260128",
        seconds=8,
        lists_jobs=False,
    ),
    Dialect(
        name="sora_hk",
        provider="sora_hk",
        prefix="/sorahk/v1",
        model="sora2",
        provider_model="sora2",
        seconds=10,
        submits={
            "400": refused(Code.VALIDATION_ERROR),
            "moderation": None,
            "insufficient_quota": None,
            "in_body_error": Lost(),
        },
        polls=frozenset({"in_body_error"}),
        polls_for_ever={"no_output": Code.SERVER_ERROR, "in_body_error": Code.TIMEOUT},
        failures={"server_error": Code.UNKNOWN_ERROR},
        retires=False,  # what is a model here is a switch there
    ),
    Dialect(
        name="fal",
        provider="fal",
        prefix="/fal/queue",
        api_prefix="/fal/api/v1",
        model="seedance",
        provider_model="bytedance/seedance-2.5/text-to-video",
        image_model="bytedance/seedance-2.5/image-to-video",
        seconds=4,
        columns=_IMPATIENT,
        submits={"400": refused(Code.VALIDATION_ERROR), "insufficient_quota": None},
        polls=frozenset({"result_error"}),
        polls_for_ever={
            "no_output": Code.SERVER_ERROR,
            "result_refused": Code.VALIDATION_ERROR,
            "result_error": Code.TIMEOUT,
        },
        failures={"timeout": Code.SERVER_ERROR},
        absence_is_told=False,
        cancels=True,
    ),
    Dialect(
        name="replicate",
        provider="replicate",
        prefix="/replicate/v1",
        model="seedance2",
        provider_model="bytedance/seedance-2.0",
        seconds=4,
        columns=_IMPATIENT,
        submits={"400": refused(Code.VALIDATION_ERROR), "insufficient_quota": None},
        polls_for_ever={"no_output": Code.SERVER_ERROR},
        cancels=True,
    ),
    Dialect(
        name="runway",
        provider="runway",
        prefix="/runway",
        model="gen4",
        provider_model="gen4.5",
        seconds=4,
        columns=_IMPATIENT,
        submits={
            "400": refused(Code.VALIDATION_ERROR),
            "insufficient_quota": None,
        },
        polls_for_ever={"no_output": Code.SERVER_ERROR},
        failures={
            "input_moderation": Code.CONTENT_POLICY,
            "asset": Code.VALIDATION_ERROR,
        },
        output_refusals=frozenset({"moderation"}),
        lists_jobs=False,
        cancels=True,
        retires=False,  # an unknown model is a wrong value like any other
    ),
)
