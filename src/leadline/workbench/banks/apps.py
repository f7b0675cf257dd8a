"""Banks as a Django app."""

from django.apps import AppConfig


class BanksConfig(AppConfig):
    name = "leadline.workbench.banks"
    label = "banks"
