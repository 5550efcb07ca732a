-- Events that wait to be sent in one message with others.

-- +goose Up
CREATE TABLE outbox (
    notifier    TEXT NOT NULL,
    id          TEXT NOT NULL, -- the event's
    kept_at     BIGINT NOT NULL,
    taken_until BIGINT NOT NULL DEFAULT 0, -- until then somebody is about to send it
    event       TEXT NOT NULL, -- JSON
    PRIMARY KEY (notifier, id)
);

CREATE INDEX outbox_kept_at ON outbox (notifier, kept_at);
