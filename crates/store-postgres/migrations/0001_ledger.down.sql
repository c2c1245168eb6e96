-- Going back from here would destroy every log.
DO $$
BEGIN
    IF EXISTS (SELECT FROM tenant) THEN
        RAISE EXCEPTION 'there are logs in this database, and going back would destroy them';
    END IF;
END $$;
DROP TABLE signing_key, canon, session, subject_key, body, checkpoint, node, tile, entry, log,
    instance, tenant;
DROP FUNCTION current_tenant();
REVOKE SELECT ON migration FROM {app};
REVOKE USAGE ON SCHEMA cognitionos FROM {app};
