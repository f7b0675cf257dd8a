"""Laws as a Django app. It has no table: what an office adds lies in files of its own."""

from django.apps import AppConfig


class LawsConfig(AppConfig):
    name = "leadline.workbench.laws"
    label = "laws"
