-- What this server needs beyond Storyden's tables. Keyed by Storyden's ids, without foreign keys
-- into its tables, so that its own migration never trips over ours. A row that Storyden wrote has
-- no side row; one is made at first touch. A job deletes side rows whose parent is gone.

-- One approval and all that came of it, through every rotation: the `gid` of access tokens.
CREATE TABLE auth_grants (
    id varchar NOT NULL PRIMARY KEY,
    account_id varchar NOT NULL,
    client_id varchar NOT NULL,        -- oauth_clients.id
    code_id varchar NULL,              -- the code it came of: a replay finds it here
    salt varchar NULL,                 -- of the last rotation, hex; wiped when its window is over
    rotated_token_id varchar NULL,     -- the refresh token that the last rotation used up
    rotated_at timestamptz NULL,
    auth_time timestamptz NULL,        -- when the person signed in (OpenID Connect Core §2)
    resources jsonb NULL,          -- what its tokens are for (RFC 8707); NULL: Storyden's API
    created_at timestamptz NOT NULL,
    revoked_at timestamptz NULL,
    revoked_because varchar NULL       -- code_replay, refresh_reuse, client_deleted, by_client, member, password_changed, …
);
CREATE INDEX auth_grants_code_id ON auth_grants (code_id);
CREATE INDEX auth_grants_account_id ON auth_grants (account_id);
CREATE INDEX auth_grants_client_id ON auth_grants (client_id);
CREATE INDEX auth_grants_salt ON auth_grants (rotated_at) WHERE salt IS NOT NULL;

-- Which grant a refresh token belongs to.
CREATE TABLE auth_refresh_tokens (
    token_id varchar NOT NULL PRIMARY KEY,  -- oauth_refresh_tokens.id
    grant_id varchar NOT NULL
);
CREATE INDEX auth_refresh_tokens_grant_id ON auth_refresh_tokens (grant_id);

-- What a client has beyond Storyden's row; most have nothing.
CREATE TABLE auth_clients (
    client_id varchar NOT NULL PRIMARY KEY, -- oauth_clients.id
    pkce_exempt boolean NOT NULL DEFAULT false, -- an administrator let it off PKCE
    used boolean NOT NULL DEFAULT false, -- a registration that once got a code, which is gone
    auth_method varchar NULL,          -- token_endpoint_auth_method, where somebody chose it
    old_secret_hash varchar NULL,      -- of the secret before the last rotation
    old_secret_until timestamptz NULL, -- until when that is good
    registered boolean NOT NULL DEFAULT false, -- it registered itself, here
    default_scope varchar NULL,       -- what it asks for when it names no scope
    post_logout_redirect_uris jsonb NULL,
    jwks jsonb NULL,               -- its public keys, where it gave them
    jwks_uri varchar NULL,            -- where they are, where it named that
    confirmed_at timestamptz NULL,  -- when its metadata document was last read; NULL: it has none
    fresh_until timestamptz NULL,   -- until when that need not be read again
    registration_token_hash varchar NULL, -- SHA-256 of what manages its registration (RFC 7592)
    about jsonb NULL               -- what else a registration said of itself
);

-- Authorization requests of people who are not signed in yet, bound to their browser.
CREATE TABLE auth_pending_requests (
    request_id_hash varchar NOT NULL PRIMARY KEY,
    browser_hash varchar NOT NULL,     -- SHA-256 of the cookie that binds it
    client_id varchar NULL,            -- oauth_clients.id; NULL: known when its document is read
    parameters jsonb NOT NULL,       -- what the client asked
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What an authorization request, and then its code, has beyond Storyden's row.
CREATE TABLE auth_request_details (
    request_id varchar NOT NULL PRIMARY KEY, -- oauth_authorisation_requests.id
    code_id varchar NULL,               -- oauth_authorisation_codes.id, once approved
    auth_time timestamptz NOT NULL,         -- when the person signed in
    redirect_uri_given boolean NOT NULL, -- or left out, being the only one
    resources jsonb NULL             -- what the tokens are for (RFC 8707); NULL: Storyden's API
);
CREATE INDEX auth_request_details_code_id ON auth_request_details (code_id);

-- Who started a device authorization, for the page that warns.
CREATE TABLE auth_device_origins (
    device_id varchar NOT NULL PRIMARY KEY, -- oauth_device_authorisations.id
    address varchar NOT NULL,
    user_agent varchar NULL
);

-- Which replica does the jobs, until when.
CREATE TABLE auth_leases (
    name varchar NOT NULL PRIMARY KEY,
    holder varchar NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Access tokens without a grant that were revoked (RFC 7009), until they expire.
CREATE TABLE auth_revoked_tokens (
    jti varchar NOT NULL PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- Who began the authorization of a remote connection, and who is to answer it.
CREATE TABLE auth_remote_flows (
    flow_id varchar NOT NULL PRIMARY KEY, -- oauth_remote_authorisation_flows.id
    account_id varchar NOT NULL,
    issuer varchar NULL
);

-- Client assertions that were used (RFC 7523 §3), until they expire: each is good once.
CREATE TABLE auth_assertions (
    assertion_hash varchar NOT NULL PRIMARY KEY, -- SHA-256 of the client and the jti
    expires_at timestamptz NOT NULL
);

-- Who did what, to which client and account, from where and when. Ids, never secrets.
CREATE TABLE auth_audit (
    id varchar NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    event varchar NOT NULL,
    actor_id varchar NULL,    -- accounts.id of who did it
    account_id varchar NULL,  -- accounts.id of whom it concerns
    client_id varchar NULL,   -- oauth_clients.client_id, the public one, which outlives the row
    subject_id varchar NULL,  -- the id of a token, a key, a session
    address varchar NULL,
    trace_id varchar NOT NULL
);
CREATE INDEX auth_audit_created_at ON auth_audit (created_at);
CREATE INDEX auth_audit_account_id ON auth_audit (account_id);
CREATE INDEX auth_audit_client_id ON auth_audit (client_id);
