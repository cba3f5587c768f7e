"""The tables of a home, as the steps that lead to them.

Each script leads from one version of the schema to the next; a new home walks through all of them.
"""

SCRIPTS = (
    """
CREATE TABLE project (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT UNIQUE, created_at REAL NOT NULL,
    split_seed INTEGER NOT NULL DEFAULT 0, val REAL NOT NULL DEFAULT 0.15, test REAL NOT NULL DEFAULT 0.15);
CREATE TABLE picture (  -- what is known of bytes on the shelf, whichever projects use them
    id TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, pixels TEXT NOT NULL, notes TEXT NOT NULL);
CREATE TABLE dataset (  -- the pictures of a project; `part` is where each is now, `pinned` what must not change
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    picture_id TEXT NOT NULL REFERENCES picture(id),
    label TEXT NOT NULL, part TEXT, pinned TEXT, excluded INTEGER NOT NULL DEFAULT 0, pixels TEXT NOT NULL,
    PRIMARY KEY (project_id, picture_id)) WITHOUT ROWID;
CREATE UNIQUE INDEX dataset_pixels ON dataset(project_id, pixels);
CREATE INDEX dataset_label ON dataset(project_id, excluded, label);
CREATE TABLE file (
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, batch TEXT NOT NULL, number INTEGER NOT NULL,
    name TEXT NOT NULL, label TEXT NOT NULL, part TEXT, picture_id TEXT, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    facts TEXT NOT NULL, PRIMARY KEY (project_id, batch, number)) WITHOUT ROWID;
CREATE TABLE run (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    plan TEXT NOT NULL, fingerprint TEXT NOT NULL, result TEXT, created_at REAL NOT NULL,
    UNIQUE (project_id, plan, fingerprint));
CREATE TABLE artifact (
    run_id TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (run_id, name)) WITHOUT ROWID;
CREATE TABLE job (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    run_id TEXT REFERENCES run(id) ON DELETE CASCADE, kind TEXT NOT NULL, params TEXT NOT NULL, state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, token TEXT, stage TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0, stage_at REAL, error TEXT, created_at REAL NOT NULL, ended_at REAL);
CREATE UNIQUE INDEX job_active ON job(project_id) WHERE state IN ('queued', 'running', 'cancelling');
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL REFERENCES job(id) ON DELETE CASCADE,
    kind TEXT NOT NULL, key TEXT NOT NULL, facts TEXT NOT NULL, at REAL NOT NULL, UNIQUE (job_id, kind, key));
""",
    """
ALTER TABLE run ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
-- Jobs of one line work one after the other. A process waits for each since `spawned_at`, the `spawns`-th anew.
ALTER TABLE job ADD COLUMN line TEXT NOT NULL DEFAULT 'compute';
ALTER TABLE job ADD COLUMN spawned_at REAL;
ALTER TABLE job ADD COLUMN spawns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN asked_at REAL;
ALTER TABLE job ADD COLUMN forecast TEXT;
-- What settings meant before there was a choice: runs go on, and are repeated, as they began.
UPDATE run SET plan = json_patch('{"hidden_layers": 1, "patience": 0, "label_smoothing": 0.0, "balance": 0.0,
 "precision": "float32", "augment_kinds": "crop flip light", "fine_tune_patience": 5, "fine_tune_warmup": 0,
 "fine_tune_schedule": "constant"}', plan);
UPDATE job SET line = 'intake ' || project_id WHERE kind = 'intake';
UPDATE job SET line = 'download' WHERE kind = 'download';
DROP INDEX job_active;
CREATE UNIQUE INDEX job_active ON job(run_id) WHERE state IN ('queued', 'running', 'cancelling', 'pausing', 'paused');
CREATE INDEX job_line ON job(line, created_at) WHERE state = 'queued';
""",
    """
-- Pictures of one group never stand in different parts: given by the user's manifest, or found by the audit.
ALTER TABLE dataset ADD COLUMN group_key TEXT;
ALTER TABLE dataset ADD COLUMN group_source TEXT;
-- The part that a user moved a picture to; the others stay where they are.
ALTER TABLE dataset ADD COLUMN placed TEXT;
CREATE INDEX dataset_part ON dataset(project_id, excluded, part, label);
CREATE INDEX dataset_pinned ON dataset(project_id, pinned) WHERE pinned IS NOT NULL;
CREATE INDEX dataset_group ON dataset(project_id, group_key) WHERE group_key IS NOT NULL;
CREATE INDEX file_outcome ON file(project_id, outcome, reason);
CREATE INDEX file_picture ON file(project_id, picture_id);
CREATE TABLE measure (  -- what an audit measured of a picture's bytes, whichever projects use them
    picture_id TEXT NOT NULL REFERENCES picture(id) ON DELETE CASCADE, kind TEXT NOT NULL, facts TEXT NOT NULL,
    PRIMARY KEY (picture_id, kind)) WITHOUT ROWID;
CREATE TABLE finding (  -- how much a picture of a project gives reason to look at it; decisions compare scores
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, kind TEXT NOT NULL, picture_id TEXT NOT NULL,
    score REAL NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (project_id, kind, picture_id)) WITHOUT ROWID;
CREATE INDEX finding_score ON finding(project_id, kind, score);
CREATE TABLE change (  -- what a user did to pictures, and how each was before, so that it can be undone
    number INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    what TEXT NOT NULL, before TEXT NOT NULL, at REAL NOT NULL);
""",
    """
-- The models of a project that others should use; the newest counts.
CREATE TABLE promotion (
    number INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    run_id TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE, at REAL NOT NULL);
""",
    """
-- When a file was answered for: the names of deliveries say nothing about which came first.
ALTER TABLE file ADD COLUMN at REAL NOT NULL DEFAULT 0;
""",
    """
-- The class that a user has looked at and called right: nothing doubts it until it is another one.
ALTER TABLE dataset ADD COLUMN confirmed TEXT;
""",
    """
-- What a deletion has still to remove from the disk: bytes of pictures, folders of runs, logs and locks of jobs.
-- Nothing that does not stand here is ever removed.
CREATE TABLE removal (
    kind TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
""",
    """
-- `revision` rises with every write that changes what is told of a project, so that who has derived something from it
-- knows whether that still holds. `labels_revision` is what it rose to when its used pictures or their classes changed
-- last: what an audit is about.
ALTER TABLE project ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE project ADD COLUMN labels_revision INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER project_changed AFTER UPDATE OF split_seed, val, test ON project
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.id; END;
CREATE TRIGGER dataset_added AFTER INSERT ON dataset
    BEGIN UPDATE project SET revision = revision + 1,
        labels_revision = iif(NEW.excluded, labels_revision, revision + 1) WHERE id = NEW.project_id; END;
CREATE TRIGGER dataset_changed
    AFTER UPDATE OF label, part, pinned, excluded, group_key, group_source, placed, confirmed ON dataset
    WHEN (OLD.label, OLD.part, OLD.pinned, OLD.excluded, OLD.group_key, OLD.group_source, OLD.placed, OLD.confirmed)
    IS NOT (NEW.label, NEW.part, NEW.pinned, NEW.excluded, NEW.group_key, NEW.group_source, NEW.placed, NEW.confirmed)
    BEGIN UPDATE project SET revision = revision + 1, labels_revision = iif(
        OLD.excluded IS NEW.excluded AND (NEW.excluded OR OLD.label IS NEW.label), labels_revision, revision + 1)
        WHERE id = NEW.project_id; END;
CREATE TRIGGER dataset_removed AFTER DELETE ON dataset
    BEGIN UPDATE project SET revision = revision + 1, labels_revision = revision + 1 WHERE id = OLD.project_id; END;
CREATE TRIGGER file_added AFTER INSERT ON file
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER file_changed AFTER UPDATE ON file
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER finding_added AFTER INSERT ON finding
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER finding_removed AFTER DELETE ON finding
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = OLD.project_id; END;
CREATE TRIGGER run_added AFTER INSERT ON run
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER run_changed AFTER UPDATE ON run
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER run_removed AFTER DELETE ON run
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = OLD.project_id; END;
CREATE TRIGGER promotion_added AFTER INSERT ON promotion
    BEGIN UPDATE project SET revision = revision + 1 WHERE id = NEW.project_id; END;
CREATE TRIGGER answer_added AFTER INSERT ON event WHEN NEW.kind IN ('audit', 'fit', 'more', 'reading')
    BEGIN UPDATE project SET revision = revision + 1
        WHERE id = (SELECT project_id FROM job WHERE id = NEW.job_id); END;
""",
    """
-- What a home remembers beside its projects, such as that its user has seen the tour.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    """
-- How classes are shown, where a user has chosen: a position in the palette, and a place among the others.
CREATE TABLE look (
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, label TEXT NOT NULL, color INTEGER,
    place INTEGER, PRIMARY KEY (project_id, label)) WITHOUT ROWID;
""",
    """
-- What is shown of a run to others, under an address that nobody can guess: `token` is kept so that the address can be
-- shown again, and found by its hash. `passcode` is an argon2 hash, `logo` a JPEG in base64, `examples` a list of ids.
CREATE TABLE demo (
    id TEXT PRIMARY KEY, token TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE,
    run_id TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    title TEXT NOT NULL, words TEXT NOT NULL, logo TEXT NOT NULL, accent TEXT NOT NULL, examples TEXT NOT NULL,
    language TEXT NOT NULL, passcode TEXT NOT NULL, ends_at REAL, revoked_at REAL, created_at REAL NOT NULL,
    asked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX demo_project ON demo(project_id, created_at);
-- The pictures that visitors of a demo left, which outlive it: what they called each, and what the model had said.
CREATE TABLE review (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, demo_id TEXT NOT NULL,
    bytes INTEGER NOT NULL, word TEXT NOT NULL, said TEXT NOT NULL, probability REAL NOT NULL, verdict TEXT NOT NULL,
    at REAL NOT NULL);
CREATE INDEX review_project ON review(project_id, at);
""",
    """
-- Keys with which programs ask the model of a demo, by their hash; `per_minute` pictures each.
CREATE TABLE api_key (
    id TEXT PRIMARY KEY, demo_id TEXT NOT NULL REFERENCES demo(id) ON DELETE CASCADE, name TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE, per_minute INTEGER NOT NULL, created_at REAL NOT NULL, revoked_at REAL);
CREATE INDEX api_key_demo ON api_key(demo_id, created_at);
""",
)
