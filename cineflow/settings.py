"""Every setting of CineFlow. The environment wins over `.env`; README.md lists the variables."""

from pathlib import Path

from cineflow.core.environment import Env
from cineflow.core.files import kept_secret
from cineflow.core.redis_server import socket_path

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_dotenv(BASE_DIR / ".env")

# ---- where things lie ------------------------------------------------------------------------
DATA_DIR = Path(env.str("CINEFLOW_DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)
OUTPUT_ROOTS = [Path(root).resolve() for root in env.list("OUTPUT_ROOTS", default=[])] or [
    DATA_DIR / "output"
]

# ---- the web server --------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY") or kept_secret(DATA_DIR / "secret-key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", ".localhost", "127.0.0.1", "[::1]"])
AUTH_TOKEN = env.secret("AUTH_TOKEN")
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=20 * 1024 * 1024)
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default="")

# Behind a proxy that ends TLS, and only there: cookies, redirects and HSTS insist on https.
BEHIND_HTTPS = env.bool("BEHIND_HTTPS", default=False)
if BEHIND_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

ROOT_URLCONF = "cineflow.urls"
WSGI_APPLICATION = "cineflow.wsgi.application"
INSTALLED_APPS = [
    "cineflow.apps.CineflowAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "cineflow",
    "storyboards",
    "providers",
    "runs",
]
MIDDLEWARE = [
    "cineflow.api.errors.ErrorEnvelopeMiddleware",
    "cineflow.health.HealthMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cineflow.api.auth.AccessMiddleware",
    "cineflow.api.chunked.ChunkedBodyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
# Static files are served from the packages they come in: a fresh clone needs no collectstatic.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
X_FRAME_OPTIONS = "DENY"
DEFAULT_EXCEPTION_REPORTER = "cineflow.core.debug_page.Reporter"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
# A JSON body is small (storyboards come as files, which do not count here).
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
FILE_UPLOAD_PERMISSIONS = 0o640

# ---- database --------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'cineflow.sqlite3'}"
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
IDLE_IN_TRANSACTION_SECONDS = env.float("IDLE_IN_TRANSACTION_SECONDS", default=15.0)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Immediate transactions wait for their turn; deferred ones fail when two of them turn into writers.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA temp_store=MEMORY;",
    }
    # In a file as in life: an in-memory database has no second process and no write-ahead log.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 5,
        # No transaction spans a call to anybody, so one that idles belongs to a process that is frozen: its locks
        # would hold up every other worker.
        "options": f"-c lock_timeout=10s -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS:g}s",
    }

# ---- broker ----------------------------------------------------------------------------------
# Without REDIS_URL: the server that `make serve` starts, on a socket in the data folder.
REDIS_URL = env.str("REDIS_URL", default="") or f"redis+socket://{socket_path(DATA_DIR)}"

# ---- cross-origin ----------------------------------------------------------------------------
_origins = env.list("CORS_ALLOW_ORIGINS", default=[])
CORS_ALLOW_ALL_ORIGINS = "*" in _origins
CORS_ALLOWED_ORIGINS = [origin.rstrip("/") for origin in _origins if origin != "*"]
CORS_URLS_REGEX = r"^/(api|uploads)/.*$"
CORS_ALLOW_METHODS = ["GET", "POST", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
]
CORS_EXPOSE_HEADERS = ["etag", "location", "retry-after"]
CORS_PREFLIGHT_MAX_AGE = 600

# ---- API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    # The access middleware guards every path below /api/v1, those that lead nowhere included.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cineflow.api.bodies.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "cineflow.api.negotiation.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "cineflow.api.pagination.PagePagination",
    "DEFAULT_FILTER_BACKENDS": [
        "cineflow.api.filters.StrictFilterBackend",
        "cineflow.api.sorting.SortBackend",
    ],
    "DEFAULT_SCHEMA_CLASS": "cineflow.api.schema.Schema",
    "EXCEPTION_HANDLER": "cineflow.api.errors.handle",
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# After so long an Idempotency-Key whose request has not ended may be used by a repetition.
IDEMPOTENCY_TAKE_OVER_SECONDS = env.float("IDEMPOTENCY_TAKE_OVER_SECONDS", default=60.0)
SPECTACULAR_SETTINGS = {
    "TITLE": "CineFlow",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SORT_OPERATIONS": False,
    # One name each for choices that several bodies have.
    "ENUM_NAME_OVERRIDES": {
        "DurationEnum": [(seconds, seconds) for seconds in (4, 8, 10, 12, 15, 25)],
        "ResolutionEnum": ["horizontal", "vertical"],
    },
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{}, {"bearer": []}],
    "DISABLE_ERRORS_AND_WARNINGS": False,
}

