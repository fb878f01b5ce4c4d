-- The ranking of every experiment's runs, kept by the database itself.
--
-- A writer only notes in a log which runs changed; every 16 entries the log is folded into
-- the ranking. A reader takes the top of the ranking without the logged runs, together with
-- the logged runs ranked at that moment, so it is right at any state of the log.
--
-- No trigger relies on a conflict clause: SQLite replaces it by that of the outer statement.

CREATE TABLE export_ranking (
    run_id CHAR(32) NOT NULL PRIMARY KEY,
    experiment_id CHAR(32) NOT NULL,
    created REAL,
    weighted_score REAL,
    scorers TEXT NOT NULL,
    not_finite INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX export_ranking_top
ON export_ranking (experiment_id, weighted_score DESC, created, run_id)
WHERE weighted_score IS NOT NULL;

CREATE INDEX export_ranking_scorers ON export_ranking (experiment_id, scorers);

CREATE INDEX export_ranking_not_finite ON export_ranking (experiment_id, run_id)
WHERE not_finite > 0;

-- Runs whose ranking may have changed.
CREATE TABLE export_ranking_log (id INTEGER PRIMARY KEY, run_id CHAR(32) NOT NULL);

CREATE INDEX export_ranking_log_run ON export_ranking_log (run_id);

-- Experiments whose whole ranking is out of date, since their weights changed.
CREATE TABLE export_ranking_stale (id INTEGER PRIMARY KEY, experiment_id CHAR(32) NOT NULL);

CREATE INDEX export_ranking_stale_experiment ON export_ranking_stale (experiment_id);

-- A number that grows with every change to an experiment.
CREATE TABLE export_revision (
    experiment_id CHAR(32) NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;

-- Each completed run as the ranking should hold it.
--
-- A sum must not depend on the order of its addends nor on how a version of SQLite adds
-- them, or equal runs would not tie. So each addend is split, by adding and subtracting
-- 1.5 * 2^32, into a multiple of 2^-20 and a rest, and the rest by 1.5 * 2^-8 into a
-- multiple of 2^-60 and next to nothing: the sums of both parts are exact (Demmel and
-- Nguyen, "Fast Reproducible Floating-Point Summation", 2013).
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

INSERT INTO export_ranking
SELECT run_id, experiment_id, created, weighted_score, scorers, not_finite FROM export_run_ranking;

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

-- What the triggers below write to: a row here bumps the revision and logs the run.
CREATE VIEW export_change AS SELECT '' AS experiment_id, '' AS run_id WHERE 0;

CREATE TRIGGER export_change_revision INSTEAD OF INSERT ON export_change
WHEN new.experiment_id IS NOT NULL
BEGIN
    INSERT INTO export_revision
    SELECT new.experiment_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM export_revision WHERE experiment_id = new.experiment_id);
    UPDATE export_revision SET number = number + 1 WHERE experiment_id = new.experiment_id;
END;

CREATE TRIGGER export_change_ranking INSTEAD OF INSERT ON export_change
WHEN new.run_id IS NOT NULL
BEGIN
    INSERT INTO export_ranking_log (run_id)
    SELECT new.run_id
    WHERE NOT EXISTS (SELECT 1 FROM export_ranking_log WHERE run_id = new.run_id);
END;

-- INSERT OR REPLACE takes the old row away without a trigger of its own.
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

-- A run has scores already where foreign keys are not enforced.
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

-- Up to 100,000 runs a ranking is rebuilt at once; above, by `promptlooper-export fold`,
-- and readers aggregate until then.
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
