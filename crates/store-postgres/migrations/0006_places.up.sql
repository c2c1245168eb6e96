-- Of several databases, each knows of each tenant whether it is here. No place: it is.
-- `asked`: its owner is asked to let go. `leaving`: who copies it away has the claim.
-- `arriving`: it is being copied here. `moved`: it is elsewhere, for good.
-- The first two count only until a time, so that whoever dies over them stops nobody.
ALTER TABLE owner
    ADD place text CHECK (place IN ('asked', 'leaving', 'arriving', 'moved')),
    ADD elsewhere text,
    ADD place_until timestamptz NOT NULL DEFAULT '-infinity',
    ADD CONSTRAINT owner_elsewhere CHECK ((place IS NULL) = (elsewhere IS NULL));

-- What this database is called among several; nothing when it is the only one.
ALTER TABLE instance ADD name text;

-- Where tenants of a shard begin: here, or in the database that is named. In the home
-- database this is the map.
CREATE TABLE shard (
    shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 15),
    elsewhere text
);
INSERT INTO shard SELECT generate_series(0, 15);

-- Removes rows of a tenant that is not here, of the one that the transaction set. The
-- application has no right to remove them otherwise.
CREATE FUNCTION forget_rows(of_table text, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = cognitionos, pg_temp AS $$
DECLARE
    gone bigint;
    its text;
BEGIN
    SELECT place INTO its FROM owner WHERE tenant = current_tenant() FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    IF its IS NULL OR its NOT IN ('arriving', 'moved') THEN
        RAISE EXCEPTION 'the tenant is here, and nothing of it is forgotten';
    END IF;
    IF of_table <> ALL (ARRAY['log', 'tenant', 'entry', 'tile', 'node', 'checkpoint', 'body',
        'subject_key', 'session', 'canon', 'signing_key', 'mail', 'request', 'cursor',
        'dead_letter'])
    THEN
        RAISE EXCEPTION '% is no table of tenants', of_table;
    END IF;
    EXECUTE format('DELETE FROM %I WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM %I WHERE tenant = current_tenant() LIMIT $1))', of_table, of_table)
        USING at_most;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION forget_rows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_rows TO {app};
GRANT UPDATE (name) ON instance TO {app};
GRANT SELECT, UPDATE (elsewhere) ON shard TO {app};
