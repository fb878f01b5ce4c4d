-- Grants outlive their experiment: one that comes again under its id is as closed as it was.
CREATE TABLE export_grants (
    experiment_id CHAR(32) NOT NULL,
    grantee TEXT NOT NULL,
    PRIMARY KEY (experiment_id, grantee)
) WITHOUT ROWID;

-- Times are seconds since 1970. A token whose end is not known is kept for good.
CREATE TABLE export_revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER,
    revoked_at INTEGER NOT NULL
) WITHOUT ROWID;
