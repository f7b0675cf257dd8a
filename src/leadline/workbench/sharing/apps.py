"""Sharing as a Django app."""

from django.apps import AppConfig


class SharingConfig(AppConfig):
    name = "leadline.workbench.sharing"
    label = "sharing"

    def ready(self) -> None:
        """Whoever got an entry is among those whom a revised decision reached; what puts it right is proposed here."""
        from leadline.workbench.review import reached
        from leadline.workbench.sharing import remedies, ways

        reached.register("share", ways.Shares())
        reached.register("feed", ways.FeedSubscribers())
        reached.register("published", ways.Readers())
        reached.register_remedy("share", remedies.take_back)
        reached.register_remedy("list-source", remedies.dispute)
