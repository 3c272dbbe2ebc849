"""What a provider's refusal means: the contract's code, and what may follow."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """A task's `error_code`."""

    CONTENT_POLICY = "content_policy"
    VALIDATION_ERROR = "validation_error"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    QUOTA_EXCEEDED = "quota_exceeded"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    DEPENDENCY_ERROR = "dependency_error"
    SERVER_ERROR = "server_error"
    UNKNOWN_ERROR = "unknown_error"
    DOWNLOAD_FAILED = "download_failed"
    NO_PROVIDER = "no_provider"
    CANCELED = "canceled"
    BUDGET_EXCEEDED = "budget_exceeded"


# Whether the same request may succeed later.
RETRYABLE = frozenset(
    {
        Code.RATE_LIMITED,
        Code.TIMEOUT,
        Code.QUOTA_EXCEEDED,
        Code.UNAUTHORIZED,
        Code.FORBIDDEN,
        Code.DEPENDENCY_ERROR,
        Code.SERVER_ERROR,
        Code.DOWNLOAD_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong at a provider. `message` is for a person: never a key, a prompt or an address."""

    code: Code
    message: str
    http_status: int | None = None
    retry_after: float | None = None  # seconds
    provider_code: str = ""  # the provider's own word for it, as it came
    gone: bool = False  # the model or the service is not there any more
    output_refused: bool = False  # moderation refused what was made, not what was asked for

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE


class UnexpectedReply(Exception):
    """A provider answered something that its adapter does not know; its text says what was missing."""
