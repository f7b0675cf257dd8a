import time, statistics
from tests.workbench.reports.test_faults import fill
from leadline.workbench.actors import Actor
from leadline.workbench.reports import access
from django.db import connection
def test_perf(analyst, client_of, office, make_person):
    t=time.time(); fill(100_000); print("fill", time.time()-t)
    with connection.cursor() as c: c.execute("ANALYZE")
    client=client_of(analyst)
    for q in ("", "?state=all","?state=closed","?state=waiting&urgency=3","?state=all&channel=mail&urgency=2","?mine=on","?newest=on&state=all","?state=all&text=ref-777","?state=all&text=R-2000-000777","?state=all&text=example.org/1","?overdue=on"):
        ts=[]
        for _ in range(5):
            t=time.time(); r=client.get("/reports/"+q); ts.append(time.time()-t); assert r.status_code==200
        print(q, round(statistics.median(ts)*1000,1),"ms")
    actor=Actor.of_person(analyst); cur=""; n=0; t=time.time(); mx=0
    while True:
        t1=time.time(); p=access.list_reports(actor, access.Asked(state="all"),cur,200); mx=max(mx,time.time()-t1); n+=len(p.rows)
        if not p.next: break
        cur=p.next
    print("walk",n,time.time()-t,"max page ms",mx*1000)
