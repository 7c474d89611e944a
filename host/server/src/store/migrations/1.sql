CREATE TABLE tenants(
    name TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A token without a tenant is an operator's. Of a token only its SHA-256 is kept.
CREATE TABLE tokens(
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants(name) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    note TEXT NOT NULL,
    created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_of_tenant ON tokens(tenant, id);

-- The empty owner is the operator: such a connector is there for every tenant. The component is a file named by its digest.
CREATE TABLE connectors(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    description TEXT NOT NULL,
    uploaded_at_us INTEGER NOT NULL,
    UNIQUE(owner, name, digest)
) STRICT;
CREATE INDEX connectors_by_digest ON connectors(digest);

CREATE TABLE connections(
    tenant TEXT NOT NULL REFERENCES tenants(name),
    name TEXT NOT NULL,
    connector TEXT NOT NULL,
    digest TEXT NOT NULL,
    settings TEXT NOT NULL,
    sealed BLOB NOT NULL,
    paused INTEGER NOT NULL,
    due_at_us INTEGER,
    attempts INTEGER NOT NULL,
    cost_ms INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    PRIMARY KEY(tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_due ON connections(due_at_us) WHERE due_at_us IS NOT NULL AND paused = 0;

CREATE TABLE syncs(
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    reason TEXT NOT NULL,
    full_refresh INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    queued_at_us INTEGER NOT NULL,
    started_at_us INTEGER,
    ended_at_us INTEGER,
    rows INTEGER NOT NULL,
    error_code TEXT,
    detail BLOB,
    FOREIGN KEY(tenant, connection) REFERENCES connections(tenant, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX syncs_of_connection ON syncs(tenant, connection, id);
CREATE UNIQUE INDEX syncs_active ON syncs(tenant, connection) WHERE outcome IN ('queued', 'running');

-- What a tenant has used on a day (days since 1970, UTC).
CREATE TABLE usage(
    tenant TEXT NOT NULL,
    day INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY(tenant, day)
) STRICT, WITHOUT ROWID;

-- A known text, sealed: a server with another key notices at its start.
CREATE TABLE marks(
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
