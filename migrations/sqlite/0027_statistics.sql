-- Hourly counts of events, for the overview of administrators. The binary before this migration does not use the table.

-- Each process adds the counts in its memory, so that a row is the sum over all replicas. Rows of an hour: at most one
-- per kind and detail; clients beyond the first 100 of a process and hour share the detail `other`.
CREATE TABLE auth_statistics (
    hour datetime NOT NULL,             -- start of the hour, in UTC
    kind text NOT NULL,                 -- sign_in, approval, token, client_error, theft or lockout
    detail text NOT NULL,               -- the audit event; of a token the grant type; of a client_error oauth_clients.id,
                                        -- `other`, or `unknown` for a client id that does not exist
    count integer NOT NULL,             -- number of events
    PRIMARY KEY (hour, kind, detail)
);
