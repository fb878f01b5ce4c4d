DROP INDEX IF EXISTS export_runs_updated_at;

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
    SELECT id, pg_backend_pid(), 1 FROM unnest(fresh) AS changed (id)
    ON CONFLICT (experiment_id, backend) DO UPDATE SET number = export_revision.number + 1;
    PERFORM set_config(
        'promptlooper_export.revised', revised || array_to_string(fresh, ' ') || ' ', true
    );
END
$$;
