-- Which node writes the log of a tenant, until when by the clock of this database, and how
-- often it changed hands. It is of no tenant: nodes look for those that nobody owns. A row
-- stays for ever, so that a fence is never given twice.
CREATE TABLE owner (
    tenant uuid PRIMARY KEY,
    node text,
    fence bigint NOT NULL,
    until timestamptz NOT NULL,
    -- Whether there is work, so that somebody should own it.
    wanted boolean NOT NULL,
    -- How often somebody said that there is work.
    calls bigint NOT NULL
) WITH (fillfactor = 40);
CREATE INDEX owner_wanted ON owner (tenant) WHERE wanted;

-- Logs that were there before have work until their owner finds that they have none.
INSERT INTO owner SELECT tenant, NULL, 0, '-infinity', true, 0 FROM tenant;

GRANT SELECT, INSERT, UPDATE ON owner TO {app};
