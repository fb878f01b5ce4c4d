-- Who may see an experiment, and which tokens are good no more.

-- Grants refer to experiments without a foreign key, so that nothing hinders the runner's
-- deletes, and outlive them: an experiment that comes again under the same id is as closed
-- as it was. Without its experiment, a grant opens nothing.
CREATE TABLE export_grants (
    experiment_id uuid NOT NULL,
    grantee text NOT NULL,
    PRIMARY KEY (experiment_id, grantee)
);

-- Under a new id an experiment stays as closed as under the old one.
CREATE FUNCTION export_experiment_renumbered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO export_grants
    SELECT new.id, grantee FROM export_grants WHERE experiment_id = old.id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER export_experiments_grants AFTER UPDATE OF id ON experiments
FOR EACH ROW WHEN (new.id <> old.id) EXECUTE FUNCTION export_experiment_renumbered();

-- Times are seconds since 1970. A token without a known end is kept for good.
CREATE TABLE export_revoked_tokens (
    jti text NOT NULL PRIMARY KEY,
    expires_at bigint,
    revoked_at bigint NOT NULL
);
