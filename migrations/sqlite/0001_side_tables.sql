-- What this server needs beyond Storyden's tables. Keyed by Storyden's ids, without foreign keys
-- into its tables, so that its own migration never trips over ours. A row that Storyden wrote has
-- no side row; one is made at first touch. A job deletes side rows whose parent is gone.

-- One approval and all that came of it, through every rotation: the `gid` of access tokens.
CREATE TABLE auth_grants (
    id text NOT NULL PRIMARY KEY,
    account_id text NOT NULL,
    client_id text NOT NULL,        -- oauth_clients.id
    code_id text NULL,              -- the code it came of: a replay finds it here
    salt text NULL,                 -- of the last rotation, hex; wiped when its window is over
    rotated_token_id text NULL,     -- the refresh token that the last rotation used up
    rotated_at datetime NULL,
    auth_time datetime NULL,        -- when the person signed in (OpenID Connect Core §2)
    resources json NULL,          -- what its tokens are for (RFC 8707); NULL: Storyden's API
    created_at datetime NOT NULL,
    revoked_at datetime NULL,
    revoked_because text NULL       -- code_replay, refresh_reuse, client_deleted, by_client, member, password_changed, …
);
CREATE INDEX auth_grants_code_id ON auth_grants (code_id);
CREATE INDEX auth_grants_account_id ON auth_grants (account_id);
CREATE INDEX auth_grants_client_id ON auth_grants (client_id);
CREATE INDEX auth_grants_salt ON auth_grants (rotated_at) WHERE salt IS NOT NULL;

-- Which grant a refresh token belongs to.
CREATE TABLE auth_refresh_tokens (
    token_id text NOT NULL PRIMARY KEY,  -- oauth_refresh_tokens.id
    grant_id text NOT NULL
);
CREATE INDEX auth_refresh_tokens_grant_id ON auth_refresh_tokens (grant_id);

-- What a client has beyond Storyden's row; most have nothing.
CREATE TABLE auth_clients (
    client_id text NOT NULL PRIMARY KEY, -- oauth_clients.id
    pkce_exempt bool NOT NULL DEFAULT false, -- an administrator let it off PKCE
    used bool NOT NULL DEFAULT false, -- a registration that once got a code, which is gone
    auth_method text NULL,          -- token_endpoint_auth_method, where somebody chose it
    old_secret_hash text NULL,      -- of the secret before the last rotation
    old_secret_until datetime NULL, -- until when that is good
    registered bool NOT NULL DEFAULT false, -- it registered itself, here
    default_scope text NULL,       -- what it asks for when it names no scope
    post_logout_redirect_uris json NULL,
    jwks json NULL,               -- its public keys, where it gave them
    jwks_uri text NULL,            -- where they are, where it named that
    confirmed_at datetime NULL,  -- when its metadata document was last read; NULL: it has none
    fresh_until datetime NULL,   -- until when that need not be read again
    registration_token_hash text NULL, -- SHA-256 of what manages its registration (RFC 7592)
    about json NULL               -- what else a registration said of itself
);

-- Authorization requests of people who are not signed in yet, bound to their browser.
CREATE TABLE auth_pending_requests (
    request_id_hash text NOT NULL PRIMARY KEY,
    browser_hash text NOT NULL,     -- SHA-256 of the cookie that binds it
    client_id text NULL,            -- oauth_clients.id; NULL: known when its document is read
    parameters json NOT NULL,       -- what the client asked
    created_at datetime NOT NULL,
    expires_at datetime NOT NULL
);

-- What an authorization request, and then its code, has beyond Storyden's row.
CREATE TABLE auth_request_details (
    request_id text NOT NULL PRIMARY KEY, -- oauth_authorisation_requests.id
    code_id text NULL,               -- oauth_authorisation_codes.id, once approved
    auth_time datetime NOT NULL,         -- when the person signed in
    redirect_uri_given bool NOT NULL, -- or left out, being the only one
    resources json NULL             -- what the tokens are for (RFC 8707); NULL: Storyden's API
);
CREATE INDEX auth_request_details_code_id ON auth_request_details (code_id);

-- Who started a device authorization, for the page that warns.
CREATE TABLE auth_device_origins (
    device_id text NOT NULL PRIMARY KEY, -- oauth_device_authorisations.id
    address text NOT NULL,
    user_agent text NULL
);

-- Which replica does the jobs, until when.
CREATE TABLE auth_leases (
    name text NOT NULL PRIMARY KEY,
    holder text NOT NULL,
    expires_at datetime NOT NULL
);

-- Access tokens without a grant that were revoked (RFC 7009), until they expire.
CREATE TABLE auth_revoked_tokens (
    jti text NOT NULL PRIMARY KEY,
    expires_at datetime NOT NULL
);

-- Who began the authorization of a remote connection, and who is to answer it.
CREATE TABLE auth_remote_flows (
    flow_id text NOT NULL PRIMARY KEY, -- oauth_remote_authorisation_flows.id
    account_id text NOT NULL,
    issuer text NULL
);

-- Client assertions that were used (RFC 7523 §3), until they expire: each is good once.
CREATE TABLE auth_assertions (
    assertion_hash text NOT NULL PRIMARY KEY, -- SHA-256 of the client and the jti
    expires_at datetime NOT NULL
);

-- Who did what, to which client and account, from where and when. Ids, never secrets.
CREATE TABLE auth_audit (
    id text NOT NULL PRIMARY KEY,
    created_at datetime NOT NULL,
    event text NOT NULL,
    actor_id text NULL,    -- accounts.id of who did it
    account_id text NULL,  -- accounts.id of whom it concerns
    client_id text NULL,   -- oauth_clients.client_id, the public one, which outlives the row
    subject_id text NULL,  -- the id of a token, a key, a session
    address text NULL,
    trace_id text NOT NULL
);
CREATE INDEX auth_audit_created_at ON auth_audit (created_at);
CREATE INDEX auth_audit_account_id ON auth_audit (account_id);
CREATE INDEX auth_audit_client_id ON auth_audit (client_id);
