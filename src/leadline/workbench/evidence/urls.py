"""Addresses of evidence."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.evidence import views

urlpatterns = [
    path("assets/", views.list_assets, name="assets"),
    path("assets/upload/", views.upload, name="upload_asset"),
    path("assets/tasks/", views.list_tasks, name="evidence_tasks"),
    path("assets/tasks/<int:task_id>/end/", views.end_task, name="end_evidence_task"),
    path("assets/<uuid:asset_id>/", views.show_asset, name="asset"),
    path("assets/<uuid:asset_id>/hold/", views.hold_asset, name="hold_asset"),
    path("assets/<uuid:asset_id>/hold/end/", views.end_hold, name="end_hold"),
    path("assets/<uuid:asset_id>/term/", views.set_term, name="set_term"),
    path("assets/<uuid:asset_id>/handling/", views.set_handling, name="set_handling"),
    path("exhibits/", views.list_exhibits, name="exhibits"),
    path("exhibits/new/", views.request_exhibit, name="request_exhibit"),
    path("exhibits/<uuid:exhibit_id>/", views.show_exhibit, name="exhibit"),
    path("exhibits/<uuid:exhibit_id>/download/", views.download_exhibit, name="download_exhibit"),
    path("exhibits/<uuid:exhibit_id>/again/", views.build_again, name="build_exhibit_again"),
    path("exhibits/<uuid:exhibit_id>/receipt/", views.note_receipt, name="note_receipt"),
    path("exhibits/<uuid:exhibit_id>/<str:what>/", views.decide_exhibit, name="decide_exhibit"),
    path("media-mode/", views.set_media_mode, name="media_mode"),
]
