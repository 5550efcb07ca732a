-- Who may log in, and what each may do. The names sort by their bytes.

-- +goose Up
CREATE TABLE principals (
    name       TEXT PRIMARY KEY,
    rules      TEXT NOT NULL, -- JSON
    disabled   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE access_keys (
    id         TEXT PRIMARY KEY,
    principal  TEXT NOT NULL REFERENCES principals (name),
    secret     BLOB NOT NULL, -- encrypted with a data key of its own
    disabled   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- 0: never
    used_at    INTEGER NOT NULL DEFAULT 0 -- the hour
) STRICT;

CREATE INDEX access_keys_principal ON access_keys (principal, id);
