-- Who may see an experiment, and which tokens are good no more.

-- Grants refer to experiments without a foreign key, so that nothing hinders the runner's
-- deletes, and outlive them: an experiment that comes again under the same id is as closed
-- as it was. Without its experiment, a grant opens nothing.
CREATE TABLE export_grants (
    experiment_id CHAR(32) NOT NULL,
    grantee TEXT NOT NULL,
    PRIMARY KEY (experiment_id, grantee)
) WITHOUT ROWID;

-- Under a new id an experiment stays as closed as under the old one.
CREATE TRIGGER export_experiments_grants AFTER UPDATE OF id ON experiments
WHEN new.id <> old.id
BEGIN
    INSERT INTO export_grants
    SELECT new.id, grantee FROM export_grants AS former
    WHERE experiment_id = old.id
        AND NOT EXISTS (
            SELECT 1 FROM export_grants
            WHERE experiment_id = new.id AND grantee = former.grantee
        );
END;

-- Times are seconds since 1970. A token without a known end is kept for good.
CREATE TABLE export_revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER,
    revoked_at INTEGER NOT NULL
) WITHOUT ROWID;
