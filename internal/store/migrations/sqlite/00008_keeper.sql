-- +goose Up

-- The master key, encrypted by a keeper's; no row where it lies in a file.
CREATE TABLE master_key (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    wrapped BLOB NOT NULL
) STRICT;

-- When the database was last put back to an older state; no row for never.
CREATE TABLE restored (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
