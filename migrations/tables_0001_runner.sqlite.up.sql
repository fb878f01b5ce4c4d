-- The runner's tables, in a database of our own.
CREATE TABLE experiments (
    id CHAR(32) NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL,
    parameter_space JSON,
    scoring_config JSON,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE TABLE runs (
    id CHAR(32) NOT NULL PRIMARY KEY,
    experiment_id CHAR(32) NOT NULL REFERENCES experiments (id),
    name TEXT,
    status TEXT NOT NULL,
    config JSON NOT NULL,
    config_hash TEXT NOT NULL,
    tokens_in INTEGER,
    tokens_out INTEGER,
    duration_ms INTEGER,
    cost_usd REAL,
    error TEXT,
    tags JSON,
    created_at TIMESTAMP,
    started_at TIMESTAMP,
    finished_at TIMESTAMP,
    updated_at TIMESTAMP
);
CREATE INDEX export_runs_order ON runs (experiment_id, created_at, id);

CREATE TABLE scores (
    id INTEGER PRIMARY KEY,
    run_id CHAR(32) NOT NULL REFERENCES runs (id),
    scorer_name TEXT NOT NULL,
    value REAL,
    case_id TEXT
);
CREATE INDEX export_scores_value ON scores (run_id, scorer_name, value);

CREATE TABLE stage_results (
    id INTEGER PRIMARY KEY,
    run_id CHAR(32) NOT NULL REFERENCES runs (id),
    stage_name TEXT NOT NULL,
    output TEXT,
    tokens_in INTEGER,
    tokens_out INTEGER,
    duration_ms INTEGER
);
CREATE INDEX export_stage_results_run ON stage_results (run_id);
