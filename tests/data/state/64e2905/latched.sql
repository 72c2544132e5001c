PRAGMA application_id = 0;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"weight": 0, "weight_source": "file", "file_weight": 500, "file_rules": "", "rules": null, "latched": "the kept state was damaged", "rollout": {"phase": "idle", "reason": "", "why": "", "steps": [], "step": null, "weight": 0, "began": 0.0, "since": 0.0, "step_since": 0.0, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false}}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
