PRAGMA application_id = 1668182649;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
, rollout_id TEXT NOT NULL DEFAULT '', stable_version TEXT NOT NULL DEFAULT '', canary_version TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"v": 1, "weight": 0, "weight_source": "file", "file_weight": 500, "file_rules": "", "rules": null, "latched": "the kept state was damaged", "rollout": {"v": 1, "phase": "idle", "reason": "", "why": "", "steps": [], "step": null, "weight": 0, "began": 0.0, "since": 0.0, "step_since": 0.0, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false, "id": "", "given": "", "announced": "", "stable": ""}, "past": [], "waiting": null, "heard": {"canary": "http://127.0.0.1:19002", "stable": "http://127.0.0.1:19001", "plan": "20 for 3600, 50 for 3600, 100 for 3600; timeout auto", "analysis": "on"}, "canary": null, "file_canary": "e2cf881aed05944646411a191172bbfe345bba3496fa8db7190964c6485df9f5"}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
