"""Addresses of reports."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.reports import views

urlpatterns = [
    path("", views.list_reports, name="reports"),
    path("new/", views.new_report, name="new_report"),
    path("import/", views.import_file, name="import_report"),
    path("bulk/", views.new_bulk, name="new_bulk"),
    path("bulk/<uuid:delivery_id>/", views.show_bulk, name="bulk"),
    path("bulk/<uuid:delivery_id>/import/", views.import_bulk, name="import_bulk"),
    path("on-call/", views.set_on_call, name="on_call"),
    path("terms/", views.set_terms, name="report_terms"),
    path("<uuid:report_id>/", views.show_report, name="report"),
    path("<uuid:report_id>/state/", views.change_state, name="report_state"),
    path("<uuid:report_id>/messages/", views.ask_reporter, name="ask_reporter"),
    path("<uuid:report_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<uuid:report_id>/countries/", views.set_countries, name="report_countries"),
    path("<uuid:report_id>/handling/", views.set_handling, name="report_handling"),
    path("<uuid:report_id>/handling/decide/", views.decide_handling, name="decide_report_handling"),
    path("<uuid:report_id>/hold/", views.set_hold, name="report_hold"),
    path("<uuid:report_id>/hold/end/", views.end_hold, name="end_report_hold"),
    path("<uuid:report_id>/grant/", views.let_see, name="let_see_report"),
]
