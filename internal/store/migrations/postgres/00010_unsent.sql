-- How many events of "progress" no notifier has accepted yet, so that lists need
-- not search the JSON.

-- +goose Up
ALTER TABLE progress ADD COLUMN unsent BIGINT NOT NULL DEFAULT 0;

UPDATE progress SET unsent = json_array_length(progress::json -> 'unsent')
WHERE json_typeof(progress::json -> 'unsent') = 'array';
