-- Errors in requests of clients, for their developers. The binary before this migration uses none of it.

-- Equal errors of a client share a row. At most 100 rows of a client are kept, for seven days.
CREATE TABLE auth_client_errors (
    id text NOT NULL PRIMARY KEY,      -- SHA-256 of client, endpoint, error, mistake and value
    client_id text NOT NULL,           -- oauth_clients.id
    endpoint text NOT NULL,            -- path of the endpoint, as in /api/oauth/token
    error text NOT NULL,               -- error code of the response
    description text NOT NULL,         -- error description of the last response
    mistake text NOT NULL,             -- kind of the mistake, which has a hint
    value text NULL,                   -- the refused value, shortened; never a secret, a code or a token
    occurrences integer NOT NULL,      -- number of errors
    first_at datetime NOT NULL,        -- time of the first error
    last_at datetime NOT NULL,         -- time of the last error
    expires_at datetime NOT NULL       -- the row is deleted then
);
CREATE INDEX auth_client_errors_client_id_last_at ON auth_client_errors (client_id, last_at);
CREATE INDEX auth_client_errors_expires_at ON auth_client_errors (julianday(expires_at));

-- What the developer of a client chose: web for a page or a server, native for an app on a device. NULL: not told.
ALTER TABLE auth_clients ADD COLUMN application_type text NULL;
