-- The database of a home of schema 7, with results and jobs as three earlier versions of Headstart wrote them.
BEGIN TRANSACTION;
CREATE TABLE artifact (
    run_id TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (run_id, name)) WITHOUT ROWID;
INSERT INTO "artifact" VALUES('first','evaluation-test.json','e5e5e5e5');
INSERT INTO "artifact" VALUES('newest','evaluation-test.json','e5e5e5e5');
INSERT INTO "artifact" VALUES('second','evaluation-test.json','e5e5e5e5');
CREATE TABLE change (  -- what a user did to pictures, and how each was before, so that it can be undone
    number INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    what TEXT NOT NULL, before TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE dataset (  -- the pictures of a project; `part` is where each is now, `pinned` what must not change
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    picture_id TEXT NOT NULL REFERENCES picture(id),
    label TEXT NOT NULL, part TEXT, pinned TEXT, excluded INTEGER NOT NULL DEFAULT 0, pixels TEXT NOT NULL, group_key TEXT, group_source TEXT, placed TEXT, confirmed TEXT,
    PRIMARY KEY (project_id, picture_id)) WITHOUT ROWID;
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','0000','square','train',NULL,0,'0000',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','1111','circle','train',NULL,0,'1111',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','2222','square','train',NULL,0,'2222',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','3333','circle','train',NULL,0,'3333',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','4444','square','train',NULL,0,'4444',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','5555','circle','train',NULL,0,'5555',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','6666','square','val',NULL,0,'6666',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','7777','circle','val',NULL,0,'7777',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','8888','square','val',NULL,0,'8888',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','9999','circle','test','test',0,'9999',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','aaaa','square','test','test',0,'aaaa',NULL,NULL,NULL,NULL);
INSERT INTO "dataset" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','bbbb','circle','test','test',0,'bbbb',NULL,NULL,NULL,NULL);
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL REFERENCES job(id) ON DELETE CASCADE,
    kind TEXT NOT NULL, key TEXT NOT NULL, facts TEXT NOT NULL, at REAL NOT NULL, UNIQUE (job_id, kind, key));
INSERT INTO "event" VALUES(1,'j-train','epoch','head 1','{"stage": "head", "epoch": 1, "loss": 0.75}',1764000010.5);
CREATE TABLE file (
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, batch TEXT NOT NULL, number INTEGER NOT NULL,
    name TEXT NOT NULL, label TEXT NOT NULL, part TEXT, picture_id TEXT, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    facts TEXT NOT NULL, at REAL NOT NULL DEFAULT 0, PRIMARY KEY (project_id, batch, number)) WITHOUT ROWID;
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',0,'square/0.png','square',NULL,'0000','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',1,'circle/1.png','circle',NULL,'1111','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',2,'square/2.png','square',NULL,'2222','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',3,'circle/3.png','circle',NULL,'3333','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',4,'square/4.png','square',NULL,'4444','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',5,'circle/5.png','circle',NULL,'5555','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',6,'square/6.png','square',NULL,'6666','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',7,'circle/7.png','circle',NULL,'7777','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',8,'square/8.png','square',NULL,'8888','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',9,'circle/9.png','circle',NULL,'9999','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',10,'square/10.png','square',NULL,'aaaa','used','','{}',1764000001.0);
INSERT INTO "file" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','batch',11,'circle/11.png','circle',NULL,'bbbb','used','','{}',1764000001.0);
CREATE TABLE finding (  -- how much a picture of a project gives reason to look at it; decisions compare scores
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, kind TEXT NOT NULL, picture_id TEXT NOT NULL,
    score REAL NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (project_id, kind, picture_id)) WITHOUT ROWID;
CREATE TABLE job (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    run_id TEXT REFERENCES run(id) ON DELETE CASCADE, kind TEXT NOT NULL, params TEXT NOT NULL, state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, token TEXT, stage TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0, stage_at REAL, error TEXT, created_at REAL NOT NULL, ended_at REAL, line TEXT NOT NULL DEFAULT 'compute', spawned_at REAL, spawns INTEGER NOT NULL DEFAULT 0, asked_at REAL, forecast TEXT);
INSERT INTO "job" VALUES('j-intake','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'intake','{"path": "shapes.zip", "batch": "batch", "label": "", "audit": true}','succeeded',1,NULL,'',0,0,NULL,NULL,1764000001.0,1764000002.0,'intake 5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-sample','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'intake','{"sample": 0, "audit": true}','succeeded',1,NULL,'',0,0,NULL,NULL,1764000002.0,1764000003.0,'intake 5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-audit','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'audit','{}','succeeded',1,NULL,'',0,0,NULL,NULL,1764000003.0,1764000004.0,'audit 5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-train','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','first','train','{}','succeeded',1,NULL,'',0,0,NULL,NULL,1764000010.0,1764000011.0,'compute',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-compare','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'compare','{"runs": ["second", "newest"]}','succeeded',1,NULL,'',0,0,NULL,NULL,1764000011.0,1764000012.0,'compute',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-search','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'search','{"run": "asked"}','paused',1,NULL,'',0,0,NULL,NULL,1764000020.0,1764000021.0,'compute',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-map','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'map','{"run": "first"}','failed',1,NULL,'',0,0,NULL,'{"code": "worker_died", "values": {"stage": "map_pca"}}',1764000021.0,1764000022.0,'map 5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,0,NULL,NULL);
INSERT INTO "job" VALUES('j-weights','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d',NULL,'weights','{"backbone": "MobileNetV2", "path": "mine.h5"}','cancelled',1,NULL,'',0,0,NULL,NULL,1764000022.0,1764000023.0,'download',NULL,0,NULL,NULL);
CREATE TABLE measure (  -- what an audit measured of a picture's bytes, whichever projects use them
    picture_id TEXT NOT NULL REFERENCES picture(id) ON DELETE CASCADE, kind TEXT NOT NULL, facts TEXT NOT NULL,
    PRIMARY KEY (picture_id, kind)) WITHOUT ROWID;
