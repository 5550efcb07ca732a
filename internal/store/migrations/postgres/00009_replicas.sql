-- +goose Up

-- The configurations that were enrolled; the one with the highest number is in
-- force.
CREATE TABLE configurations (
    hash   TEXT COLLATE "C" PRIMARY KEY, -- of all secrets' fingerprints
    number BIGINT NOT NULL
);

-- The open stores that have a configuration to work by, the dead included until
-- somebody notices.
CREATE TABLE replicas (
    instance      TEXT COLLATE "C" PRIMARY KEY, -- as in progress
    configuration TEXT NOT NULL                 -- its hash
);
