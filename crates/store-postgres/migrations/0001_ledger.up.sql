-- The tenants that have a log, and the shard each is on. It is of no tenant: nodes list it.
CREATE TABLE tenant (
    tenant uuid PRIMARY KEY,
    shard smallint NOT NULL CHECK (shard BETWEEN 0 AND 15)
);

-- One row for the whole database: what the master key is known by.
CREATE TABLE instance (
    one smallint PRIMARY KEY CHECK (one = 1),
    sealed bytea NOT NULL
);

-- One row for each log: its end, from which the writer goes on. The row is rewritten by each
-- commit, so the page has room for that.
CREATE TABLE log (
    tenant uuid PRIMARY KEY REFERENCES tenant,
    size bigint NOT NULL,
    frontier bytea NOT NULL,
    last_leaf bytea NOT NULL,
    last_at bigint NOT NULL,
    own_key bytea NOT NULL,
    bodies_from bigint NOT NULL DEFAULT 0,
    entries_from bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 40);

CREATE TABLE entry (
    tenant uuid NOT NULL,
    seq bigint NOT NULL,
    kind smallint NOT NULL,
    session uuid,
    id_key bigint,
    leaf bytea NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX entry_session ON entry (tenant, session, seq) WHERE session IS NOT NULL;
CREATE INDEX entry_id ON entry (tenant, id_key, seq) WHERE id_key IS NOT NULL;
-- But for receipts and outcomes, the two that every effect writes.
CREATE INDEX entry_kind ON entry (tenant, kind, seq) WHERE kind <> 11 AND kind <> 16;

-- The leaf hashes of a pruned segment, one after the other, by its first entry.
CREATE TABLE tile (
    tenant uuid NOT NULL,
    seq bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE TABLE node (
    tenant uuid NOT NULL,
    level smallint NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant, level, index)
);

-- A signed head, by the size that it is of.
CREATE TABLE checkpoint (
    tenant uuid NOT NULL,
    size bigint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (tenant, size)
);

-- `key` is nothing for the log's own key. What is sealed does not compress.
CREATE TABLE body (
    tenant uuid NOT NULL,
    seq bigint NOT NULL,
    key bigint,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant, seq)
);
ALTER TABLE body ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX body_key ON body (tenant, key) WHERE key IS NOT NULL;

-- Keys have numbers drawn at random, so that none is ever given twice.
CREATE TABLE subject_key (
    tenant uuid NOT NULL,
    no bigint NOT NULL,
    subject bytea NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, subject)
);

-- `status` is nothing while a run is open.
CREATE TABLE session (
    tenant uuid NOT NULL,
    id uuid NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    entries bigint NOT NULL,
    started boolean NOT NULL,
    status text,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX session_first ON session (tenant, first);
CREATE INDEX session_open ON session (tenant, first) WHERE status IS NULL;

-- A canon may come before the first entry of its log.
CREATE TABLE canon (
    tenant uuid NOT NULL,
    digest bytea NOT NULL,
    files text NOT NULL,
    PRIMARY KEY (tenant, digest)
);

CREATE TABLE signing_key (
    tenant uuid NOT NULL,
    name text NOT NULL,
    id bigint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant, name, id)
);

-- The tenant of the transaction; nothing when none was set.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant', true), '')::uuid;

-- Each row is its tenant's alone, also for the owner of the tables.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['log', 'entry', 'tile', 'node', 'checkpoint', 'body',
        'subject_key', 'session', 'canon', 'signing_key']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = current_tenant())
            WITH CHECK (tenant = current_tenant())', name);
    END LOOP;
END $$;

-- What is written once cannot be changed, by the application either.
GRANT USAGE ON SCHEMA cognitionos TO {app};
GRANT SELECT ON migration TO {app};
GRANT SELECT, INSERT ON tenant, instance, tile, node, checkpoint, signing_key TO {app};
GRANT SELECT, INSERT, DELETE ON entry, body TO {app};
GRANT SELECT, INSERT, UPDATE ON log, canon TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON session TO {app};
-- A key is never changed; whoever locks its row needs the right to change something of it.
GRANT SELECT, INSERT, DELETE, UPDATE (no) ON subject_key TO {app};
