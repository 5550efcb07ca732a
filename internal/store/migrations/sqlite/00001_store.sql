-- All times are unix microseconds; 0 is no time.

-- +goose Up
CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    secret     TEXT NOT NULL REFERENCES secrets (name),
    id         TEXT NOT NULL,
    value      BLOB NOT NULL, -- encrypted with the secret's data key
    created_at INTEGER NOT NULL,
    PRIMARY KEY (secret, id)
) STRICT;

-- The primary key is the rule that a label is on one version at most.
CREATE TABLE labels (
    secret  TEXT NOT NULL,
    label   TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (secret, label),
    FOREIGN KEY (secret, version) REFERENCES versions (secret, id)
) STRICT;

CREATE INDEX labels_version ON labels (secret, version);

-- Keys that the master key has encrypted: one for each secret's values, and
-- the one that seals the head of the audit.
CREATE TABLE data_keys (
    id      TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT;

-- "status" and "failure" are copies out of "progress", so that lists need not
-- read all of it.
CREATE TABLE progress (
    secret     TEXT PRIMARY KEY,
    fence      INTEGER NOT NULL, -- of the latest lease; never goes back
    holder     TEXT NOT NULL,    -- of the latest lease; '' once given back
    expires_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL DEFAULT 0, -- 0: at once
    status     TEXT NOT NULL DEFAULT '{}', -- JSON
    failure    TEXT NOT NULL DEFAULT '',   -- JSON; '' for none
    progress   TEXT NOT NULL DEFAULT '{}'  -- JSON
) STRICT;

CREATE INDEX progress_next_at ON progress (next_at);

-- The column "secret" is derived from the entry, so that it can't differ.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    entry  TEXT NOT NULL, -- JSON, as it went into the hash
    hash   BLOB NOT NULL, -- SHA-256 of the hash before, seq and entry
    secret TEXT NOT NULL GENERATED ALWAYS AS (coalesce(entry ->> '$.secret', '')) VIRTUAL
) STRICT;

CREATE INDEX audit_secret ON audit (secret, seq);

-- The end of the chain, sealed, so that cutting the end off shows.
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mac  BLOB NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
BEGIN
    SELECT raise(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
