-- Grants outlive their experiment: one that comes again under its id is as closed as it was.
CREATE TABLE promptlooper_export.grants (
    experiment_id uuid NOT NULL,
    grantee text NOT NULL,
    PRIMARY KEY (experiment_id, grantee)
);

-- Times are seconds since 1970. A token whose end is not known is kept for good.
CREATE TABLE promptlooper_export.revoked_tokens (
    jti text NOT NULL PRIMARY KEY,
    expires_at bigint,
    revoked_at bigint NOT NULL
);
