"""Addresses of the journal."""

from django.urls import path

from leadline.workbench.journal import views

urlpatterns = [
    path("", views.show_journal, name="journal"),
    path("custody.jsonl", views.download_chain, name="journal-chain"),
    path("anchors.zip", views.download_proofs, name="journal-proofs"),
]
