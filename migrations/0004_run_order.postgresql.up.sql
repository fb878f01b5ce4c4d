-- Every run in the order of an export, and a page of them, by a look-up.
CREATE INDEX export_runs_created_at ON runs (experiment_id, created_at NULLS FIRST, id);
