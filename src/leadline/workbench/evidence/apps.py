"""Evidence as a Django app."""

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "leadline.workbench.evidence"
    label = "evidence"
