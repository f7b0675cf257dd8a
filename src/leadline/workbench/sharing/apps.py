"""Sharing as a Django app."""

from django.apps import AppConfig


class SharingConfig(AppConfig):
    name = "leadline.workbench.sharing"
    label = "sharing"

    def ready(self) -> None:
        """A partner who was sent an entry is among those whom a revised decision reached."""
        from leadline.workbench.review import reached
        from leadline.workbench.sharing import ways

        reached.register("share", ways.Shares())
