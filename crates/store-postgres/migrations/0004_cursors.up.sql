-- How far each consumer of a log has come. The row is rewritten as it goes on.
CREATE TABLE cursor (
    tenant uuid NOT NULL,
    consumer text NOT NULL,
    next bigint NOT NULL,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant, consumer)
) WITH (fillfactor = 40);

-- Events that a consumer could not be brought to take, by the entry each is made of.
CREATE TABLE dead_letter (
    tenant uuid NOT NULL,
    consumer text NOT NULL,
    seq bigint NOT NULL,
    attempts integer NOT NULL,
    at bigint NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (tenant, consumer, seq)
);

-- A fence is never given twice, also when a consumer is dropped and comes back.
CREATE SEQUENCE cursor_fence;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cursor', 'dead_letter']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = current_tenant())
            WITH CHECK (tenant = current_tenant())', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON cursor, dead_letter TO {app};
GRANT USAGE ON SEQUENCE cursor_fence TO {app};
