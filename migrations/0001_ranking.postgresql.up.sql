-- The ranking of every experiment's runs, kept by the database itself.
--
-- A writer only appends to a log which runs changed, and never waits for another: whoever
-- gets the advisory lock at once folds the oldest entries into the ranking, nobody else
-- tries. A reader takes the top of the ranking without the logged runs, together with the
-- logged runs ranked at that moment, so it is right at any state of the log.

CREATE TABLE export_ranking (
    run_id uuid PRIMARY KEY,
    experiment_id uuid NOT NULL,
    created timestamptz NOT NULL,
    weighted_score double precision,
    scorers text[] NOT NULL,
    not_finite integer NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX export_ranking_top
ON export_ranking (experiment_id, weighted_score DESC, created, run_id)
WHERE weighted_score IS NOT NULL;

CREATE INDEX export_ranking_scorers ON export_ranking (experiment_id, scorers);

CREATE INDEX export_ranking_not_finite ON export_ranking (experiment_id, run_id)
WHERE not_finite > 0;

-- Runs whose ranking may have changed.
CREATE TABLE export_ranking_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL
);

CREATE INDEX export_ranking_log_run ON export_ranking_log (run_id);

-- Experiments whose whole ranking is out of date, since their weights changed.
CREATE TABLE export_ranking_stale (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment_id uuid NOT NULL
);

CREATE INDEX export_ranking_stale_experiment ON export_ranking_stale (experiment_id);

-- Numbers whose sum grows with every change to an experiment. A row for each backend:
-- one row for all would make writers wait, and deadlock, on it.
CREATE TABLE export_revision (
    experiment_id uuid NOT NULL,
    backend integer NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (experiment_id, backend)
) WITH (fillfactor = 50);

