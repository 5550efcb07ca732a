-- +goose Up

-- The master key, encrypted by a keeper's; no row where it lies in a file.
CREATE TABLE master_key (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    wrapped BYTEA NOT NULL
);

-- When the database was last put back to an older state; no row for never.
CREATE TABLE restored (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);
