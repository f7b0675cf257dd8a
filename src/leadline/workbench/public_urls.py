"""Every address of the public report form. No page of the workbench is among them."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from leadline.workbench.public import views

urlpatterns = [
    path("exit/", views.leave, name="exit"),
    *i18n_patterns(
        path("", views.start, name="start"),
        path("report/", views.report, name="report"),
        path("appeal/", views.appeal, name="appeal"),
        path("answer/", views.read, name="read"),
        path("answer/send/", views.send, name="send"),
        path("help/", views.help_page, name="help"),
        prefix_default_language=True,
    ),
]

handler400 = "leadline.workbench.public.views.bad_request"
handler403 = "leadline.workbench.public.views.bad_request"
handler404 = "leadline.workbench.public.views.not_found"
handler500 = "leadline.workbench.public.views.fault"
