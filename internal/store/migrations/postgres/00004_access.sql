-- Who may log in, and what each may do. The names sort by their bytes.

-- +goose Up
CREATE TABLE principals (
    name       TEXT COLLATE "C" PRIMARY KEY,
    rules      TEXT NOT NULL, -- JSON
    disabled   INTEGER NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE access_keys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    principal  TEXT COLLATE "C" NOT NULL REFERENCES principals (name),
    secret     BYTEA NOT NULL, -- encrypted with a data key of its own
    disabled   INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- 0: never
    used_at    BIGINT NOT NULL DEFAULT 0 -- the hour
);

CREATE INDEX access_keys_principal ON access_keys (principal, id);
