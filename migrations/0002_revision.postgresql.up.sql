-- The revision of an experiment changes with every change that an export can show.

-- A change to experiments adds a random number for each in this backend's own row, once in
-- a transaction: nobody else sees more of it, and versions of one row would pile up. After
-- a restore from a backup, or in another database with the same experiment, a sum that was
-- given once does not come again for other data.
CREATE OR REPLACE FUNCTION export_revise(experiments_changed uuid[]) RETURNS void
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
    SELECT id, pg_backend_pid(), 1 + floor(random() * 2147483648)
    FROM unnest(fresh) AS changed (id)
    ON CONFLICT (experiment_id, backend)
    DO UPDATE SET number = export_revision.number + excluded.number;
    PERFORM set_config(
        'promptlooper_export.revised', revised || array_to_string(fresh, ' ') || ' ', true
    );
END
$$;

-- Experiments from before get a number of their own.
DO $$
BEGIN
    PERFORM export_revise(ARRAY(SELECT id FROM experiments));
END
$$;

-- When a run of an experiment changed last, by a look-up.
CREATE INDEX export_runs_updated_at ON runs (experiment_id, updated_at);
