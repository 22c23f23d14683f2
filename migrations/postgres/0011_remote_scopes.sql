-- Connections to remote servers: what was granted, beside what is requested, and the age of registrations. Every new
-- column may be left out, so that the binary before this migration goes on writing its rows.

-- Columns beside oauth_remote_connections. A connection without a row here was written by a Storyden or by an
-- earlier binary.
CREATE TABLE auth_remote_connections (
    connection_id varchar NOT NULL PRIMARY KEY, -- oauth_remote_connections.id
    granted_scope varchar NULL,              -- scope of the stored tokens; NULL: unknown
    authorized_scope varchar NULL,           -- granted scope of the last authorization, which refreshes repeat; NULL: unknown
    registered_at timestamptz NULL,          -- last registration at the server (RFC 7591); NULL: none by this server
    secret_expires_at timestamptz NULL,      -- client_secret_expires_at of the registration; NULL: the secret does not expire
    registration_rejected_at timestamptz NULL -- when the server answered invalid_client; the next authorization registers anew
);

-- Scope of the authorization request: the granted scope if the token response names none (RFC 6749 §5.1).
ALTER TABLE auth_remote_flows ADD COLUMN scope varchar NULL;
-- Client id of the authorization request: the code is redeemed by this client only. NULL: not checked.
ALTER TABLE auth_remote_flows ADD COLUMN client_id varchar NULL;