# ---- providers -------------------------------------------------------------------------------
# Keys come from here only; they are never written to the database, an answer, a log or a message.
PROVIDERS = {
    "sora_hk": {
        "key": env.secret("SORA_API_KEY"),
        "base_url": env.str("SORA_BASE_URL", default="https://api.sora.hk/v1"),
    },
    "openai": {
        "key": env.secret("OPENAI_API_KEY"),
        "base_url": env.str("OPENAI_BASE_URL", default="https://api.openai.com/v1"),
        "dialect": env.str("OPENAI_DIALECT", default="openai"),
        "webhook_secret": env.secret("OPENAI_WEBHOOK_SECRET"),
    },
    "aihubmix": {
        "key": env.secret("AIHUBMIX_API_KEY"),
        "base_url": env.str("AIHUBMIX_BASE_URL", default="https://aihubmix.com/v1"),
    },
    "openrouter": {
        "key": env.secret("OPENROUTER_API_KEY"),
        "base_url": env.str("OPENROUTER_BASE_URL", default="https://openrouter.ai/api/v1"),
        "webhook_secret": env.secret("OPENROUTER_WEBHOOK_SECRET"),
    },
    "fal": {
        "key": env.secret("FAL_KEY"),
        "base_url": env.str("FAL_BASE_URL", default="https://queue.fal.run"),
        "api_url": env.str("FAL_API_BASE_URL", default="https://api.fal.ai/v1"),
    },
    "ark": {
        "key": env.secret("ARK_API_KEY"),
        "base_url": env.str(
            "ARK_BASE_URL", default="https://ark.ap-southeast.bytepluses.com/api/v3"
        ),
    },
    "minimax": {
        "key": env.secret("MINIMAX_API_KEY"),
        "base_url": env.str("MINIMAX_BASE_URL", default="https://api.minimax.io"),
    },
    "replicate": {
        "key": env.secret("REPLICATE_API_TOKEN"),
        "base_url": env.str("REPLICATE_BASE_URL", default="https://api.replicate.com/v1"),
        "webhook_secret": env.secret("REPLICATE_WEBHOOK_SECRET"),
    },
    "runway": {
        "key": env.secret("RUNWAYML_API_SECRET"),
        "base_url": env.str("RUNWAYML_BASE_URL", default="https://api.dev.runwayml.com"),
    },
}
POLL_INITIAL_WAIT_SECONDS = env.float("POLL_INITIAL_WAIT_SECONDS", default=20.0)
POLL_INTERVAL_SECONDS = env.float("POLL_INTERVAL_SECONDS", default=10.0)
MAX_POLL_TIME = env.float("MAX_POLL_TIME", default=2100.0)
API_REQUEST_TIMEOUT_SECONDS = env.float("API_REQUEST_TIMEOUT_SECONDS", default=30.0)
DOWNLOAD_TIMEOUT_SECONDS = env.float("DOWNLOAD_TIMEOUT_SECONDS", default=300.0)
MAX_CONCURRENT_TASKS = env.int("MAX_CONCURRENT_TASKS", default=1000)
# So many days before its vendor ends a model, its users are told.
SUNSET_WARNING_DAYS = env.int("SUNSET_WARNING_DAYS", default=60)

# ---- the engine's own rhythm: data, so that a test can run it in seconds ------------------------
SWEEP_INTERVAL_SECONDS = env.float("SWEEP_INTERVAL_SECONDS", default=1.0)
# Longer than the slowest answer may take: else a batch is claimed by another before its results are written.
POLL_LEASE_SECONDS = env.float(
    "POLL_LEASE_SECONDS", default=max(30.0, API_REQUEST_TIMEOUT_SECONDS + 10.0)
)
SUBMIT_LEASE_SECONDS = env.float("SUBMIT_LEASE_SECONDS", default=2 * API_REQUEST_TIMEOUT_SECONDS)
DOWNLOAD_LEASE_SECONDS = env.float("DOWNLOAD_LEASE_SECONDS", default=30.0)
# Over so long an account's `max_per_minute` is counted; anything but a minute is for tests.
RATE_WINDOW_SECONDS = env.float("RATE_WINDOW_SECONDS", default=60.0)
SEND_WITHIN_SECONDS = env.float("SEND_WITHIN_SECONDS", default=5.0)
RETRY_BACKOFF_SECONDS = env.float("RETRY_BACKOFF_SECONDS", default=5.0)
# How often a take is paid for once more after moderation refused what was made (not what was asked): 0 or 1.
OUTPUT_REFUSAL_RETRIES = env.int("OUTPUT_REFUSAL_RETRIES", default=0)
MAX_ATTEMPTS = env.int("MAX_ATTEMPTS", default=5)
# A task that took so many workers down with it, one after the other, is set aside. Never fewer than three: the
# first says little, for that worker held others too, and one more may be chance.
POISON_AFTER = max(3, env.int("POISON_AFTER", default=3))
# After a lost answer: seconds after the submit at which its job is looked for, or the submit is sent again.
LOOK_UP_DELAYS = [
    float(seconds) for seconds in env.list("LOOK_UP_DELAYS", default=["15", "60", "300"])
]
RESEND_DELAYS = [
    float(seconds) for seconds in env.list("RESEND_DELAYS", default=["5", "15", "60", "300", "900"])
]
# How far back jobs are measured for routing by latency.
LATENCY_WINDOW_SECONDS = env.float("LATENCY_WINDOW_SECONDS", default=24 * 3600.0)
BREAKER_SECONDS = env.float("BREAKER_SECONDS", default=30.0)
DISK_FULL_WAIT_SECONDS = env.float("DISK_FULL_WAIT_SECONDS", default=30.0)
SENDERS = env.int("SENDERS", default=64)
DOWNLOADERS = env.int("DOWNLOADERS", default=32)

# ---- logs ------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "cineflow.core.redaction.Formatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    # Each 4xx would be a warning line; the access log has them already.
    "loggers": {
        # It has a handler of its own with DEBUG on, which says everything once more, and as it came.
        "django": {"handlers": [], "level": "INFO"},
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
