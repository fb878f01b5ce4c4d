BEGIN TRANSACTION;
CREATE TABLE experiments (
    id CHAR(32) PRIMARY KEY,
    owner_id CHAR(32) REFERENCES users (id),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    status VARCHAR(20) NOT NULL,
    parameter_space JSON,
    scoring_config JSON,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
INSERT INTO "experiments" VALUES('00000000000000000000000000000001',NULL,'adopted',NULL,'completed',NULL,'{}','2026-01-01 00:00:00+00:00','2026-01-01 00:00:00+00:00');
CREATE TABLE export_adopted (undo TEXT NOT NULL, place INTEGER NOT NULL);
INSERT INTO "export_adopted" VALUES('ALTER TABLE runs DROP COLUMN name',0);
INSERT INTO "export_adopted" VALUES('ALTER TABLE runs DROP COLUMN cost_usd',1);
INSERT INTO "export_adopted" VALUES('ALTER TABLE runs DROP COLUMN tags',2);
INSERT INTO "export_adopted" VALUES('ALTER TABLE runs DROP COLUMN started_at',3);
INSERT INTO "export_adopted" VALUES('ALTER TABLE runs DROP COLUMN finished_at',4);
INSERT INTO "export_adopted" VALUES('ALTER TABLE scores DROP COLUMN case_id',5);
INSERT INTO "export_adopted" VALUES('DROP INDEX export_scores_run_id',6);
CREATE TABLE export_grants (
    experiment_id CHAR(32) NOT NULL,
    grantee TEXT NOT NULL,
    PRIMARY KEY (experiment_id, grantee)
) WITHOUT ROWID;
INSERT INTO "export_grants" VALUES('00000000000000000000000000000001','group:lab');
INSERT INTO "export_grants" VALUES('00000000000000000000000000000001','user:ada');
CREATE TABLE export_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    sha256 CHAR(64) NOT NULL
);
INSERT INTO "export_migrations" VALUES(1,'ranking','caa523feba321d3bc6f7718d25501b959d4d622d7a345d82708c1abb044c89e6');
INSERT INTO "export_migrations" VALUES(2,'revision','8d36f9220d2b6453ca55ad250123f546e0c88888f39e662e11f7bc6eeeb36244');
INSERT INTO "export_migrations" VALUES(3,'access','045f96b043f24ff9f25c83223d068326fad4f348db3fadcc78b9046f3dbbe48f');
INSERT INTO "export_migrations" VALUES(4,'run_order','470fbbe06bce21e0bd245b9cac7af81ef25fd907fa41f8f0804e664e87346ba7');
CREATE TABLE export_ranking (
    run_id CHAR(32) NOT NULL PRIMARY KEY,
    experiment_id CHAR(32) NOT NULL,
    created REAL,
    weighted_score REAL,
    scorers TEXT NOT NULL,
    not_finite INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "export_ranking" VALUES('0000000000000000000000000000000a','00000000000000000000000000000001',1767225600.0,0.0,'["accuracy"]',0);
INSERT INTO "export_ranking" VALUES('0000000000000000000000000000000b','00000000000000000000000000000001',1767225600.0,0.1,'["accuracy"]',0);
CREATE TABLE export_ranking_log (id INTEGER PRIMARY KEY, run_id CHAR(32) NOT NULL);
INSERT INTO "export_ranking_log" VALUES(1,'0000000000000000000000000000000c');
CREATE TABLE export_ranking_stale (id INTEGER PRIMARY KEY, experiment_id CHAR(32) NOT NULL);
CREATE TABLE export_revision (
    experiment_id CHAR(32) NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "export_revision" VALUES('00000000000000000000000000000001',4976691653);
CREATE TABLE export_revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER,
    revoked_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "export_revoked_tokens" VALUES('revoked-token',NULL,1795824223);
CREATE TABLE runs (
    id CHAR(32) PRIMARY KEY,
    experiment_id CHAR(32) NOT NULL REFERENCES experiments (id),
    config JSON NOT NULL,
    config_hash VARCHAR(64) NOT NULL,
    status VARCHAR(20) NOT NULL,
    tokens_in INTEGER,
    tokens_out INTEGER,
    duration_ms INTEGER,
    error TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
, "name" TEXT, "cost_usd" REAL, "tags" json, "started_at" TIMESTAMPTZ, "finished_at" TIMESTAMPTZ);
INSERT INTO "runs" VALUES('0000000000000000000000000000000a','00000000000000000000000000000001','{"temperature": 0.5}','h','completed',1,2,3,NULL,'2026-01-01 00:00:00+00:00','2026-01-01 00:00:00+00:00',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('0000000000000000000000000000000b','00000000000000000000000000000001','{"temperature": 0.5}','h','completed',1,2,3,NULL,'2026-01-01 00:00:00+00:00','2026-01-01 00:00:00+00:00',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('0000000000000000000000000000000c','00000000000000000000000000000001','{"temperature": 0.5}','h','completed',1,2,3,NULL,'2026-01-01 00:00:00+00:00','2026-01-01 00:00:00+00:00',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE scores (
    id INTEGER PRIMARY KEY,
    run_id CHAR(32) NOT NULL REFERENCES runs (id),
    scorer_name VARCHAR(100) NOT NULL,
    value REAL NOT NULL
, "case_id" TEXT);
INSERT INTO "scores" VALUES(1,'0000000000000000000000000000000a','accuracy',0.0,NULL);
INSERT INTO "scores" VALUES(2,'0000000000000000000000000000000b','accuracy',0.1,NULL);
INSERT INTO "scores" VALUES(3,'0000000000000000000000000000000c','accuracy',0.2,NULL);
CREATE TABLE stage_results (
    id INTEGER PRIMARY KEY,
    run_id CHAR(32) NOT NULL REFERENCES runs (id),
    stage_name VARCHAR(100) NOT NULL,
    output TEXT,
    tokens_in INTEGER,
    tokens_out INTEGER,
    duration_ms INTEGER
);
INSERT INTO "stage_results" VALUES(1,'0000000000000000000000000000000a','draft','text',NULL,NULL,NULL);
INSERT INTO "stage_results" VALUES(2,'0000000000000000000000000000000b','draft','text',NULL,NULL,NULL);
INSERT INTO "stage_results" VALUES(3,'0000000000000000000000000000000c','draft','text',NULL,NULL,NULL);
CREATE TABLE users (
    id CHAR(32) PRIMARY KEY,
    email VARCHAR(255) NOT NULL UNIQUE,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX runs_experiment_id ON runs (experiment_id);
CREATE INDEX stage_results_run_id ON stage_results (run_id)
;
CREATE INDEX export_scores_run_id ON scores (run_id);
CREATE INDEX export_ranking_top
ON export_ranking (experiment_id, weighted_score DESC, created, run_id)
WHERE weighted_score IS NOT NULL;
CREATE INDEX export_ranking_scorers ON export_ranking (experiment_id, scorers);
CREATE INDEX export_ranking_not_finite ON export_ranking (experiment_id, run_id)
WHERE not_finite > 0;
CREATE INDEX export_ranking_log_run ON export_ranking_log (run_id);
CREATE INDEX export_ranking_stale_experiment ON export_ranking_stale (experiment_id);
CREATE VIEW export_run_ranking AS
SELECT
    runs.id AS run_id,
    runs.experiment_id,
    -- The text of a fraction and that of the offset are of any length.
    strftime('%s', substr(runs.created_at, 1, 19) || ltrim(substr(runs.created_at, 20), '.0123456789'))
    + CAST('0' || substr(runs.created_at, 20) AS REAL) AS created,
    (
        WITH
        config AS MATERIALIZED (
            SELECT CASE WHEN json_valid(scoring_config) THEN scoring_config ELSE '{}' END AS rules
            FROM experiments WHERE id = runs.experiment_id
        ),
        judgement AS MATERIALIZED (
            SELECT scorer_name, (value + 6442450944.0) - 6442450944.0 AS high, value
            FROM scores
            WHERE run_id = runs.id AND value > -9e999 AND value < 9e999
        ),
        mean AS MATERIALIZED (
            SELECT
                scorer_name,
                (
                    sum(high)
                    + (
                        sum((value - high + 0.005859375) - 0.005859375)
                        + sum(value - high - ((value - high + 0.005859375) - 0.005859375))
                    )
                ) / count(*) AS value
            FROM judgement GROUP BY scorer_name
        ),
        signed AS MATERIALIZED (
            SELECT
                scorer_name,
                CASE coalesce(
                    (
                        SELECT value FROM json_each(config.rules, '$.directions')
                        WHERE key = mean.scorer_name AND value IN ('maximize', 'minimize')
                        ORDER BY id DESC LIMIT 1
                    ),
                    json_extract(config.rules, '$.direction')
                ) WHEN 'minimize' THEN -mean.value ELSE mean.value END AS value,
                (
                    SELECT value * 1.0 FROM json_each(config.rules, '$.weights')
                    WHERE key = mean.scorer_name AND type IN ('integer', 'real')
                        AND value > -9e999 AND value < 9e999
                    -- Of a repeated key the last counts.
                    ORDER BY id DESC LIMIT 1
                ) AS weight
            FROM mean, config
        ),
        addend AS (
            SELECT
                kind,
                CASE kind
                    WHEN 'weighted' THEN weight * value
                    WHEN 'weight' THEN weight
                    ELSE value
                END AS value
            FROM signed
            CROSS JOIN (SELECT 'weighted' AS kind UNION ALL SELECT 'weight' UNION ALL SELECT 'plain')
            WHERE kind = 'plain' OR weight IS NOT NULL
        ),
        split AS MATERIALIZED (
            SELECT kind, (value + 6442450944.0) - 6442450944.0 AS high, value FROM addend
        ),
        total AS MATERIALIZED (
            SELECT
                kind,
                sum(high)
                + (
                    sum((value - high + 0.005859375) - 0.005859375)
                    + sum(value - high - ((value - high + 0.005859375) - 0.005859375))
                ) AS value,
                count(*) AS number
            FROM split GROUP BY kind
        ),
        score AS (
            SELECT
                CASE
                    WHEN max(value) FILTER (WHERE kind = 'weight') > 0
                        THEN max(value) FILTER (WHERE kind = 'weighted')
                            / max(value) FILTER (WHERE kind = 'weight')
                    ELSE max(value / number) FILTER (WHERE kind = 'plain')
                END AS value
            FROM total
        )
        SELECT score.value FROM score, config
        WHERE score.value > -9e999 AND score.value < 9e999
            AND NOT EXISTS (
                SELECT 1 FROM json_each(config.rules, '$.required') AS required
                WHERE required.type = 'text' AND NOT EXISTS (
                    SELECT 1 FROM scores
                    WHERE run_id = runs.id AND scorer_name = required.value
                        AND value > -9e999 AND value < 9e999
                )
            )
    ) AS weighted_score,
    (
        SELECT json_group_array(CAST(scorer_name AS TEXT)) FROM (
            SELECT DISTINCT scorer_name FROM scores
            WHERE run_id = runs.id AND value > -9e999 AND value < 9e999
            ORDER BY scorer_name
        )
    ) AS scorers,
    (
        SELECT count(*) FROM scores
        WHERE run_id = runs.id AND (value > -9e999 AND value < 9e999) IS NOT 1
    ) AS not_finite
FROM runs
WHERE runs.status = 'completed' AND EXISTS (SELECT 1 FROM scores WHERE run_id = runs.id);
CREATE TRIGGER export_ranking_fold AFTER INSERT ON export_ranking_log
WHEN new.id >= 16
BEGIN
    DELETE FROM export_ranking WHERE run_id IN (SELECT run_id FROM export_ranking_log);
    INSERT INTO export_ranking
    SELECT run_id, experiment_id, created, weighted_score, scorers, not_finite
    FROM export_run_ranking
    WHERE run_id IN (SELECT run_id FROM export_ranking_log);
    DELETE FROM export_ranking_log;
END;
CREATE VIEW export_change AS SELECT '' AS experiment_id, '' AS run_id WHERE 0;
CREATE TRIGGER export_change_ranking INSTEAD OF INSERT ON export_change
WHEN new.run_id IS NOT NULL
BEGIN
    INSERT INTO export_ranking_log (run_id)
    SELECT new.run_id
    WHERE NOT EXISTS (SELECT 1 FROM export_ranking_log WHERE run_id = new.run_id);
END;
CREATE TRIGGER export_scores_replace BEFORE INSERT ON scores
WHEN EXISTS (SELECT 1 FROM scores WHERE id = new.id AND run_id <> new.run_id)
BEGIN
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = scores.run_id), run_id
    FROM scores WHERE id = new.id;
END;
CREATE TRIGGER export_scores_insert AFTER INSERT ON scores
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = new.run_id), new.run_id);
END;
CREATE TRIGGER export_scores_update AFTER UPDATE ON scores
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = new.run_id), new.run_id);
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = old.run_id), old.run_id
    WHERE old.run_id <> new.run_id;
