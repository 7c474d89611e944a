-- A full refresh was asked for and nothing of it is committed yet: the connection's next sync is one.
ALTER TABLE connections ADD COLUMN refresh_due INTEGER NOT NULL DEFAULT 0;
UPDATE connections SET refresh_due = 1 WHERE EXISTS (
    SELECT 1 FROM syncs s WHERE s.outcome IN ('queued', 'running') AND s.full_refresh = 1
    AND s.tenant = connections.tenant AND s.connection = connections.name
);
