DROP INDEX session_awake, session_wake;
ALTER TABLE session DROP wake, DROP parked;
