-- All times are unix microseconds; 0 is no time. Names sort by their bytes, as
-- in SQLite.

-- +goose Up
CREATE TABLE secrets (
    name       TEXT COLLATE "C" PRIMARY KEY,
    changed_at BIGINT NOT NULL
);

CREATE TABLE versions (
    secret     TEXT COLLATE "C" NOT NULL REFERENCES secrets (name),
    id         TEXT COLLATE "C" NOT NULL,
    value      BYTEA NOT NULL, -- encrypted with the secret's data key
    created_at BIGINT NOT NULL,
    PRIMARY KEY (secret, id)
);

-- The primary key is the rule that a label is on one version at most.
CREATE TABLE labels (
    secret  TEXT COLLATE "C" NOT NULL,
    label   TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (secret, label),
    FOREIGN KEY (secret, version) REFERENCES versions (secret, id)
);

CREATE INDEX labels_version ON labels (secret, version);

-- Keys that the master key has encrypted: one for each secret's values, and
-- the one that seals the head of the audit.
CREATE TABLE data_keys (
    id      TEXT COLLATE "C" PRIMARY KEY,
    wrapped BYTEA NOT NULL
);

-- "status" and "failure" are copies out of "progress", so that lists need not
-- read all of it.
CREATE TABLE progress (
    secret     TEXT COLLATE "C" PRIMARY KEY,
    fence      BIGINT NOT NULL, -- of the latest lease; never goes back
    holder     TEXT NOT NULL,   -- of the latest lease; '' once given back
    expires_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL DEFAULT 0, -- 0: at once
    status     TEXT NOT NULL DEFAULT '{}', -- JSON
    failure    TEXT NOT NULL DEFAULT '',   -- JSON; '' for none
    progress   TEXT NOT NULL DEFAULT '{}'  -- JSON
);

CREATE INDEX progress_next_at ON progress (next_at);

-- The column "secret" is derived from the entry, so that it can't differ.
CREATE TABLE audit (
    seq    BIGINT PRIMARY KEY,
    entry  TEXT NOT NULL,  -- JSON, as it went into the hash
    hash   BYTEA NOT NULL, -- SHA-256 of the hash before, seq and entry
    secret TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(entry::json ->> 'secret', '')) STORED
);

CREATE INDEX audit_secret ON audit (secret, seq);

-- The end of the chain, sealed, so that cutting the end off shows.
CREATE TABLE audit_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac  BYTEA NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only';
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION audit_check_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit) THEN
        RAISE EXCEPTION 'the audit is append-only';
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_in_order BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_check_order();
