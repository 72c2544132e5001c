PRAGMA application_id = 1668182649;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
, rollout_id TEXT NOT NULL DEFAULT '', stable_version TEXT NOT NULL DEFAULT '', canary_version TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "history" VALUES(1,1.79585675748497223852e+09,'anyone','write','127.0.0.1','rules','shop','0 rules -> team','kept',1,'','','');
INSERT INTO "history" VALUES(2,1.79585675754140162464e+09,'anyone','write','127.0.0.1','rules','shop','1 rules -> team, flagged','kept',2,'','','');
INSERT INTO "history" VALUES(3,1.79585675755539584154e+09,'anyone','write','127.0.0.1','rules','shop','2 rules -> team, flagged, listed','kept',3,'','','');
INSERT INTO "history" VALUES(4,1.79585675756131935118e+09,'anyone','write','127.0.0.1','rules','shop','3 rules -> team, flagged, listed, office','kept',4,'','','');
INSERT INTO "history" VALUES(5,1.79585675757625174526e+09,'anyone','write','127.0.0.1','rules','shop','4 rules -> team, flagged, listed, office, one-page','kept',5,'','','');
INSERT INTO "history" VALUES(6,1.79585675758134293554e+09,'anyone','write','127.0.0.1','rules','shop','5 rules -> team, flagged, listed, office, one-page, pages','kept',6,'','','');
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"v": 1, "weight": 500, "weight_source": "file", "file_weight": 500, "file_rules": "", "rules": [{"name": "team", "headers": {"x-team": "blue", "x-build": {"prefix": "nightly-"}, "x-id": {"regex": "[0-9]+"}}, "to": "canary"}, {"name": "flagged", "cookies": {"beta": {"present": true}, "old": {"present": false}}, "query": {"preview": {"in": ["1", "yes"]}}, "to": "canary", "preview": true, "analyse": true}, {"name": "listed", "headers": {"accept-language": {"item": "de"}, "x-groups": {"item": "staff"}}, "to": "canary", "percent": 12.5}, {"name": "office", "methods": ["GET", "POST"], "path": {"prefix": "/shop"}, "sources": ["10.1.0.0/16", "2001:db8::/32"], "to": "stable"}, {"name": "one-page", "path": "/a/b", "to": "stable"}, {"name": "pages", "path": {"regex": "/p/[0-9]+"}, "to": "canary", "percent": 0.0}], "latched": "", "rollout": {"v": 1, "phase": "idle", "reason": "", "why": "", "steps": [], "step": null, "weight": 0, "began": 0.0, "since": 0.0, "step_since": 0.0, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false, "id": "", "given": "", "announced": "", "stable": ""}, "past": [], "waiting": null, "heard": {"canary": "http://127.0.0.1:19002", "stable": "http://127.0.0.1:19001", "plan": "20 for 3600, 50 for 3600, 100 for 3600; timeout auto", "analysis": "on"}, "canary": null, "file_canary": "e2cf881aed05944646411a191172bbfe345bba3496fa8db7190964c6485df9f5"}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