END;
CREATE TRIGGER export_scores_delete AFTER DELETE ON scores
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = old.run_id), old.run_id);
END;
CREATE TRIGGER export_runs_replace BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE id = new.id)
BEGIN
    INSERT INTO export_change SELECT experiment_id, id FROM runs WHERE id = new.id;
END;
CREATE TRIGGER export_runs_insert AFTER INSERT ON runs
BEGIN
    INSERT INTO export_change
    VALUES (
        new.experiment_id,
        CASE WHEN EXISTS (SELECT 1 FROM scores WHERE run_id = new.id) THEN new.id END
    );
END;
CREATE TRIGGER export_runs_update AFTER UPDATE ON runs
BEGIN
    INSERT INTO export_change
    VALUES (
        new.experiment_id,
        CASE
            WHEN new.status IS NOT old.status
                OR new.experiment_id IS NOT old.experiment_id
                OR new.created_at IS NOT old.created_at
                OR new.id IS NOT old.id
                THEN new.id
        END
    );
    INSERT INTO export_change
    SELECT old.experiment_id, old.id
    WHERE new.experiment_id IS NOT old.experiment_id OR new.id IS NOT old.id;
END;
CREATE TRIGGER export_runs_delete AFTER DELETE ON runs
BEGIN
    INSERT INTO export_change VALUES (old.experiment_id, old.id);
