"""Our own mail by SMTP: Django's way, but a connection whose sign-in was refused is closed and not left lying."""

from __future__ import annotations

from contextlib import suppress

from django.core.mail.backends import smtp


class EmailBackend(smtp.EmailBackend):
    def open(self) -> bool | None:
        try:
            return super().open()
        except OSError:
            with suppress(OSError):  # it may be gone by itself
                self.close()
            raise