CREATE TABLE picture (  -- what is known of bytes on the shelf, whichever projects use them
    id TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, pixels TEXT NOT NULL, notes TEXT NOT NULL);
INSERT INTO "picture" VALUES('0000',64,48,'0000','[]');
INSERT INTO "picture" VALUES('1111',64,48,'1111','[]');
INSERT INTO "picture" VALUES('2222',64,48,'2222','[]');
INSERT INTO "picture" VALUES('3333',64,48,'3333','[]');
INSERT INTO "picture" VALUES('4444',64,48,'4444','[]');
INSERT INTO "picture" VALUES('5555',64,48,'5555','[]');
INSERT INTO "picture" VALUES('6666',64,48,'6666','[]');
INSERT INTO "picture" VALUES('7777',64,48,'7777','[]');
INSERT INTO "picture" VALUES('8888',64,48,'8888','[]');
INSERT INTO "picture" VALUES('9999',64,48,'9999','[]');
INSERT INTO "picture" VALUES('aaaa',64,48,'aaaa','[]');
INSERT INTO "picture" VALUES('bbbb',64,48,'bbbb','[]');
CREATE TABLE project (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT UNIQUE, created_at REAL NOT NULL,
    split_seed INTEGER NOT NULL DEFAULT 0, val REAL NOT NULL DEFAULT 0.15, test REAL NOT NULL DEFAULT 0.15);
INSERT INTO "project" VALUES('5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','Shapes of before',NULL,1764000000.0,0,0.15,0.15);
CREATE TABLE promotion (
    number INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    run_id TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE, at REAL NOT NULL);
