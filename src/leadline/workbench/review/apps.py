"""Review as a Django app."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    name = "leadline.workbench.review"
    label = "review"

    def ready(self) -> None:
        """What the rooms below send out is among what a revision reaches; rooms above register their own. An exhibit
        says how much of a file was shown, as the ledger has it.
        """
        from leadline.workbench.evidence import viewing
        from leadline.workbench.review import access, ways

        ways.register_all()
        viewing.register(access.seen_of_each)