END;
CREATE TRIGGER export_stage_results_insert AFTER INSERT ON stage_results
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = new.run_id), NULL);
END;
CREATE TRIGGER export_stage_results_update AFTER UPDATE ON stage_results
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = new.run_id), NULL);
    INSERT INTO export_change
    SELECT (SELECT experiment_id FROM runs WHERE id = old.run_id), NULL
    WHERE old.run_id <> new.run_id;
END;
CREATE TRIGGER export_stage_results_delete AFTER DELETE ON stage_results
BEGIN
    INSERT INTO export_change
    VALUES ((SELECT experiment_id FROM runs WHERE id = old.run_id), NULL);
END;
CREATE TRIGGER export_experiments_insert AFTER INSERT ON experiments
BEGIN
    INSERT INTO export_change VALUES (new.id, NULL);
    INSERT INTO export_ranking_stale (experiment_id)
    SELECT new.id WHERE EXISTS (SELECT 1 FROM runs WHERE experiment_id = new.id);
END;
CREATE TRIGGER export_experiments_update AFTER UPDATE ON experiments
BEGIN
    INSERT INTO export_change VALUES (new.id, NULL);
    INSERT INTO export_ranking_stale (experiment_id)
    SELECT new.id WHERE new.scoring_config IS NOT old.scoring_config OR new.id IS NOT old.id;
