PRAGMA application_id = 0;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
INSERT INTO "history" VALUES(1,1.7958331661924161911e+09,'anyone','write','127.0.0.1','start','shop','started by anyone; the canary gets 20 %','kept',1);
INSERT INTO "history" VALUES(2,1.7958331670788712502e+09,'canaryproxy','engine','','rollout','shop','progressing, step 0','kept',2);
INSERT INTO "history" VALUES(3,1.79583316959123277661e+09,'canaryproxy','engine','','rollout','shop','rolled back at 20 %: canary failed 8 of 59 requests, stable 0 of 234, evidence 2,977 ≥ 160; 3.4 s after the step began','kept',2);
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"weight": 0, "weight_source": "rollout", "file_weight": 0, "file_rules": "", "rules": null, "latched": "", "rollout": {"phase": "rolled_back", "reason": "verdict", "why": "canary failed 8 of 59 requests, stable 0 of 234, evidence 2,977 \u2265 160", "steps": [[2000, 3600.0, false], [5000, 3600.0, false], [10000, 3600.0, false]], "step": 0, "weight": 0, "began": 1795833166.192399, "since": 1795833169.5912058, "step_since": 1795833166.192399, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false}}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
