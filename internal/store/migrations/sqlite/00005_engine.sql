-- +goose Up
ALTER TABLE progress ADD COLUMN enrolled INTEGER NOT NULL DEFAULT 0;    -- 1: configured now
ALTER TABLE progress ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';   -- of its configuration
ALTER TABLE progress ADD COLUMN paused TEXT NOT NULL DEFAULT '';        -- JSON of who paused it; '' for nobody
ALTER TABLE progress ADD COLUMN lifted INTEGER NOT NULL DEFAULT 0;      -- the fence up to which failures are forgotten; 0: none are
ALTER TABLE progress ADD COLUMN overdue_from INTEGER NOT NULL DEFAULT 0; -- since when something is due that nobody was told of; 0: never

DROP INDEX progress_next_at;
CREATE INDEX progress_due ON progress (next_at, secret) WHERE enrolled = 1 AND paused = '';
CREATE INDEX progress_overdue ON progress (overdue_from) WHERE enrolled = 1 AND overdue_from > 0;
CREATE INDEX progress_paused ON progress (secret) WHERE paused <> '';

-- The row "all" is there while everything is frozen.
CREATE TABLE halts (
    name TEXT PRIMARY KEY,
    halt TEXT NOT NULL -- JSON
) STRICT;
