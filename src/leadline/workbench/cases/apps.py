"""Cases as a Django app."""

from django.apps import AppConfig


class CasesConfig(AppConfig):
    name = "leadline.workbench.cases"
    label = "cases"
