"""Serves the workbench, or the public form, with gunicorn. `python -m leadline.workbench.server staff|public`.

Nothing about a visitor is logged: no access log, no addresses.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from gunicorn.app.base import BaseApplication

_THREADS = 8
_TIMEOUT_S = 120
_SETTINGS = {"staff": "leadline.workbench.settings", "public": "leadline.workbench.public_settings"}


class Server(BaseApplication):
    """One gunicorn with our options and nobody else's: it reads no file, no argument and no environment."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()


def options_for(which: str) -> dict[str, Any]:
    from django.conf import settings

    certificate, key = settings.LEADLINE_TLS
    address = settings.LEADLINE_ADDRESS if which == "staff" else settings.LEADLINE_PUBLIC_ADDRESS
    options: dict[str, Any] = {
        "bind": address,
        "workers": settings.LEADLINE_WEB_WORKERS if which == "staff" else 1,
        "threads": _THREADS,
        "worker_class": "gthread",
        "timeout": _TIMEOUT_S,
        "graceful_timeout": 10,
        "accesslog": None,
        "loglevel": "warning",
        "proc_name": f"leadline-{which}",
        "forwarded_allow_ips": settings.LEADLINE_PROXY or "",
        "control_socket_disable": True,
    }
    if certificate:
        options |= {"certfile": certificate, "keyfile": key}
    return options


def main(which: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = _SETTINGS[which]
    import django

    from leadline.errors import LeadlineError
    from leadline.workbench.office import begin_work

    try:
        django.setup()
        begin_work()
    except LeadlineError as error:
        sys.stderr.write(f"leadline: {error}\n")
        sys.exit(error.exit_code)
    Server(options_for(which)).run()


if __name__ == "__main__":
    main(sys.argv[1])
