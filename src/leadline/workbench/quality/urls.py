"""Addresses of quality."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.quality import views

urlpatterns = [
    path("", views.show_team, name="quality"),
    path("me/", views.show_me, name="quality_me"),
    path("sets/", views.list_sets, name="quality_sets"),
    path("sets/choose/", views.choose_set, name="quality_choose"),
    path("sets/<uuid:set_id>/", views.show_set, name="quality_set"),
    path("sets/<uuid:set_id>/end/", views.end_set, name="quality_end_set"),
    path("items/<uuid:item_id>/", views.show_item, name="quality_item"),
    path("items/<uuid:item_id>/look/", views.look_at_item, name="quality_look_at_item"),
    path("items/<uuid:item_id>/ask/", views.ask, name="quality_ask"),
    path("items/<uuid:item_id>/withdraw/", views.withdraw, name="quality_withdraw"),
    path("disagreements/", views.list_disagreements, name="quality_disagreements"),
    path("disagreements/<uuid:pair_id>/", views.show_disagreement, name="quality_disagreement"),
    path("disagreements/<uuid:pair_id>/look/", views.look_at_disagreement, name="quality_look_at_disagreement"),
    path("office/", views.set_office, name="quality_office"),
]
