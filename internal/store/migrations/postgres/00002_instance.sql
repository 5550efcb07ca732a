-- The open store that took the latest lease: what its session's advisory lock
-- is made of; '' where it had none.

-- +goose Up
ALTER TABLE progress ADD COLUMN instance TEXT NOT NULL DEFAULT '';
