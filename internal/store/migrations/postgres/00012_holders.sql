-- +goose Up

-- Which versions of secrets the instances of applications hold, as they reported,
-- and until when that counts. A row without an instance stands for those that were
-- too many to be counted.
CREATE TABLE holders (
    secret    TEXT COLLATE "C" NOT NULL,
    principal TEXT COLLATE "C" NOT NULL, -- who reported it
    instance  TEXT COLLATE "C" NOT NULL,
    version   TEXT COLLATE "C" NOT NULL,
    since     BIGINT NOT NULL,
    until     BIGINT NOT NULL,
    PRIMARY KEY (secret, principal, instance, version)
);

CREATE INDEX holders_instance ON holders (principal, instance);
CREATE INDEX holders_until ON holders (until);

-- Since when a server has been there without a gap for instances to report to, and
-- when it last said so.
CREATE TABLE listening (
    id    SMALLINT PRIMARY KEY CHECK (id = 1),
    since BIGINT NOT NULL,
    heard BIGINT NOT NULL
);
