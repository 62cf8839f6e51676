"""Settings: wiring only. Every value from the environment comes through `env`, and is described in docs/configuration.md."""

import warnings
from pathlib import Path
from typing import Any

from apps.api import schedule as api_schedule
from apps.audit import schedule as audit_schedule
from apps.core import schedule as core_schedule
from apps.core.databases import celery_url, django_database
from apps.core.env import boolean, env, header, log_level, networks, path, rate, seconds, size, text, whole, words
from apps.core.mail import mail_server
from apps.core.sealing import Keyring
from apps.objects import schedule as objects_schedule
from apps.orgs.people import schedule as people_schedule
from apps.orgs.sso.configuration import group_roles
from apps.policies import schedule as policies_schedule
from apps.providers import schedule as providers_schedule
from config import console, rest

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Secrets ---
SECRET_KEY = env("SECRET_KEY", text)  # no default: do not start without one
SEALING_KEYS = env("SEALING_KEYS", Keyring.parse)  # the first key seals, the others still open

# --- Stores ---
DATA_DIR = env("DATA_DIR", path, str(BASE_DIR / ".data"))
DATABASE_URL = env("DATABASE_URL", text)
REDIS_URL = env("REDIS_URL", text)
DATABASES = {"default": django_database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "tg"}
}

# --- Web ---
DEBUG = env("DEBUG", boolean, "false")
HOST = env("HOST", text, "127.0.0.1")
PORT = env("PORT", whole, "8000")
PUBLIC_URL = env("PUBLIC_URL", text, f"http://{'localhost' if HOST in {'127.0.0.1', '::1'} else HOST}:{PORT}").rstrip(
    "/"
)
ALLOWED_HOSTS = env("ALLOWED_HOSTS", words, "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
TRUSTED_PROXIES = env("TRUSTED_PROXIES", networks, "")  # whose X-Forwarded-For and -Proto we believe
HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = (
    False  # the host name's owner decides that, not one service on it
)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: see above
    "security.W008",  # the redirect to https belongs to the proxy that terminates TLS
    "security.W021",  # HSTS preload: see above
]

# --- Organizations ---
TENANCY = env("TENANCY", text, "single")  # single, multi, or an overlay's class by its dotted path
EXTRA_APPS = env("TOLLGATE_EXTRA_APPS", words, "")  # an overlay's Django apps, after ours
EXTRA_URLS = env("TOLLGATE_EXTRA_URLS", words, "")  # its URL modules, before ours

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps.core",
    "apps.audit",
    "apps.orgs",
    "apps.orgs.keys",
    "apps.orgs.sso",
    "apps.orgs.invitations",
    "apps.orgs.scim",
    "apps.orgs.people",
    "apps.providers",
    "apps.services",
    "apps.policies",
    "apps.objects",
    "apps.api",
    "apps.configuration",
    "apps.gateway",
    "apps.launch",
    *EXTRA_APPS,
]
MIDDLEWARE = [
    "apps.orgs.middleware.BoundaryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.web.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.orgs.middleware.AccessMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.orgs.people.middleware.PeopleMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = True
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.orgs.people.context.people",
                "apps.orgs.sso.context.single_sign_on",
            ]
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
# Without `collectstatic` (a checkout, the tests) files are served from where they lie; the image collects them.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not STATIC_ROOT.is_dir()
WHITENOISE_ALLOW_ALL_ORIGINS = False
# They are read in a thread, chunk by chunk, which is what Django warns of and all that is needed here.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

UNFOLD = console.UNFOLD

AUTH_USER_MODEL = "orgs.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTHENTICATION_BACKENDS = ["apps.orgs.people.passwords.PasswordBackend", "apps.orgs.sso.backend.SingleSignOn"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
EMAIL_AUTH_DISABLED = env("EMAIL_AUTH_DISABLED", boolean, "false")  # people sign in with single sign-on alone

# --- Single sign-on ---
OIDC_ISSUER = env("OIDC_ISSUER", text, "")  # unset: there is none
OIDC_CLIENT_ID = env("OIDC_CLIENT_ID", text, "")
OIDC_CLIENT_SECRET = env("OIDC_CLIENT_SECRET", text, "")
OIDC_PROVIDER_NAME = env("OIDC_PROVIDER_NAME", text, "SSO")  # what people call it
OIDC_SCOPES = env("OIDC_SCOPES", text, "openid email profile")
OIDC_ALLOWED_DOMAINS = env("OIDC_ALLOWED_DOMAINS", words, "")  # of e-mails; unset: any
OIDC_TRUST_EMAILS = env(
    "OIDC_TRUST_EMAILS", boolean, "false"
)  # where the provider never says whether they are verified
OIDC_AUTO_JOIN = env("OIDC_AUTO_JOIN", boolean, "false")  # newcomers become members without an invitation
OIDC_ORGANIZATION = env("OIDC_ORGANIZATION", text, "")  # the one they join, where there are several
OIDC_SESSION_AGE = env("OIDC_SESSION_AGE", seconds, "43200")  # then people sign in anew, and the provider decides anew
OIDC_GROUPS_CLAIM = env("OIDC_GROUPS_CLAIM", text, "groups")
OIDC_GROUP_ROLES = env("OIDC_GROUP_ROLES", group_roles, "")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español")]  # each by its own name
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_TZ = True

# --- REST API ---
API_RATE_LIMIT = env("API_RATE_LIMIT", rate, "600/m")  # requests of one key or person
API_FAILURE_LIMIT = env("API_FAILURE_LIMIT", rate, "60/m")  # requests from one address that nobody is known behind
REST_FRAMEWORK = rest.FRAMEWORK
SPECTACULAR_SETTINGS = rest.SCHEMA

