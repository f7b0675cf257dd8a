"""Addresses of review."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.review import views

urlpatterns = [
    path("", views.list_queue, name="review_queue"),
    path("next/", views.claim_next, name="review_next"),
    path("shift/", views.begin_shift, name="review_shift"),
    path("shift/end/", views.end_shift, name="review_end_shift"),
    path("break/", views.show_break, name="review_break"),
    path("break/begin/", views.begin_break, name="review_begin_break"),
    path("blank/", views.blank, name="review_blank"),
    path("me/", views.show_me, name="review_me"),
    path("me/mood/", views.check_in, name="review_mood"),
    path("team/", views.show_team, name="review_team"),
    path("office/", views.set_office, name="review_office"),
    path("assessments/", views.list_assessments, name="review_assessments"),
    path("assessments/<uuid:assessment_id>/", views.show_assessment, name="review_assessment"),
    path("assessments/<uuid:assessment_id>/undo/", views.undo, name="review_undo"),
    path("assessments/<uuid:assessment_id>/propose/", views.propose_entry, name="review_propose"),
    path("assessments/<uuid:assessment_id>/outcome/", views.note_outcome, name="review_outcome"),
    path("look/<uuid:look_id>/", views.show_look, name="review_look"),
    path("look/<uuid:look_id>/end/", views.end_look, name="review_end_look"),
    path("<uuid:review_id>/", views.show_card, name="review_card"),
    path("<uuid:review_id>/claim/", views.claim, name="review_claim"),
    path("<uuid:review_id>/draft/", views.save_draft, name="review_draft"),
    path("<uuid:review_id>/hand-in/", views.hand_in, name="review_hand_in"),
    path("<uuid:review_id>/reveal/", views.reveal, name="review_reveal"),
    path("<uuid:review_id>/tile/<uuid:asset_id>/", views.show_tile, name="review_tile"),
    path("<uuid:review_id>/do/<str:what>/", views.change, name="review_change"),
]