INSERT INTO "promotion" VALUES(1,'5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','second',1764000030.0);
CREATE TABLE removal (
    kind TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE run (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    plan TEXT NOT NULL, fingerprint TEXT NOT NULL, result TEXT, created_at REAL NOT NULL, name TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', starred INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project_id, plan, fingerprint));
INSERT INTO "run" VALUES('first','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','{"augment": 0, "backbone": "Starter", "batch_size": 32, "dropout": 0.0, "epochs": 3, "fine_tune_blocks": 0, "hidden_units": 0, "learning_rate": 0.001, "pooling": "average", "regularization": 50.0, "seed": 0}','f00df00df00df00d','{"classes": ["circle", "square"], "pictures": 12, "split": {"train": 6, "val": 3, "test": 3}, "backbone": "Starter", "val_accuracy": 0.6666666666666666, "test_accuracy": 0.6666666666666666, "test_n": 3, "test_interval": [0.20765960080204765, 0.9385081159498042], "before_fine_tune": null, "seconds": {"features": 6.166, "head": 0.03, "fine_tune": 0.0, "evaluate": 0.804}, "head": {"history": [{"loss": 0.75, "accuracy": 0.5, "val_loss": 0.8125, "val_accuracy": 0.3333333333333333}, {"loss": 0.5, "accuracy": 0.8333333333333334, "val_loss": 0.625, "val_accuracy": 0.6666666666666666}, {"loss": 0.375, "accuracy": 1.0, "val_loss": 0.6875, "val_accuracy": 0.6666666666666666}], "best_epoch": 2}, "fine_tune": null}',1764000010.0,'The first','',1);
INSERT INTO "run" VALUES('second','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','{"augment": 0, "backbone": "Starter", "batch_size": 32, "dropout": 0.0, "epochs": 3, "fine_tune_blocks": 1, "fine_tune_epochs": 1, "fine_tune_rate": 0.0003, "hidden_units": 0, "learning_rate": 0.001, "pooling": "average", "regularization": 50.0, "seed": 1}','f00df00df00df00d','{"classes": ["circle", "square"], "pictures": 12, "split": {"train": 6, "val": 3, "test": 3}, "backbone": "Starter", "val_accuracy": 1.0, "test_accuracy": 0.6666666666666666, "test_n": 3, "test_interval": [0.20765960080204765, 0.9385081159498042], "before_fine_tune": {"val_accuracy": 0.6666666666666666, "test_accuracy": 0.6666666666666666}, "seconds": {"features": 6.166, "head": 0.03, "fine_tune": 0.0, "evaluate": 0.804}, "head": {"history": [{"loss": 0.75, "accuracy": 0.5, "val_loss": 0.8125, "val_accuracy": 0.3333333333333333}, {"loss": 0.5, "accuracy": 0.8333333333333334, "val_loss": 0.625, "val_accuracy": 0.6666666666666666}, {"loss": 0.375, "accuracy": 1.0, "val_loss": 0.6875, "val_accuracy": 0.6666666666666666}], "best_epoch": 2}, "fine_tune": {"history": [{"val_loss": 0.625, "val_accuracy": 0.6666666666666666, "val_balanced": 0.6666666666666666}, {"loss": 0.5, "accuracy": 1.0, "val_loss": 0.5, "val_accuracy": 1.0, "val_balanced": 1.0}], "best_epoch": 1}, "extracted": {"n": 12, "seconds": 0.229, "ms": null}, "notes": [["tuned_better", {"before": 2, "after": 3, "n": 3, "best": 1}]]}',1764000011.0,'','',0);
INSERT INTO "run" VALUES('newest','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','{"augment": 0, "backbone": "Starter", "batch_size": 32, "dropout": 0.0, "epochs": 3, "fine_tune_blocks": 0, "hidden_units": 0, "learning_rate": 0.001, "pooling": "average", "regularization": 50.0, "seed": 2}','f00df00df00df00d','{"classes": ["circle", "square"], "pictures": 12, "split": {"train": 6, "val": 3, "test": 3}, "backbone": "Starter", "val_accuracy": 0.6666666666666666, "test_accuracy": 0.6666666666666666, "test_n": 3, "test_interval": [0.20765960080204765, 0.9385081159498042], "before_fine_tune": null, "seconds": {"features": 6.166, "head": 0.03, "fine_tune": 0.0, "evaluate": 0.804}, "head": {"history": [{"loss": 0.75, "accuracy": 0.5, "val_loss": 0.8125, "val_accuracy": 0.3333333333333333}, {"loss": 0.5, "accuracy": 0.8333333333333334, "val_loss": 0.625, "val_accuracy": 0.6666666666666666}, {"loss": 0.375, "accuracy": 1.0, "val_loss": 0.6875, "val_accuracy": 0.6666666666666666}], "best_epoch": 2}, "fine_tune": null, "extracted": {"n": 0, "seconds": 0.0, "ms": 6.35}, "caches": ["cedfe7f33e045304dd42244b003cb970"], "made": {"versions": {"headstart": "0.1.0", "python": "3.11.7", "keras": "3.15.1", "numpy": "2.4.6", "pillow": "13.0.0", "tensorflow": "2.21.0"}, "weights": "3434343434343434343434343434343434343434343434343434343434343434", "split": {"seed": 0, "val": 0.15, "test": 0.15}}, "notes": [], "mirror": {"n": 3, "as_is": 2, "mirrored": 2, "swapped": null, "enough": false}, "temperature": 0.8679467540154423, "learned": 1.0, "of a later version": {"x": [1, 2]}}',1764000012.0,'','',0);
INSERT INTO "run" VALUES('asked','5f0c2a9e6b7d4c1f8a3e2d1b0c9f8e7d','{"augment": 0, "backbone": "Starter", "batch_size": 32, "dropout": 0.0, "epochs": 3, "fine_tune_blocks": 0, "hidden_units": 0, "learning_rate": 0.001, "pooling": "average", "regularization": 50.0, "seed": 9}','f00df00df00df00d',NULL,1764000020.0,'','',0);
CREATE UNIQUE INDEX dataset_pixels ON dataset(project_id, pixels);
CREATE INDEX dataset_label ON dataset(project_id, excluded, label);
CREATE UNIQUE INDEX job_active ON job(run_id) WHERE state IN ('queued', 'running', 'cancelling', 'pausing', 'paused');
CREATE INDEX job_line ON job(line, created_at) WHERE state = 'queued';
CREATE INDEX dataset_part ON dataset(project_id, excluded, part, label);
CREATE INDEX dataset_pinned ON dataset(project_id, pinned) WHERE pinned IS NOT NULL;
CREATE INDEX dataset_group ON dataset(project_id, group_key) WHERE group_key IS NOT NULL;
CREATE INDEX file_outcome ON file(project_id, outcome, reason);
CREATE INDEX file_picture ON file(project_id, picture_id);
CREATE INDEX finding_score ON finding(project_id, kind, score);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('promotion',1);
INSERT INTO "sqlite_sequence" VALUES('event',1);
PRAGMA user_version = 7;
COMMIT;