-- A JSON number as a double; NULL where it is none or out of a double's range.
CREATE FUNCTION export_number(value jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE
            WHEN value::numeric = 0 THEN 0
            WHEN abs(value::numeric) BETWEEN 3e-324 AND 1.7976931348623157e308
                THEN value::numeric::double precision
        END
    END
$$;

-- Text as a JSON object, an empty one where it is none; of a repeated key the last counts.
CREATE FUNCTION export_object(text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN jsonb_typeof($1::jsonb) = 'object' THEN $1::jsonb ELSE '{}' END;
EXCEPTION WHEN
    invalid_text_representation OR untranslatable_character OR numeric_value_out_of_range
THEN
    RETURN '{}';
END
$$;

-- The completed ones of these runs as the ranking should hold them.
--
-- A sum must not depend on the order of its addends nor on how a database adds them, or
-- equal runs would not tie. So each addend is split, by adding and subtracting 1.5 * 2^32,
-- into a multiple of 2^-20 and a rest, and the rest by 1.5 * 2^-8 into a multiple of 2^-60
-- and next to nothing: the sums of both parts are exact (Demmel and Nguyen, "Fast
-- Reproducible Floating-Point Summation", 2013).
--
-- The planner knows nothing of the array's size: without the settings it scans the tables,
-- and plans anew at each call. For up to a few hundred runs: the steps are joined by loops.
CREATE FUNCTION export_rank(runs_to_rank uuid[])
RETURNS TABLE (
    run_id uuid,
    experiment_id uuid,
    created timestamptz,
    weighted_score double precision,
    scorers text[],
    not_finite integer
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET timezone = 'UTC'
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH run AS MATERIALIZED (
        SELECT id, runs.experiment_id, created_at::timestamptz AS created
        FROM runs
        WHERE id = ANY(runs_to_rank) AND status = 'completed'
    ),
    rules AS MATERIALIZED (
        SELECT id, export_object(scoring_config::text) AS config
        FROM experiments
        WHERE id IN (SELECT run.experiment_id FROM run)
    ),
    weights AS MATERIALIZED (
        SELECT rules.id, key AS scorer_name, export_number(value) AS weight
        FROM rules
        CROSS JOIN jsonb_each(
            CASE jsonb_typeof(config -> 'weights') WHEN 'object' THEN config -> 'weights' END
        )
    ),
    directions AS MATERIALIZED (
        SELECT rules.id, key AS scorer_name, value #>> '{}' AS direction
        FROM rules
        CROSS JOIN jsonb_each(
            CASE jsonb_typeof(config -> 'directions')
                WHEN 'object' THEN config -> 'directions'
            END
        )
        WHERE value #>> '{}' IN ('maximize', 'minimize')
    ),
    required AS MATERIALIZED (
        SELECT rules.id, value #>> '{}' AS scorer_name
        FROM rules
        CROSS JOIN jsonb_array_elements(
            CASE jsonb_typeof(config -> 'required') WHEN 'array' THEN config -> 'required' END
        )
        WHERE jsonb_typeof(value) = 'string'
    ),
    judgement AS MATERIALIZED (
        SELECT
            run.id,
            run.experiment_id,
            scorer_name,
            judged.value,
            coalesce(judged.value > '-infinity' AND judged.value < 'infinity', false) AS finite
        FROM run
        JOIN scores ON scores.run_id = run.id
        CROSS JOIN LATERAL (SELECT scores.value::double precision) AS judged (value)
    ),
    mean AS (
        SELECT
            id,
            experiment_id,
            scorer_name,
            (sum(high) + (sum(middle) + sum(rest - middle))) / count(*) AS value
        FROM judgement
        CROSS JOIN LATERAL (SELECT value + 6442450944 - 6442450944 AS high) AS a
        CROSS JOIN LATERAL (SELECT value - high AS rest) AS b
        CROSS JOIN LATERAL (SELECT rest + 0.005859375::float8 - 0.005859375::float8 AS middle) AS c
        WHERE finite
        GROUP BY id, experiment_id, scorer_name
    ),
    signed AS MATERIALIZED (
        SELECT
            mean.id,
            mean.experiment_id,
            mean.scorer_name,
            CASE coalesce(direction, config ->> 'direction')
                WHEN 'minimize' THEN -mean.value
                ELSE mean.value
            END AS value,
            weight
        FROM mean
        LEFT JOIN rules ON rules.id = mean.experiment_id
        LEFT JOIN weights
            ON weights.id = mean.experiment_id AND weights.scorer_name = mean.scorer_name
        LEFT JOIN directions
            ON directions.id = mean.experiment_id AND directions.scorer_name = mean.scorer_name
    ),
    total AS (
        SELECT
            id,
            kind,
            sum(high) + (sum(middle) + sum(rest - middle)) AS value,
            count(*) AS number
        FROM signed
        CROSS JOIN LATERAL (
            VALUES ('weighted', weight * value), ('weight', weight), ('plain', value)
        ) AS addend (kind, addend)
        CROSS JOIN LATERAL (SELECT addend + 6442450944 - 6442450944 AS high) AS a
        CROSS JOIN LATERAL (SELECT addend - high AS rest) AS b
        CROSS JOIN LATERAL (SELECT rest + 0.005859375::float8 - 0.005859375::float8 AS middle) AS c
        WHERE addend IS NOT NULL
        GROUP BY id, kind
    ),
    score AS (
        SELECT
            id,
            CASE
                WHEN max(value) FILTER (WHERE kind = 'weight') > 0
                    THEN max(value) FILTER (WHERE kind = 'weighted')
                        / max(value) FILTER (WHERE kind = 'weight')
                ELSE max(value / number) FILTER (WHERE kind = 'plain')
            END AS value
        FROM total
        GROUP BY id
    ),
    judged AS (
        SELECT
            id,
            coalesce(
                array_agg(DISTINCT scorer_name::text COLLATE "C") FILTER (WHERE finite), '{}'
            ) AS scorers,
            (count(*) FILTER (WHERE NOT finite))::integer AS not_finite
        FROM judgement
        GROUP BY id
    )
    SELECT
        run.id,
        run.experiment_id,
        run.created,
        CASE WHEN NOT EXISTS (
            SELECT 1 FROM required
            WHERE required.id = run.experiment_id AND scorer_name <> ALL (judged.scorers)
        ) THEN score.value END,
        judged.scorers,
        judged.not_finite
    FROM run
    JOIN judged ON judged.id = run.id
    LEFT JOIN score ON score.id = run.id;
EXCEPTION WHEN numeric_value_out_of_range THEN
    -- A sum or product left the range of a double: that run alone does not count.
    IF cardinality(runs_to_rank) = 1 THEN
        RETURN QUERY
        SELECT
            runs.id,
            runs.experiment_id,
            created_at::timestamptz,
            NULL::double precision,
            array_agg(DISTINCT scorer_name::text COLLATE "C"),
            0
        FROM runs
        JOIN scores ON scores.run_id = runs.id
        WHERE runs.id = runs_to_rank[1]
        GROUP BY runs.id;
    ELSE
        RETURN QUERY
        SELECT ranked.*
        FROM unnest(runs_to_rank) AS run (id)
        CROSS JOIN LATERAL export_rank(ARRAY[run.id]) AS ranked;
    END IF;
END
$$;

-- The same for any number of runs.
CREATE FUNCTION export_rank_many(runs_to_rank uuid[])
RETURNS TABLE (
    run_id uuid,
    experiment_id uuid,
    created timestamptz,
    weighted_score double precision,
    scorers text[],
    not_finite integer
)
LANGUAGE sql STABLE AS $$
    SELECT ranked.*
    FROM (
        SELECT array_agg(id) AS page
        FROM unnest(runs_to_rank) WITH ORDINALITY AS run (id, place)
        GROUP BY place / 200
    ) AS pages
    CROSS JOIN LATERAL export_rank(page) AS ranked
$$;

-- Bring the ranking of these runs up to date; for the holder of the lock only.
CREATE FUNCTION export_store(changed uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH ranked AS MATERIALIZED (
        SELECT * FROM export_rank_many(changed)
    ),
    stored AS (
        INSERT INTO export_ranking
        SELECT * FROM ranked
        ON CONFLICT (run_id) DO UPDATE SET
            experiment_id = excluded.experiment_id,
            created = excluded.created,
            weighted_score = excluded.weighted_score,
            scorers = excluded.scorers,
            not_finite = excluded.not_finite
    )
    DELETE FROM export_ranking
    WHERE run_id = ANY(changed) AND run_id NOT IN (SELECT run_id FROM ranked);
END
$$;

-- Whether this transaction may fold: others fold later what it must leave.
--
-- Above READ COMMITTED the snapshot is older than the lock, and may miss what the last
-- holder folded.
CREATE FUNCTION export_lock() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN current_setting('transaction_isolation') = 'read committed'
        AND pg_try_advisory_xact_lock('export_ranking_log'::regclass::oid::bigint);
END
$$;

-- Up to which entry this transaction has folded. What it deleted stays in the way of its
-- own scans: without this, a long transaction would take the square of its writes.
CREATE FUNCTION export_folded() RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(nullif(current_setting('promptlooper_export.folded', true), ''), '0');
END
$$;

-- Fold up to so many entries of the log; the number folded.
CREATE FUNCTION export_fold(most bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    changed uuid[];
    entries bigint;
    last bigint := export_folded();
    folded bigint := 0;
BEGIN
    IF NOT export_lock() THEN
        RETURN 0;
    END IF;
    WHILE folded < most LOOP
        WITH gone AS (
            DELETE FROM export_ranking_log
            WHERE id IN (
                SELECT id FROM export_ranking_log
                WHERE id > last
                ORDER BY id
                LIMIT least(most - folded, 10000)
            )
            RETURNING id, run_id
        )
        SELECT array_agg(DISTINCT run_id), count(*), coalesce(max(id), last)
        INTO changed, entries, last
        FROM gone;
        EXIT WHEN entries = 0;
        PERFORM export_store(changed);
        folded := folded + entries;
    END LOOP;
    PERFORM set_config('promptlooper_export.folded', last::text, true);
    RETURN folded;
END
$$;

-- Rank all runs of an experiment anew; for the holder of the lock only.
CREATE FUNCTION export_rebuild(experiment uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    seen bigint[];
    page uuid[];
BEGIN
    -- Entries that come while this runs speak of later weights, and stay.
    SELECT array_agg(id) INTO seen FROM export_ranking_stale WHERE experiment_id = experiment;
    FOR page IN
        SELECT array_agg(id) FROM (
            SELECT id, (row_number() OVER () - 1) / 10000 AS number FROM (
                SELECT id FROM runs WHERE experiment_id = experiment
                UNION
                SELECT run_id FROM export_ranking WHERE experiment_id = experiment
            ) AS either
        ) AS numbered
        GROUP BY number
    LOOP
        PERFORM export_store(page);
    END LOOP;
    DELETE FROM export_ranking_stale WHERE id = ANY(seen);
END
$$;

-- A change to experiments becomes one more for each in this backend's own row, once in a
-- transaction: nobody else sees more of it, and versions of one row would pile up.
CREATE FUNCTION export_revise(experiments_changed uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    revised text := coalesce(current_setting('promptlooper_export.revised', true), '');
    fresh uuid[];
BEGIN
    SELECT array_agg(DISTINCT id) INTO fresh
    FROM unnest(experiments_changed) AS changed (id)
    WHERE position(id::text IN revised) = 0;
    IF fresh IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO export_revision
    SELECT id, pg_backend_pid(), 1 FROM unnest(fresh) AS changed (id)
    ON CONFLICT (experiment_id, backend) DO UPDATE SET number = export_revision.number + 1;
    PERFORM set_config(
        'promptlooper_export.revised', revised || array_to_string(fresh, ' ') || ' ', true
    );
END
$$;

-- Log these runs; fold once there are 16 entries, which a reader ranks in no time.
CREATE FUNCTION export_log(runs_changed uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF runs_changed IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO export_ranking_log (run_id) SELECT unnest(runs_changed);
    IF EXISTS (
        SELECT 1 FROM export_ranking_log WHERE id > export_folded() ORDER BY id OFFSET 15
    ) THEN
        -- More than came in, so that a log which grew under contention shrinks again.
        PERFORM export_fold(16 + 2 * cardinality(runs_changed));
    END IF;
END
$$;

-- Rows of scores and stage_results, which name their run.
CREATE FUNCTION export_results_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
AS $$
DECLARE
    changed uuid[];
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            SELECT array_agg(DISTINCT run_id) INTO changed FROM new_rows;
        WHEN 'DELETE' THEN
            SELECT array_agg(DISTINCT run_id) INTO changed FROM old_rows;
        ELSE
            SELECT array_agg(run_id) INTO changed FROM (
                SELECT run_id FROM new_rows UNION SELECT run_id FROM old_rows
            ) AS either;
    END CASE;
    PERFORM export_revise(ARRAY(SELECT experiment_id FROM runs WHERE id = ANY(changed)));
    IF TG_TABLE_NAME = 'scores' THEN
        PERFORM export_log(changed);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION export_runs_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
AS $$
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            PERFORM export_revise(ARRAY(SELECT DISTINCT experiment_id FROM new_rows));
            -- A run has scores already where the tables lack a foreign key.
            PERFORM export_log((
                SELECT array_agg(id) FROM new_rows
                WHERE EXISTS (SELECT 1 FROM scores WHERE run_id = new_rows.id)
            ));
        WHEN 'DELETE' THEN
            PERFORM export_revise(ARRAY(SELECT DISTINCT experiment_id FROM old_rows));
            PERFORM export_log((SELECT array_agg(id) FROM old_rows));
        ELSE
            PERFORM export_revise(ARRAY(
                SELECT experiment_id FROM new_rows UNION SELECT experiment_id FROM old_rows
            ));
            PERFORM export_log((
                SELECT array_agg(DISTINCT id) FROM (
                    (
                        SELECT id, status, experiment_id, created_at FROM new_rows
                        EXCEPT
                        SELECT id, status, experiment_id, created_at FROM old_rows
                    )
                    UNION ALL
                    (
                        SELECT id, status, experiment_id, created_at FROM old_rows
                        EXCEPT
                        SELECT id, status, experiment_id, created_at FROM new_rows
                    )
                ) AS differing
            ));
    END CASE;
    RETURN NULL;
END
$$;

CREATE FUNCTION export_experiments_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    reweighed uuid[];
    experiment uuid;
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            PERFORM export_revise(ARRAY(SELECT id FROM new_rows));
            SELECT array_agg(id) INTO reweighed FROM new_rows
            WHERE EXISTS (SELECT 1 FROM runs WHERE experiment_id = new_rows.id);
        WHEN 'DELETE' THEN
            PERFORM export_revise(ARRAY(SELECT id FROM old_rows));
        ELSE
            PERFORM export_revise(ARRAY(SELECT id FROM new_rows UNION SELECT id FROM old_rows));
            SELECT array_agg(id) INTO reweighed FROM (
                SELECT id, scoring_config::text FROM new_rows
                EXCEPT
                SELECT id, scoring_config::text FROM old_rows
            ) AS differing;
    END CASE;
    IF reweighed IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO export_ranking_stale (experiment_id) SELECT unnest(reweighed);
    -- Waiting in the lock's queue could close a circle with a writer that waits for this
    -- row; asking again for up to a quarter of a second cannot.
    FOR attempt IN 1..50 LOOP
        IF export_lock() THEN
            FOREACH experiment IN ARRAY reweighed LOOP
                PERFORM export_rebuild(experiment);
            END LOOP;
            RETURN NULL;
        END IF;
        EXIT WHEN current_setting('transaction_isolation') <> 'read committed';
        PERFORM pg_sleep(0.005);
    END LOOP;
    RETURN NULL;
END
$$;

-- TRUNCATE shows no rows: every experiment may have changed.
CREATE FUNCTION export_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM export_revise(ARRAY(
        SELECT id FROM experiments UNION SELECT experiment_id FROM export_revision
    ));
    IF TG_TABLE_NAME <> 'stage_results' THEN
        INSERT INTO export_ranking_stale (experiment_id)
        SELECT id FROM experiments UNION SELECT experiment_id FROM export_ranking;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER export_scores_insert AFTER INSERT ON scores
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_scores_update AFTER UPDATE ON scores
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_scores_delete AFTER DELETE ON scores
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_scores_truncate AFTER TRUNCATE ON scores
FOR EACH STATEMENT EXECUTE FUNCTION export_truncated();

CREATE TRIGGER export_runs_insert AFTER INSERT ON runs
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_runs_changed();

CREATE TRIGGER export_runs_update AFTER UPDATE ON runs
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_runs_changed();

CREATE TRIGGER export_runs_delete AFTER DELETE ON runs
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_runs_changed();

CREATE TRIGGER export_runs_truncate AFTER TRUNCATE ON runs
FOR EACH STATEMENT EXECUTE FUNCTION export_truncated();

CREATE TRIGGER export_stage_results_insert AFTER INSERT ON stage_results
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_stage_results_update AFTER UPDATE ON stage_results
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_stage_results_delete AFTER DELETE ON stage_results
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_results_changed();

CREATE TRIGGER export_stage_results_truncate AFTER TRUNCATE ON stage_results
FOR EACH STATEMENT EXECUTE FUNCTION export_truncated();

CREATE TRIGGER export_experiments_insert AFTER INSERT ON experiments
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_experiments_changed();

CREATE TRIGGER export_experiments_update AFTER UPDATE ON experiments
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_experiments_changed();

CREATE TRIGGER export_experiments_delete AFTER DELETE ON experiments
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION export_experiments_changed();

CREATE TRIGGER export_experiments_truncate AFTER TRUNCATE ON experiments
FOR EACH STATEMENT EXECUTE FUNCTION export_truncated();

-- The runs that are there already.
DO $$
DECLARE
    experiment uuid;
BEGIN
    FOR experiment IN SELECT id FROM experiments LOOP
        PERFORM export_rebuild(experiment);
    END LOOP;
END
$$;
