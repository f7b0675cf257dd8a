"""Addresses of review."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.review import appeal_views, views

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
    path("appeals/", appeal_views.list_appeals, name="review_appeals"),
    path("appeals/new/", appeal_views.new_appeal, name="review_new_appeal"),
    path("appeals/<uuid:appeal_id>/", appeal_views.show_appeal, name="review_appeal"),
    path("appeals/<uuid:appeal_id>/take/", appeal_views.take_appeal, name="review_take_appeal"),
    path("appeals/<uuid:appeal_id>/ask/", appeal_views.ask_appellant, name="review_ask_appellant"),
    path("appeals/<uuid:appeal_id>/contest/", appeal_views.contest_assessment, name="review_contest"),
    path(
        "appeals/<uuid:appeal_id>/contest/<int:contest_id>/uphold/", appeal_views.uphold_contest, name="review_uphold"
    ),
    path("appeals/<uuid:appeal_id>/answer/", appeal_views.answer_appeal, name="review_answer_appeal"),
    path("withdrawals/", appeal_views.list_withdrawals, name="review_withdrawals"),
    path("withdrawals/<int:reach_id>/", appeal_views.undo_reach, name="review_undo_reach"),
    path("to-tell/", appeal_views.list_to_tell, name="review_to_tell"),
    path("to-tell/<int:to_tell_id>/", appeal_views.note_told, name="review_note_told"),
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
