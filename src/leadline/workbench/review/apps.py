"""Review as a Django app."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    name = "leadline.workbench.review"
    label = "review"

    def ready(self) -> None:
        """What the rooms below send out is among what a revision reaches; rooms above register their own."""
        from leadline.workbench.review import ways

        ways.register_all()
