DROP INDEX IF EXISTS export_runs_created_at;
