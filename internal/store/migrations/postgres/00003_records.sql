-- What the Secrets Manager endpoint shows of a secret beside its versions.

-- +goose Up
ALTER TABLE secrets ADD COLUMN suffix TEXT NOT NULL DEFAULT '';        -- of its ARN
ALTER TABLE secrets ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE secrets ADD COLUMN accessed_at BIGINT NOT NULL DEFAULT 0;  -- a day
ALTER TABLE secrets ADD COLUMN delete_at BIGINT NOT NULL DEFAULT 0;    -- gone from then on; 0: never
ALTER TABLE secrets ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;       -- to be rotated or removed; 0: never
ALTER TABLE secrets ADD COLUMN details TEXT NOT NULL DEFAULT '{}';     -- JSON

UPDATE secrets SET created_at = changed_at, suffix = substr(md5(random()::text), 1, 6);

-- A value of no bytes is that of a version that was announced and not put yet.
ALTER TABLE versions ADD COLUMN accessed_at BIGINT NOT NULL DEFAULT 0; -- a day

CREATE INDEX secrets_created ON secrets (created_at, name);
CREATE INDEX secrets_changed ON secrets (changed_at, name);
CREATE INDEX secrets_accessed ON secrets (accessed_at, name);
CREATE INDEX secrets_due ON secrets (due_at, name) WHERE due_at > 0;
