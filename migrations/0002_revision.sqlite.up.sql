-- The revision of an experiment changes with every change that an export can show.

-- Each change adds a random number: after a restore from a backup, or in another database
-- with the same experiment, a number that was given once does not come again for other data.
DROP TRIGGER export_change_revision;

CREATE TRIGGER export_change_revision INSTEAD OF INSERT ON export_change
WHEN new.experiment_id IS NOT NULL
BEGIN
    INSERT INTO export_revision
    SELECT new.experiment_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM export_revision WHERE experiment_id = new.experiment_id);
    UPDATE export_revision SET number = number + 1 + abs(random() % 2147483648)
    WHERE experiment_id = new.experiment_id;
END;

-- Experiments from before get a number of their own.
INSERT INTO export_change SELECT id, NULL FROM experiments;

-- INSERT OR REPLACE and UPDATE OR REPLACE take the old row away without a trigger of its own.
CREATE TRIGGER export_stage_results_replace BEFORE INSERT ON stage_results
WHEN EXISTS (SELECT 1 FROM stage_results WHERE id = new.id AND run_id <> new.run_id)
BEGIN
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = stage_results.run_id), NULL
    FROM stage_results WHERE id = new.id;
END;

CREATE TRIGGER export_stage_results_renumber BEFORE UPDATE OF id ON stage_results
WHEN new.id <> old.id
BEGIN
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = stage_results.run_id), NULL
    FROM stage_results WHERE id = new.id;
END;

CREATE TRIGGER export_scores_renumber BEFORE UPDATE OF id ON scores
WHEN new.id <> old.id
BEGIN
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = scores.run_id), run_id
    FROM scores WHERE id = new.id;
END;

CREATE TRIGGER export_runs_renumber BEFORE UPDATE OF id ON runs
WHEN new.id <> old.id
BEGIN
    INSERT INTO export_change SELECT experiment_id, id FROM runs WHERE id = new.id;
END;

-- When a run of an experiment changed last, by a look-up.
CREATE INDEX export_runs_updated_at ON runs (experiment_id, updated_at);