END;
CREATE TRIGGER export_experiments_delete AFTER DELETE ON experiments
BEGIN
    INSERT INTO export_change VALUES (old.id, NULL);
END;
CREATE TRIGGER export_ranking_rebuild AFTER INSERT ON export_ranking_stale
WHEN (
    SELECT count(*) FROM (SELECT 1 FROM runs WHERE experiment_id = new.experiment_id LIMIT 100001)
) <= 100000
BEGIN
    DELETE FROM export_ranking
    WHERE experiment_id = new.experiment_id
        -- A run that came from another experiment is still ranked there, and logged.
        OR run_id IN (SELECT run_id FROM export_ranking_log);
    INSERT INTO export_ranking
    SELECT run_id, experiment_id, created, weighted_score, scorers, not_finite
    FROM export_run_ranking
    WHERE experiment_id = new.experiment_id;
    DELETE FROM export_ranking_stale WHERE experiment_id = new.experiment_id;
END;
CREATE TRIGGER export_change_revision INSTEAD OF INSERT ON export_change
WHEN new.experiment_id IS NOT NULL
BEGIN
    INSERT INTO export_revision
    SELECT new.experiment_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM export_revision WHERE experiment_id = new.experiment_id);
    UPDATE export_revision SET number = number + 1 + abs(random() % 2147483648)
    WHERE experiment_id = new.experiment_id;
END;
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
CREATE INDEX export_runs_updated_at ON runs (experiment_id, updated_at);
CREATE TRIGGER export_experiments_grants AFTER UPDATE OF id ON experiments
WHEN new.id <> old.id
BEGIN
    INSERT INTO export_grants
    SELECT new.id, grantee FROM export_grants AS former
    WHERE experiment_id = old.id
        AND NOT EXISTS (
            SELECT 1 FROM export_grants
            WHERE experiment_id = new.id AND grantee = former.grantee
        );
END;
CREATE INDEX export_runs_created_at ON runs (experiment_id, created_at, id);
COMMIT;
