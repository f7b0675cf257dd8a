"""Django settings of the public report form: a process of its own that has no sign-in, no session and no cookie.

It shares the office's database, keys and folders with the workbench, and none of its pages. Reads no environment
itself: `settings` has done that.
"""

from __future__ import annotations

import hashlib
import hmac

from leadline.workbench import settings as _office

# LEADLINE_HOME, LEADLINE_KEY_FILE and the like: rooms below look for them in `django.conf.settings`.
globals().update({name: value for name, value in vars(_office).items() if name.startswith("LEADLINE_")})

DEBUG = False
# Derived: whatever is signed here, and whoever might learn this key here, opens nothing at the workbench.
SECRET_KEY = hmac.new(_office.SECRET_KEY.encode(), b"leadline public form", hashlib.sha256).hexdigest()
ALLOWED_HOSTS = [*_office.LEADLINE_PUBLIC_HOSTS]
if _office.LEADLINE_PUBLIC_ONION:
    ALLOWED_HOSTS.append(_office.LEADLINE_PUBLIC_ONION)
ROOT_URLCONF = "leadline.workbench.public_urls"
WSGI_APPLICATION = None
DATABASES = _office.DATABASES
DEFAULT_AUTO_FIELD = _office.DEFAULT_AUTO_FIELD
AUTH_USER_MODEL = _office.AUTH_USER_MODEL
PASSWORD_HASHERS = _office.PASSWORD_HASHERS

# Apps with tables that a report touches, and the queue that its follow-up goes into. No app here brings a page.
INSTALLED_APPS = [
    "leadline.workbench.journal",
    "leadline.workbench.accounts",
    "leadline.workbench.banks",
    "leadline.workbench.evidence",
    "leadline.workbench.reports",
    "django.contrib.staticfiles",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "leadline.workbench.public.middleware.strict_headers",
    "leadline.workbench.entrance.named_proxy_only",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.locale.LocaleMiddleware",  # by path, else by Accept-Language; it sets no cookie
    "django.middleware.common.CommonMiddleware",
    "leadline.workbench.public.middleware.bounded_requests",
    "leadline.workbench.public.middleware.closed_without_key",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_office._HERE / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {"context_processors": ["leadline.workbench.public.pages.page_context"]},
    }
]
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

# --- transport and sizes ---------------------------------------------------------------------------------------------
SECURE_HSTS_SECONDS = _office.SECURE_HSTS_SECONDS
SECURE_HSTS_INCLUDE_SUBDOMAINS = _office.SECURE_HSTS_INCLUDE_SUBDOMAINS
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_CONTENT_TYPE_NOSNIFF = True
if _office.LEADLINE_PROXY:
    SECURE_PROXY_SSL_HEADER = _office.SECURE_PROXY_SSL_HEADER
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 << 10
DATA_UPLOAD_MAX_NUMBER_FIELDS = 40
DATA_UPLOAD_MAX_NUMBER_FILES = 0
FILE_UPLOAD_HANDLERS: list[str] = []

# --- files, languages, work in the background, logs ------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [("public", _office._HERE / "static" / "public")]  # the staff side's scripts are not served here
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
LANGUAGE_CODE = "en"
LANGUAGES = _office.LANGUAGES
LOCALE_PATHS = _office.LOCALE_PATHS
LANGUAGE_COOKIE_NAME = "none"  # LocaleMiddleware looks for one; nothing here ever sets it
USE_I18N = USE_TZ = True
TIME_ZONE = "UTC"
TASKS = _office.TASKS

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_visitor": {"()": "leadline.workbench.public.quiet.NoVisitor"}},
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["no_visitor"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # gunicorn names the address of whoever sends a broken request, through handlers of its own.
        "gunicorn.error": {"filters": ["no_visitor"]},
        # Django writes the Host header of a refused request, and the path of a page that is not there.
        "django.security": {"level": "CRITICAL"},
        "django.request": {"level": "ERROR"},
        "django": {"handlers": [], "level": "WARNING"},
    },
}
