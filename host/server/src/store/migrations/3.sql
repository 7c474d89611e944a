-- Tokens that have replaced others at their source, sealed with the connection's own key: of each line of them the latest.
CREATE TABLE renewed_tokens(
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    owner TEXT NOT NULL,
    line TEXT NOT NULL,
    sealed TEXT NOT NULL,
    renewed_at_us INTEGER NOT NULL,
    PRIMARY KEY(tenant, connection, owner, line),
    FOREIGN KEY(tenant, connection) REFERENCES connections(tenant, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
