DROP INDEX IF EXISTS export_runs_updated_at;
DROP TRIGGER IF EXISTS export_runs_renumber;
DROP TRIGGER IF EXISTS export_scores_renumber;
DROP TRIGGER IF EXISTS export_stage_results_renumber;
DROP TRIGGER IF EXISTS export_stage_results_replace;
DROP TRIGGER IF EXISTS export_change_revision;

CREATE TRIGGER export_change_revision INSTEAD OF INSERT ON export_change
WHEN new.experiment_id IS NOT NULL
BEGIN
    INSERT INTO export_revision
    SELECT new.experiment_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM export_revision WHERE experiment_id = new.experiment_id);
    UPDATE export_revision SET number = number + 1 WHERE experiment_id = new.experiment_id;
END;
