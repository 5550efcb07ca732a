-- How many events of "progress" no notifier has accepted yet, so that lists need
-- not search the JSON.

-- +goose Up
ALTER TABLE progress ADD COLUMN unsent INTEGER NOT NULL DEFAULT 0;

UPDATE progress SET unsent = json_array_length(progress, '$.unsent')
WHERE json_type(progress, '$.unsent') = 'array';
