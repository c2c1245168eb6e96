-- What is asked of whoever owns the log of a tenant. A row stays until the log says what came
-- of it, or for good when nothing does, with the reason.
CREATE TABLE mail (
    tenant uuid NOT NULL,
    id uuid NOT NULL,
    no bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    session uuid,
    sealed bytea NOT NULL,
    refused text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, id)
);
ALTER TABLE mail ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX mail_waiting ON mail (tenant, no) WHERE refused IS NULL;

-- Names that were given to requests, as keyed digests, and the run that each stands for.
CREATE TABLE request (
    tenant uuid NOT NULL,
    name bytea NOT NULL,
    digest bytea NOT NULL,
    session uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, name)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['mail', 'request']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = current_tenant())
            WITH CHECK (tenant = current_tenant())', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, DELETE, UPDATE (refused) ON mail TO {app};
GRANT SELECT, INSERT ON request TO {app};
