"""Every address of the workbench. The public report form has a process, and addresses, of its own."""

from __future__ import annotations

from django.urls import include, path

from leadline.workbench.api import make_urls

urlpatterns = [
    path("", include("leadline.workbench.accounts.urls")),
    path("reports/", include("leadline.workbench.reports.urls")),
    path("law/", include("leadline.workbench.laws.urls")),
    path("review/", include("leadline.workbench.review.urls")),
    path("cases/", include("leadline.workbench.cases.urls")),
    path("quality/", include("leadline.workbench.quality.urls")),
    path("search/", include("leadline.workbench.search.urls")),
    path("journal/", include("leadline.workbench.journal.urls")),
    path("banks/", include("leadline.workbench.banks.urls")),
    path("", include("leadline.workbench.sharing.urls")),
    path("webhooks/", include("leadline.workbench.hooks.urls")),
    path("", include("leadline.workbench.stats.urls")),
    path("api/v1/", include(make_urls())),
    path("evidence/", include("leadline.workbench.evidence.urls")),
]

handler500 = "leadline.workbench.pages.show_fault"
