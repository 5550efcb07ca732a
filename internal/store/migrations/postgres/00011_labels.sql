-- A secret has a handful of labels, which the primary key finds. The index only
-- made moving them slow.

-- +goose Up
DROP INDEX labels_version;
