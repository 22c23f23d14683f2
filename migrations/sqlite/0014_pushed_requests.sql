-- Pushed authorization requests (RFC 9126), and what a client demands of its authorization requests. The new columns
-- may be left out, so that the binary before this migration goes on writing its rows.

-- A pushed authorization request. Redeemed once, within a minute; the clean-up deletes expired rows each minute.
CREATE TABLE auth_pushed_requests (
    request_uri_hash text NOT NULL PRIMARY KEY, -- SHA-256 of the random part of the request_uri
    client_id text NOT NULL,        -- oauth_clients.id of the client that pushed the request
    parameters json NOT NULL,       -- parameters of the authorization request, checked
    created_at datetime NOT NULL,
    expires_at datetime NOT NULL
);
CREATE INDEX auth_pushed_requests_expires_at ON auth_pushed_requests (julianday(expires_at));

-- What every authorization request of the client must be: pushed (RFC 9126 §6), signed (RFC 9101 §10.5), or both,
-- separated by a space. NULL: neither.
ALTER TABLE auth_clients ADD COLUMN request_protection text NULL;
-- The only algorithm of request objects of the client: RS256, PS256, ES256 or EdDSA. NULL: any of these.
ALTER TABLE auth_clients ADD COLUMN request_object_signing_alg text NULL;
