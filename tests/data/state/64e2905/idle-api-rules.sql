PRAGMA application_id = 0;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
INSERT INTO "history" VALUES(1,1.79583298241698908811e+09,'anyone','write','127.0.0.1','rules','shop','1 rules -> beta, testers','kept',1);
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"weight": 0, "weight_source": "file", "file_weight": 0, "file_rules": "de1042894b0bdd0115f798437738f6a17c8d7dca4d0679a1d315103f4ce2b213", "rules": [{"name": "beta", "cookies": {"beta": "1"}, "to": "canary", "preview": true}, {"name": "testers", "headers": {"x-tester": {"in": ["1", "2"]}}, "to": "canary", "percent": 50.0}], "latched": "", "rollout": {"phase": "idle", "reason": "", "why": "", "steps": [], "step": null, "weight": 0, "began": 0.0, "since": 0.0, "step_since": 0.0, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false}}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
