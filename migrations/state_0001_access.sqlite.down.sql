DROP TABLE export_revoked_tokens;
DROP TABLE export_grants;
