DROP TABLE IF EXISTS export_revoked_tokens;
DROP TRIGGER IF EXISTS export_experiments_grants ON experiments;
DROP FUNCTION IF EXISTS export_experiment_renumbered();
DROP TABLE IF EXISTS export_grants;
