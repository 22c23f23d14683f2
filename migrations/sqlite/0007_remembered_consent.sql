-- Remembered consent, and several accounts in a browser. Every new column may be left out, so that the binary
-- before this migration goes on writing its rows.

-- What an account approved for a client by a browser session: the same or less is given without asking.
CREATE TABLE auth_consents (
    id text NOT NULL PRIMARY KEY,
    account_id text NOT NULL,         -- accounts.id of the account that approved
    client_id text NOT NULL,          -- oauth_clients.id
    resources_hash text NOT NULL,     -- SHA-256 of the resource indicators (RFC 8707); empty: Storyden's API
    scope text NOT NULL,              -- approved scopes, without privileged permissions
    client_fingerprint text NOT NULL, -- SHA-256 of the client's name, owner, redirect URIs, type, authentication and keys as approved
    client_epoch integer NOT NULL,    -- auth_clients.consent_epoch at the approval
    approved_at datetime NOT NULL,    -- when the account last approved on the consent page
    used_at datetime NOT NULL,        -- when the consent was last given or used
    expires_at datetime NOT NULL      -- the row is deleted then
);
CREATE UNIQUE INDEX auth_consents_of ON auth_consents (account_id, client_id, resources_hash);
CREATE INDEX auth_consents_client_id ON auth_consents (client_id);
CREATE INDEX auth_consents_expires_at ON auth_consents (julianday(expires_at));

-- Number of revocations of everything that was granted to the client: consents with a smaller number are over.
ALTER TABLE auth_clients ADD COLUMN consent_epoch integer NOT NULL DEFAULT 0;

-- True if a remembered consent may approve the request: no prompt=consent, a session, a client of known identity.
ALTER TABLE auth_request_details ADD COLUMN repeatable bool NOT NULL DEFAULT false;

-- accounts.id that the person chose for the request (prompt=select_account); NULL: none yet.
ALTER TABLE auth_pending_requests ADD COLUMN chosen_account_id text NULL;