# --- Data plane ---
MAX_BODY_BYTES = env("MAX_BODY_BYTES", size, "32M")
MAX_UPLOAD_BYTES = env("MAX_UPLOAD_BYTES", size, "512M")  # a request that brings files
UPLOAD_DIR = env("UPLOAD_DIR", path, str(DATA_DIR / "uploads"))
UPLOAD_SPACE = env("UPLOAD_SPACE", size, "4G")  # that uploads under way may take up there, for each process
MAX_JSON_DEPTH = env("MAX_JSON_DEPTH", whole, "128")
REQUEST_HEAD_TIMEOUT = env("REQUEST_HEAD_TIMEOUT", seconds, "60")  # for a request's head, and for a connection's first
UPSTREAM_CONNECT_TIMEOUT = env("UPSTREAM_CONNECT_TIMEOUT", seconds, "10")
UPSTREAM_FIRST_BYTE_TIMEOUT = env("UPSTREAM_FIRST_BYTE_TIMEOUT", seconds, "300")
UPSTREAM_IDLE_TIMEOUT = env("UPSTREAM_IDLE_TIMEOUT", seconds, "60")  # longest silence between two chunks
UPSTREAM_TOTAL_TIMEOUT = env("UPSTREAM_TOTAL_TIMEOUT", seconds, "1800")
UPSTREAM_ATTEMPTS = env("UPSTREAM_ATTEMPTS", whole, "3")  # for one request, over all its routes
UPSTREAM_ATTEMPTS_TIME = env("UPSTREAM_ATTEMPTS_TIME", seconds, "30")  # after which no further one begins
ROUTE_COOLDOWN = env("ROUTE_COOLDOWN", seconds, "10")  # for which a route that fails is asked last, at first
EGRESS_ALLOW = env("EGRESS_ALLOW", networks, "")  # private ranges, and http, that credentials may name
PROVIDER_LISTINGS_EVERY = env(
    "PROVIDER_LISTINGS_EVERY", seconds, "3600"
)  # providers are asked for their models; 0: never
DRAIN_TIMEOUT = env("DRAIN_TIMEOUT", seconds, "30")  # how long running answers may take after SIGTERM
DIRECTORY_STALE_LIMIT = env(
    "DIRECTORY_STALE_LIMIT", seconds, "900"
)  # how long known tokens work while PostgreSQL is away
HOLD_LEASE = env(
    "HOLD_LEASE", seconds, "30"
)  # after which limits and budgets take back what a dead process's calls hold
REALTIME_IDLE_TIMEOUT = env("REALTIME_IDLE_TIMEOUT", seconds, "600")  # a session in which neither side says anything
REALTIME_TOTAL_TIMEOUT = env("REALTIME_TOTAL_TIMEOUT", seconds, "3600")  # a whole session
REALTIME_MAX_EVENT_BYTES = env("REALTIME_MAX_EVENT_BYTES", size, "16M")  # one event, of either side
END_USER_HEADER = env("END_USER_HEADER", header, "")  # a request header that names the end user
SPOOL_DIR = env("SPOOL_DIR", path, str(DATA_DIR / "spool"))
SPOOL_MAX_BYTES = env("SPOOL_MAX_BYTES", size, "1G")
METRICS_TOKEN = env("METRICS_TOKEN", text, "")  # unset: /metrics answers anybody who reaches it

# --- Workers ---
CELERY_BROKER_URL = celery_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # tasks are idempotent: run again rather than lose one
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    **core_schedule.SCHEDULE,
    **audit_schedule.SCHEDULE,
    **policies_schedule.SCHEDULE,
    **objects_schedule.SCHEDULE,
    **providers_schedule.SCHEDULE,
    **api_schedule.SCHEDULE,
    **people_schedule.SCHEDULE,
}

# --- Mail ---
EMAIL_SERVER = env("EMAIL_URL", mail_server, "")  # none: alerts go to webhooks alone
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", text, "tollgate@localhost")

# --- Accounts (django-allauth) ---
ACCOUNT_ADAPTER = "apps.orgs.people.adapter.PeopleAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_SERVER else "none"
ACCOUNT_CHANGE_EMAIL = True  # one address for each person, replaced when the new one is proved
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody is written to because a stranger typed the address
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_FORMS = {
    "login": "apps.orgs.people.forms.SignInForm",
    "reset_password": "apps.orgs.people.forms.ForgottenForm",
}
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = (
    False  # apps.core.web.limited does it, with Retry-After and while Valkey is away
)
MFA_ADAPTER = "apps.orgs.people.adapter.SecondFactorAdapter"
MFA_FORMS = {
    "login_webauthn": "apps.orgs.people.forms.PasskeySignInForm",
    "authenticate_webauthn": "apps.orgs.people.forms.PasskeySecondFactorForm",
    "reauthenticate_webauthn": "apps.orgs.people.forms.ConfirmByPasskeyForm",
    "add_webauthn": "apps.orgs.people.forms.PasskeyAddForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # no stranger makes accounts, and a second factor may be required before mail arrives
MFA_TOTP_ISSUER = "Tollgate"
MFA_TOTP_TOLERANCE = 1  # half a minute that a phone's clock may be off
MFA_RECOVERY_CODE_DIGITS = 10
MFA_RECOVERY_CODES_SHOW_ONCE = True

# --- Logs ---
LOG_LEVEL = env("LOG_LEVEL", log_level, "info")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "apps.core.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},  # prints every URL it calls
    },
}
