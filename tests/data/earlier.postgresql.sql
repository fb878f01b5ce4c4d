SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;

CREATE FUNCTION public.export_experiment_renumbered() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO export_grants
    SELECT new.id, grantee FROM export_grants WHERE experiment_id = old.id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.export_experiments_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
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

CREATE FUNCTION public.export_fold(most bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.export_folded() RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN coalesce(nullif(current_setting('promptlooper_export.folded', true), ''), '0');
END
$$;

CREATE FUNCTION public.export_lock() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN current_setting('transaction_isolation') = 'read committed'
        AND pg_try_advisory_xact_lock('export_ranking_log'::regclass::oid::bigint);
END
$$;

CREATE FUNCTION public.export_log(runs_changed uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.export_number(value jsonb) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT
    AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE
            WHEN value::numeric = 0 THEN 0
            WHEN abs(value::numeric) BETWEEN 3e-324 AND 1.7976931348623157e308
                THEN value::numeric::double precision
        END
    END
$$;

CREATE FUNCTION public.export_object(text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    RETURN CASE WHEN jsonb_typeof($1::jsonb) = 'object' THEN $1::jsonb ELSE '{}' END;
EXCEPTION WHEN
    invalid_text_representation OR untranslatable_character OR numeric_value_out_of_range
THEN
    RETURN '{}';
END
$_$;

CREATE FUNCTION public.export_rank(runs_to_rank uuid[]) RETURNS TABLE(run_id uuid, experiment_id uuid, created timestamp with time zone, weighted_score double precision, scorers text[], not_finite integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
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

CREATE FUNCTION public.export_rank_many(runs_to_rank uuid[]) RETURNS TABLE(run_id uuid, experiment_id uuid, created timestamp with time zone, weighted_score double precision, scorers text[], not_finite integer)
    LANGUAGE sql STABLE
    AS $$
    SELECT ranked.*
    FROM (
        SELECT array_agg(id) AS page
        FROM unnest(runs_to_rank) WITH ORDINALITY AS run (id, place)
        GROUP BY place / 200
    ) AS pages
    CROSS JOIN LATERAL export_rank(page) AS ranked
$$;

CREATE FUNCTION public.export_rebuild(experiment uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.export_results_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
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

CREATE FUNCTION public.export_revise(experiments_changed uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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
    SELECT id, pg_backend_pid(), 1 + floor(random() * 2147483648)
    FROM unnest(fresh) AS changed (id)
    ON CONFLICT (experiment_id, backend)
    DO UPDATE SET number = export_revision.number + excluded.number;
    PERFORM set_config(
        'promptlooper_export.revised', revised || array_to_string(fresh, ' ') || ' ', true
    );
END
$$;

CREATE FUNCTION public.export_runs_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
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

CREATE FUNCTION public.export_store(changed uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.export_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
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

CREATE TABLE public.experiments (
    id uuid NOT NULL,
    owner_id uuid,
    name character varying(255) NOT NULL,
    description text,
    status character varying(20) NOT NULL,
    parameter_space json,
    scoring_config json,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE public.export_adopted (
    undo text NOT NULL,
    place integer NOT NULL
);

CREATE TABLE public.export_grants (
    experiment_id uuid NOT NULL,
    grantee text NOT NULL
);

CREATE TABLE public.export_migrations (
    version integer NOT NULL,
    name character varying(100) NOT NULL,
    sha256 character(64) NOT NULL
);

CREATE TABLE public.export_ranking (
    run_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    created timestamp with time zone NOT NULL,
    weighted_score double precision,
    scorers text[] NOT NULL,
    not_finite integer NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.export_ranking_log (
    id bigint NOT NULL,
    run_id uuid NOT NULL
);

ALTER TABLE public.export_ranking_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.export_ranking_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.export_ranking_stale (
    id bigint NOT NULL,
    experiment_id uuid NOT NULL
);

ALTER TABLE public.export_ranking_stale ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.export_ranking_stale_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.export_revision (
    experiment_id uuid NOT NULL,
    backend integer NOT NULL,
    number bigint NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.export_revoked_tokens (
    jti text NOT NULL,
    expires_at bigint,
    revoked_at bigint NOT NULL
);

CREATE TABLE public.runs (
    id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    config json NOT NULL,
    config_hash character varying(64) NOT NULL,
    status character varying(20) NOT NULL,
    tokens_in bigint,
    tokens_out bigint,
    duration_ms bigint,
    error text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name text,
    cost_usd double precision,
    tags json,
    started_at timestamp with time zone,
    finished_at timestamp with time zone
);

CREATE TABLE public.scores (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    scorer_name character varying(100) NOT NULL,
    value double precision NOT NULL,
    case_id text
);

ALTER TABLE public.scores ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scores_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.stage_results (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    stage_name character varying(100) NOT NULL,
    output text,
    tokens_in bigint,
    tokens_out bigint,
    duration_ms bigint
);

ALTER TABLE public.stage_results ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.stage_results_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL
);

INSERT INTO public.experiments VALUES ('00000000-0000-0000-0000-000000000001', NULL, 'adopted', NULL, 'completed', NULL, '{}', '2026-01-01 05:45:00+05:45', '2026-01-01 05:45:00+05:45');

INSERT INTO public.export_adopted VALUES ('ALTER TABLE runs DROP COLUMN name', 0);
INSERT INTO public.export_adopted VALUES ('ALTER TABLE runs DROP COLUMN cost_usd', 1);
INSERT INTO public.export_adopted VALUES ('ALTER TABLE runs DROP COLUMN tags', 2);
INSERT INTO public.export_adopted VALUES ('ALTER TABLE runs DROP COLUMN started_at', 3);
INSERT INTO public.export_adopted VALUES ('ALTER TABLE runs DROP COLUMN finished_at', 4);
INSERT INTO public.export_adopted VALUES ('ALTER TABLE scores DROP COLUMN case_id', 5);
INSERT INTO public.export_adopted VALUES ('DROP INDEX export_scores_run_id', 6);

INSERT INTO public.export_grants VALUES ('00000000-0000-0000-0000-000000000001', 'user:ada');
INSERT INTO public.export_grants VALUES ('00000000-0000-0000-0000-000000000001', 'group:lab');

INSERT INTO public.export_migrations VALUES (1, 'ranking', 'e3a694fc6f393fbc3e8f59568b628d25cc9d0d44d06a5939deb0f75f2f413557');
INSERT INTO public.export_migrations VALUES (2, 'revision', '684bc250c94e3fd8572e11762cbbc622d6d3d6bfd81142566c058ca0fa2da6b5');
INSERT INTO public.export_migrations VALUES (3, 'access', '6c3088a2fc75ded79e42b83539333e01e9636bc6c30b63159566014e6b059d6d');
INSERT INTO public.export_migrations VALUES (4, 'run_order', '756ae9425109901e28912fd084ee7e9613623a7a47072b73a9e20f1b3dc16542');

INSERT INTO public.export_ranking VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', '2026-01-01 05:45:00+05:45', 0, '{accuracy}', 0);
INSERT INTO public.export_ranking VALUES ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000001', '2026-01-01 05:45:00+05:45', 0.1, '{accuracy}', 0);

INSERT INTO public.export_ranking_log OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-0000-0000-00000000000c');

INSERT INTO public.export_revision VALUES ('00000000-0000-0000-0000-000000000001', 8780, 1243218419);
INSERT INTO public.export_revision VALUES ('00000000-0000-0000-0000-000000000001', 8781, 1471421049);
INSERT INTO public.export_revision VALUES ('00000000-0000-0000-0000-000000000001', 8782, 96066329);
INSERT INTO public.export_revision VALUES ('00000000-0000-0000-0000-000000000001', 8783, 549424228);

INSERT INTO public.export_revoked_tokens VALUES ('revoked-token', NULL, 1795824224);

INSERT INTO public.runs VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', '{"temperature": 0.5}', 'h', 'completed', 1, 2, 3, NULL, '2026-01-01 05:45:00+05:45', '2026-01-01 05:45:00+05:45', NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000001', '{"temperature": 0.5}', 'h', 'completed', 1, 2, 3, NULL, '2026-01-01 05:45:00+05:45', '2026-01-01 05:45:00+05:45', NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-000000000001', '{"temperature": 0.5}', 'h', 'completed', 1, 2, 3, NULL, '2026-01-01 05:45:00+05:45', '2026-01-01 05:45:00+05:45', NULL, NULL, NULL, NULL, NULL);

INSERT INTO public.scores VALUES (1, '00000000-0000-0000-0000-00000000000a', 'accuracy', 0, NULL);
INSERT INTO public.scores VALUES (2, '00000000-0000-0000-0000-00000000000b', 'accuracy', 0.1, NULL);
INSERT INTO public.scores VALUES (3, '00000000-0000-0000-0000-00000000000c', 'accuracy', 0.2, NULL);

INSERT INTO public.stage_results VALUES (1, '00000000-0000-0000-0000-00000000000a', 'draft', 'text', NULL, NULL, NULL);
INSERT INTO public.stage_results VALUES (2, '00000000-0000-0000-0000-00000000000b', 'draft', 'text', NULL, NULL, NULL);
INSERT INTO public.stage_results VALUES (3, '00000000-0000-0000-0000-00000000000c', 'draft', 'text', NULL, NULL, NULL);

SELECT pg_catalog.setval('public.export_ranking_log_id_seq', 1, true);

SELECT pg_catalog.setval('public.export_ranking_stale_id_seq', 1, false);

SELECT pg_catalog.setval('public.scores_id_seq', 3, true);

SELECT pg_catalog.setval('public.stage_results_id_seq', 3, true);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.export_grants
    ADD CONSTRAINT export_grants_pkey PRIMARY KEY (experiment_id, grantee);

ALTER TABLE ONLY public.export_migrations
    ADD CONSTRAINT export_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.export_ranking_log
    ADD CONSTRAINT export_ranking_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.export_ranking
    ADD CONSTRAINT export_ranking_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.export_ranking_stale
    ADD CONSTRAINT export_ranking_stale_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.export_revision
    ADD CONSTRAINT export_revision_pkey PRIMARY KEY (experiment_id, backend);

ALTER TABLE ONLY public.export_revoked_tokens
    ADD CONSTRAINT export_revoked_tokens_pkey PRIMARY KEY (jti);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scores
    ADD CONSTRAINT scores_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stage_results
    ADD CONSTRAINT stage_results_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX export_ranking_log_run ON public.export_ranking_log USING btree (run_id);

CREATE INDEX export_ranking_not_finite ON public.export_ranking USING btree (experiment_id, run_id) WHERE (not_finite > 0);

CREATE INDEX export_ranking_scorers ON public.export_ranking USING btree (experiment_id, scorers);

CREATE INDEX export_ranking_stale_experiment ON public.export_ranking_stale USING btree (experiment_id);

CREATE INDEX export_ranking_top ON public.export_ranking USING btree (experiment_id, weighted_score DESC, created, run_id) WHERE (weighted_score IS NOT NULL);

CREATE INDEX export_runs_created_at ON public.runs USING btree (experiment_id, created_at NULLS FIRST, id);

CREATE INDEX export_runs_updated_at ON public.runs USING btree (experiment_id, updated_at);

CREATE INDEX export_scores_run_id ON public.scores USING btree (run_id);

CREATE INDEX runs_experiment_id ON public.runs USING btree (experiment_id);

CREATE INDEX stage_results_run_id ON public.stage_results USING btree (run_id);

CREATE TRIGGER export_experiments_delete AFTER DELETE ON public.experiments REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_experiments_changed();

CREATE TRIGGER export_experiments_grants AFTER UPDATE OF id ON public.experiments FOR EACH ROW WHEN ((new.id <> old.id)) EXECUTE FUNCTION public.export_experiment_renumbered();

CREATE TRIGGER export_experiments_insert AFTER INSERT ON public.experiments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_experiments_changed();

CREATE TRIGGER export_experiments_truncate AFTER TRUNCATE ON public.experiments FOR EACH STATEMENT EXECUTE FUNCTION public.export_truncated();

CREATE TRIGGER export_experiments_update AFTER UPDATE ON public.experiments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_experiments_changed();

CREATE TRIGGER export_runs_delete AFTER DELETE ON public.runs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_runs_changed();

CREATE TRIGGER export_runs_insert AFTER INSERT ON public.runs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_runs_changed();

CREATE TRIGGER export_runs_truncate AFTER TRUNCATE ON public.runs FOR EACH STATEMENT EXECUTE FUNCTION public.export_truncated();

CREATE TRIGGER export_runs_update AFTER UPDATE ON public.runs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_runs_changed();

CREATE TRIGGER export_scores_delete AFTER DELETE ON public.scores REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

CREATE TRIGGER export_scores_insert AFTER INSERT ON public.scores REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

CREATE TRIGGER export_scores_truncate AFTER TRUNCATE ON public.scores FOR EACH STATEMENT EXECUTE FUNCTION public.export_truncated();

CREATE TRIGGER export_scores_update AFTER UPDATE ON public.scores REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

CREATE TRIGGER export_stage_results_delete AFTER DELETE ON public.stage_results REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

CREATE TRIGGER export_stage_results_insert AFTER INSERT ON public.stage_results REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

CREATE TRIGGER export_stage_results_truncate AFTER TRUNCATE ON public.stage_results FOR EACH STATEMENT EXECUTE FUNCTION public.export_truncated();

CREATE TRIGGER export_stage_results_update AFTER UPDATE ON public.stage_results REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.export_results_changed();

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);

ALTER TABLE ONLY public.scores
    ADD CONSTRAINT scores_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);

ALTER TABLE ONLY public.stage_results
    ADD CONSTRAINT stage_results_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);

