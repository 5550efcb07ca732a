-- How far the audit was sent to places outside, each by its name.

-- +goose Up
CREATE TABLE exports (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL -- the last entry that was sent
) STRICT;
