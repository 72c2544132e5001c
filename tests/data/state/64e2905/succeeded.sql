PRAGMA application_id = 0;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
INSERT INTO "history" VALUES(1,1.79583315710601425178e+09,'anyone','write','127.0.0.1','start','shop','started by anyone; the canary gets 50 %','kept',1);
INSERT INTO "history" VALUES(2,1.79583315801419663424e+09,'canaryproxy','engine','','rollout','shop','progressing, step 0','kept',2);
INSERT INTO "history" VALUES(3,1.79583316002450537685e+09,'canaryproxy','engine','','rollout','shop','nothing is shown to be worse; canary failed 0 of 116 requests, stable 0 of 125, evidence 0.68 of 160; the canary gets 100 %','kept',2);
INSERT INTO "history" VALUES(4,1.79583316203096508972e+09,'canaryproxy','engine','','rollout','shop','succeeded: the canary has proven itself; update stable, then reset','kept',3);
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"weight": 10000, "weight_source": "rollout", "file_weight": 0, "file_rules": "", "rules": null, "latched": "", "rollout": {"phase": "succeeded", "reason": "", "why": "the canary has proven itself", "steps": [[5000, 2.0, false], [10000, 2.0, false]], "step": 1, "weight": 10000, "began": 1795833157.1059952, "since": 1795833162.0309443, "step_since": 1795833160.024484, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false}}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
