-- The open store that took the latest lease: the name of its lock file in the
-- folder "holders"; '' where there are no such locks.

-- +goose Up
ALTER TABLE progress ADD COLUMN instance TEXT NOT NULL DEFAULT '';
