-- Runs that nobody has in memory, and when each goes on by itself. Whatever is recorded of a run
-- takes it back, so these are hints beside the log.
ALTER TABLE session ADD parked boolean NOT NULL DEFAULT false, ADD wake bigint;
CREATE INDEX session_wake ON session (tenant, wake) WHERE parked AND wake IS NOT NULL;
CREATE INDEX session_awake ON session (tenant, first) WHERE status IS NULL AND NOT parked;
