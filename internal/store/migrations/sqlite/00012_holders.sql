-- +goose Up

-- Which versions of secrets the instances of applications hold, as they reported,
-- and until when that counts. A row without an instance stands for those that were
-- too many to be counted.
CREATE TABLE holders (
    secret    TEXT NOT NULL,
    principal TEXT NOT NULL, -- who reported it
    instance  TEXT NOT NULL,
    version   TEXT NOT NULL,
    since     INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (secret, principal, instance, version)
) STRICT;

CREATE INDEX holders_instance ON holders (principal, instance);
CREATE INDEX holders_until ON holders (until);

-- Since when a server has been there without a gap for instances to report to, and
-- when it last said so.
CREATE TABLE listening (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    since INTEGER NOT NULL,
    heard INTEGER NOT NULL
) STRICT;
