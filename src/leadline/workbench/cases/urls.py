"""Addresses of cases."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.cases import views

urlpatterns = [
    path("", views.list_cases, name="cases"),
    path("new/", views.new_case, name="new_case"),
    path("office/", views.set_office, name="case_office"),
    path("asked/<uuid:question_id>/", views.answer, name="case_answer"),
    path("<uuid:case_id>/", views.show_case, name="case"),
    path("<uuid:case_id>/things/", views.list_things, name="case_things"),
    path("<uuid:case_id>/records/", views.list_records, name="case_records"),
    path("<uuid:case_id>/timeline/", views.show_timeline, name="case_timeline"),
    path("<uuid:case_id>/title/", views.set_title, name="case_title"),
    path("<uuid:case_id>/state/", views.change_state, name="case_state"),
    path("<uuid:case_id>/handling/", views.set_handling, name="case_handling"),
    path("<uuid:case_id>/handling/decide/", views.decide_handling, name="decide_case_handling"),
    path("<uuid:case_id>/things/add/", views.add_thing, name="case_add_thing"),
    path("<uuid:case_id>/things/<uuid:thing_id>/out/", views.take_out, name="case_take_out"),
    path("<uuid:case_id>/people/add/", views.add_party, name="case_add_person"),
    path("<uuid:case_id>/people/<uuid:party_id>/role/", views.set_party_role, name="case_person_role"),
    path("<uuid:case_id>/selectors/add/", views.add_selector, name="case_add_selector"),
    path("<uuid:case_id>/selectors/<uuid:selector_id>/out/", views.remove_selector, name="case_remove_selector"),
    path("<uuid:case_id>/tasks/add/", views.add_task, name="case_add_task"),
    path("<uuid:case_id>/tasks/<uuid:task_id>/", views.change_task, name="case_task"),
    path("<uuid:case_id>/notes/add/", views.add_note, name="case_add_note"),
    path("<uuid:case_id>/members/add/", views.add_member, name="case_add_member"),
    path("<uuid:case_id>/members/<uuid:member_id>/end/", views.end_membership, name="case_end_member"),
    path("<uuid:case_id>/lead/", views.hand_over, name="case_lead"),
    path("<uuid:case_id>/ask/", views.ask_leads, name="case_ask"),
    path("<uuid:case_id>/export/", views.export, name="case_export"),
]
