DROP TABLE IF EXISTS export_revoked_tokens;
DROP TRIGGER IF EXISTS export_experiments_grants;
DROP TABLE IF EXISTS export_grants;
