PRAGMA application_id = 0;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
INSERT INTO "history" VALUES(1,1.79583317396728038787e+09,'anyone','write','127.0.0.1','start','shop','started by anyone; the canary gets 20 %','kept',1);
INSERT INTO "history" VALUES(2,1.79583317484732508657e+09,'canaryproxy','engine','','rollout','shop','progressing, step 0','kept',2);
INSERT INTO "history" VALUES(3,1.79583317799870514864e+09,'anyone','write','127.0.0.1','promote','shop','promoted by anyone; the canary gets 50 %','kept',2);
INSERT INTO "history" VALUES(4,1.79583317886329865459e+09,'canaryproxy','engine','','rollout','shop','progressing, step 1','kept',3);
INSERT INTO "history" VALUES(5,1.79583318101959753037e+09,'anyone','write','127.0.0.1','abort','shop','rolled back at 50 %: aborted by anyone; 3.0 s after the step began','kept',3);
CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
INSERT INTO "routes" VALUES('shop','{"weight": 0, "weight_source": "rollout", "file_weight": 0, "file_rules": "", "rules": null, "latched": "", "rollout": {"phase": "rolled_back", "reason": "manual", "why": "aborted by anyone", "steps": [[2000, 3600.0, false], [5000, 3600.0, false], [10000, 3600.0, false]], "step": 1, "weight": 0, "began": 1795833173.9672606, "since": 1795833181.0195305, "step_since": 1795833177.9986784, "timeout_at": 0.0, "released": false, "before": "progressing", "controls": 0, "warned": false}}');
CREATE INDEX history_by_route ON history (route, id);
COMMIT;
