"""Django settings of the workbench, from the environment and nothing else; anything malformed is a loud fault.

With `cli/config.py` the only reader of the environment; both share the table of variables in `domain`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from leadline.custody.keys import read_private
from leadline.domain import SEARCH_FIELDS, WORKBENCH_VARIABLES
from leadline.errors import ConfigError
from leadline.selectors.host import is_onion_v3

_HERE = Path(__file__).parent
_DEFAULTS = {variable.name: variable.default for variable in WORKBENCH_VARIABLES}


def _read(name: str) -> str:
    return os.environ.get(name, _DEFAULTS[name]).strip()


LEADLINE_HOME = Path(_read("LEADLINE_HOME")).expanduser().absolute()


def _path(name: str) -> Path:
    """A file or folder; the word HOME at its start stands for LEADLINE_HOME."""
    text = _read(name)
    return LEADLINE_HOME / text[5:] if text.startswith("HOME/") else Path(text).expanduser().absolute()


def _names(name: str) -> list[str]:
    return [part.strip() for part in _read(name).split(",") if part.strip()]


def _addresses(name: str) -> list[str]:
    for address in (found := _names(name)):
        if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address):
            raise ConfigError("not a list of addresses", where=name, mend="write them like a@example.org,b@example.org")
    return found


def _networks(name: str) -> list[Any]:
    try:
        return [ip_network(part) for part in _names(name)]
    except ValueError:
        raise ConfigError("not a list of networks", where=name, mend="write them like 10.1.0.0/16") from None


def _whole(name: str, most: int = 1000) -> int:
    text = _read(name)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 0 < int(text) <= most:
        raise ConfigError("setting is no positive number", where=name, mend="give a number such as 2")
    return int(text)


def _by_language(name: str, codes: list[str]) -> dict[str, str]:
    """One text for every language, or en=TEXT;fr=TEXT for single ones; languages that are not named have none."""
    text = _read(name)
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    if not any(code.strip() in codes for code, _, _ in parts):
        return dict.fromkeys(codes, text) if text else {}
    if wrong := [code for code, sign, _ in parts if not sign or code.strip() not in codes]:
        raise ConfigError("not a language of the form", where=f"{name}: {wrong[0].strip()[:20]}", mend=", ".join(codes))
    return {code.strip(): value.strip() for code, _, value in parts}


def _server(name: str, ports: Mapping[str, int]) -> dict[str, Any] | None:
    """scheme, host, port, user, password, path of an URL setting; None where it is empty."""
    text = _read(name)
    if not text:
        return None
    parts = urlsplit(text)
    try:
        port = parts.port or ports[parts.scheme]
    except (KeyError, ValueError):
        mend = f"start it with one of {', '.join(f'{scheme}://' for scheme in ports)}"
        raise ConfigError("not an address of a server", where=name, mend=mend) from None
    return {
        "scheme": parts.scheme,
        "host": parts.hostname or "localhost",
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "path": unquote(parts.path.lstrip("/")),
    }


def _database() -> dict[str, Any]:
    """SQLite in WAL mode under LEADLINE_HOME, or DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/NAME."""
    text = os.environ.get("DATABASE_URL", "").strip()
    if not text:
        # IMMEDIATE: a transaction that reads before it writes must not find the lock taken half-way.
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # secure_delete: what a row no longer holds is overwritten, also sealed fields whose term is over.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            # recursive_triggers: REPLACE fires the DELETE triggers of append-only tables.
            "PRAGMA secure_delete=ON; PRAGMA recursive_triggers=ON;",
        }
        name = LEADLINE_HOME / "leadline.sqlite3"
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}
    parts = urlsplit(text)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        mend = "give postgresql://USER:PASSWORD@HOST:PORT/NAME, or leave it out for SQLite"
        raise ConfigError("not a database that Leadline knows", where="DATABASE_URL", mend=mend)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": False},
    }


def _secret() -> tuple[str, bool]:
    """What signs sessions and one-time links, and whether it was made just now: on a first start, or for a restore.

    Nothing that outlives a session hangs on it. Where there is a database already a new one would sign everybody out
    silently, so there it is a fault; of a database elsewhere `office.check_secret` says so.
    """
    path = LEADLINE_HOME / "keys" / "django.key"
    if path.exists():
        return read_private(path, 4096).decode("ascii", "replace").strip(), False
    if (LEADLINE_HOME / "leadline.sqlite3").exists():
        mend = "put it back; if it is lost, write 64 random characters there, mode 600: everybody signs in anew"
        raise ConfigError("the key that signs sessions is missing", where=str(path), mend=mend)
    LEADLINE_HOME.parent.mkdir(parents=True, exist_ok=True)
    for folder in (LEADLINE_HOME, path.parent):
        folder.mkdir(exist_ok=True, mode=0o700)
    fresh = path.with_name(f"django.key.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_urlsafe(64), encoding="ascii")
    try:
        os.link(fresh, path)  # of two first starts at once, one wins and both read the same
    except FileExistsError:
        pass
    fresh.unlink()
    return path.read_text(encoding="ascii"), True


def _secret_in(name: str) -> str:
    """What the file that a setting names holds."""
    try:
        text = Path(_read(name)).read_text(encoding="utf-8").strip() if _read(name) else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        raise ConfigError("no secret in this file", where=name, mend="name a readable file that holds the secret alone")
    return text


LEADLINE_ADDRESS = _read("LEADLINE_ADDRESS")
LEADLINE_PUBLIC_ADDRESS = _read("LEADLINE_PUBLIC_ADDRESS")
LEADLINE_PUBLIC_HOSTS = _names("LEADLINE_PUBLIC_HOSTS")
LEADLINE_PUBLIC_ONION = _read("LEADLINE_PUBLIC_ONION").lower()
LEADLINE_PUBLIC_EXIT_URL = _read("LEADLINE_PUBLIC_EXIT_URL")
LEADLINE_TLS = (_read("LEADLINE_TLS_CERTIFICATE"), _read("LEADLINE_TLS_KEY"))
LEADLINE_PROXY = _read("LEADLINE_PROXY")
LEADLINE_WEB_WORKERS = _whole("LEADLINE_WEB_WORKERS")
LEADLINE_KEY_FILE = _path("LEADLINE_KEY_FILE")
LEADLINE_KEY_SLOT = _read("LEADLINE_KEY_SLOT")
LEADLINE_SIGNING_KEY_FILE = _path("LEADLINE_SIGNING_KEY_FILE")
LEADLINE_VAULT = _read("LEADLINE_VAULT") if _read("LEADLINE_VAULT").startswith("s3://") else _path("LEADLINE_VAULT")
LEADLINE_ERASURES = _path("LEADLINE_ERASURES")
LEADLINE_BANKS = _path("LEADLINE_BANKS")
LEADLINE_BACKUPS = _path("LEADLINE_BACKUPS")
LEADLINE_ANCHORS = _path("LEADLINE_ANCHORS")
LEADLINE_ANCHOR_MAIL = _addresses("LEADLINE_ANCHOR_MAIL")
LEADLINE_TIMESTAMP_URLS = _names("LEADLINE_TIMESTAMP_URLS")
LEADLINE_TIMESTAMP_ROOTS = _read("LEADLINE_TIMESTAMP_ROOTS")
LEADLINE_IMAP = _server("LEADLINE_IMAP_URL", {"imaps": 993, "imap": 143})
LEADLINE_MAIL_DNS = _read("LEADLINE_MAIL_DNS")
LEADLINE_MAIL_AUTHSERV_ID = _read("LEADLINE_MAIL_AUTHSERV_ID").lower()
LEADLINE_ALERT_WEBHOOK = _read("LEADLINE_ALERT_WEBHOOK")
LEADLINE_ENVIRONMENT = os.environ  # where credentials of sources may lie, by names people gave
LEADLINE_OFFICE_NAME = _read("LEADLINE_OFFICE_NAME")
LEADLINE_API_RATE = _whole("LEADLINE_API_RATE", 100_000_000)
LEADLINE_WEBHOOK_PRIVATE = _networks("LEADLINE_WEBHOOK_PRIVATE")
LEADLINE_METRICS_TOKEN_FILE = _read("LEADLINE_METRICS_TOKEN_FILE")
LEADLINE_SEARCH_FIELDS = _names("LEADLINE_SEARCH_FIELDS")

if unknown := sorted(set(LEADLINE_SEARCH_FIELDS) - SEARCH_FIELDS.keys()):
    mend = f"name some of {', '.join(SEARCH_FIELDS)}"
    raise ConfigError("no field that is searched", where=f"LEADLINE_SEARCH_FIELDS: {unknown[0][:20]}", mend=mend)
if LEADLINE_PUBLIC_ONION and not (LEADLINE_PUBLIC_ONION.endswith(".onion") and is_onion_v3(LEADLINE_PUBLIC_ONION)):
    mend = "give the content of Tor's file `hostname`: 56 letters and digits, then .onion"
    raise ConfigError("no address of an onion service", where="LEADLINE_PUBLIC_ONION", mend=mend)
if urlsplit(LEADLINE_PUBLIC_EXIT_URL).scheme != "https" or not urlsplit(LEADLINE_PUBLIC_EXIT_URL).hostname:
    raise ConfigError("the quick exit leads nowhere", where="LEADLINE_PUBLIC_EXIT_URL", mend="give an https:// address")
if LEADLINE_KEY_SLOT and not LEADLINE_KEY_SLOT.partition(":")[0]:
    raise ConfigError("no name of a key slot", where="LEADLINE_KEY_SLOT", mend="give NAME:ARGUMENT")
if LEADLINE_TIMESTAMP_URLS and not LEADLINE_TIMESTAMP_ROOTS:
    mend = "name the file of their root certificates (PEM): an answer that nobody can check proves nothing"
    where = "LEADLINE_TIMESTAMP_URLS, LEADLINE_TIMESTAMP_ROOTS"
    raise ConfigError("timestamp authorities without roots", where=where, mend=mend)
if any(LEADLINE_TLS) and not all(LEADLINE_TLS):
    raise ConfigError(
        "half of a TLS configuration", where="LEADLINE_TLS_CERTIFICATE, LEADLINE_TLS_KEY", mend="give both files"
    )

DEBUG = False
SECRET_KEY, LEADLINE_SECRET_IS_NEW = _secret()
ALLOWED_HOSTS = _names("LEADLINE_HOSTS")
ROOT_URLCONF = "leadline.workbench.urls"
WSGI_APPLICATION = "leadline.workbench.wsgi.application"
DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Person"

INSTALLED_APPS = [
    "leadline.workbench.journal",
    "leadline.workbench.accounts",
    "leadline.workbench.laws",
    "leadline.workbench.hooks",
    "leadline.workbench.banks",
    "leadline.workbench.evidence",
    "leadline.workbench.stats",
    "leadline.workbench.reports",
    "leadline.workbench.review",
    "leadline.workbench.cases",
    "leadline.workbench.quality",
    "leadline.workbench.sharing",
    "leadline.workbench.search",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",  # its static file only
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "leadline.workbench.middleware.security_headers",
    "leadline.workbench.entrance.named_proxy_only",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "leadline.workbench.entrance.bounded_bodies",  # before the CSRF check, which reads the body
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "leadline.workbench.middleware.session_limits",
    "leadline.workbench.middleware.own_language",
    "leadline.workbench.middleware.second_factor_first",
    "leadline.workbench.middleware.permission_gate",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_HERE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["leadline.workbench.words", "leadline.workbench.controls"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leadline.workbench.pages.page_context",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

# --- sign-in (allauth) -----------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "leadline.workbench.accounts.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "leadline.workbench.accounts.adapters.OidcAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation, sent to the address, has verified it
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")  # a code by mail, a default of newer allauth, proves too little
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a stranger who asks to reset a password learns of no account
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_SESSION_REMEMBER = False
# Tries to sign in are counted by `accounts.throttle`, by account and by address: allauth's own limits hold for browsers
# that signed in before as well, so that a stranger at the same address could lock their owners out.
ACCOUNT_RATE_LIMITS = {"login_failed": None, "login": None, "reset_password": "20/m/ip"}
ACCOUNT_FORMS = {"reset_password_from_key": "leadline.workbench.accounts.factors.NewPasswordForm"}
MFA_RATE_LIMITS = {"webauthn_login": None}  # nothing to guess
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = LEADLINE_OFFICE_NAME
MFA_ADAPTER = "leadline.workbench.accounts.adapters.MfaAdapter"
MFA_FORMS = {
    "authenticate": "leadline.workbench.accounts.factors.AuthenticateForm",
    "reauthenticate": "leadline.workbench.accounts.factors.ReauthenticateForm",
}
USERSESSIONS_TRACK_ACTIVITY = False  # it would write, and so lock the database, on every request
SOCIALACCOUNT_ONLY = False
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
if _read("LEADLINE_OIDC_ISSUER"):
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "office",
                "name": LEADLINE_OFFICE_NAME,
                "client_id": _read("LEADLINE_OIDC_CLIENT"),
                "secret": _secret_in("LEADLINE_OIDC_SECRET_FILE"),
                "settings": {"server_url": _read("LEADLINE_OIDC_ISSUER")},
            }
        ],
    }
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# What is counted of sign-ins, by all processes of this machine; API calls, of which each process lets its share pass.
CACHES = {
    "default": {"BACKEND": "leadline.workbench.counts.SharedCache"},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 200_000}},
}

# --- sessions, cookies, transport ------------------------------------------------------------------------------------
SESSION_COOKIE_AGE = 8 * 3600  # from sign-in, whatever happens meanwhile
LEADLINE_IDLE_S = 30 * 60
_IS_TLS = bool(all(LEADLINE_TLS) or LEADLINE_PROXY)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _IS_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "__Host-leadline" if _IS_TLS else "leadline"
CSRF_COOKIE_NAME = "__Host-leadline-csrf" if _IS_TLS else "leadline-csrf"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _IS_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _IS_TLS
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REFERRER_POLICY = "same-origin"  # without any, browsers send forms with "Origin: null", which CSRF refuses
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if LEADLINE_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 << 20
DATA_UPLOAD_MAX_NUMBER_FILES = 1
# Every upload stays in memory until it is hashed or sealed: Django's default would write large ones to a plain file.
FILE_UPLOAD_HANDLERS = ["leadline.workbench.uploads.MemoryOnlyUpload"]
LEADLINE_MAX_UPLOAD_BYTES = 512 << 20

# --- files, languages, work in the background, mail ------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [_HERE / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français"), ("nl", "Nederlands"), ("de", "Deutsch")]
LOCALE_PATHS = [_HERE / "locale"]
LEADLINE_PUBLIC_HELPLINE = _by_language("LEADLINE_PUBLIC_HELPLINE", [code for code, _ in LANGUAGES])
LANGUAGE_COOKIE_NAME = "leadline-language"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = _IS_TLS
USE_I18N = USE_TZ = True
TIME_ZONE = "UTC"
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "urgent"]}}
_MAIL = _server("LEADLINE_MAIL_URL", {"smtp": 25, "smtps": 465, "submission": 587})
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _read("LEADLINE_MAIL_FROM")
if _MAIL:
    EMAIL_BACKEND = "leadline.workbench.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _MAIL["host"], _MAIL["port"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL["user"], _MAIL["password"]
    EMAIL_USE_SSL = _MAIL["scheme"] == "smtps"
    EMAIL_USE_TLS = _MAIL["scheme"] == "submission"
    EMAIL_TIMEOUT = 20
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = LEADLINE_HOME / "mail"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # No address of a visitor, and of an exception its type alone: its text may hold evidence.
    "filters": {"no_visitor": {"()": "leadline.workbench.public.quiet.NoVisitor"}},
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["no_visitor"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"gunicorn.error": {"filters": ["no_visitor"]}, "django": {"handlers": [], "level": "WARNING"}},
}
