-- Revocations that need more than one small transaction: the request writes a row here, which ends
-- everything that it covers at once; a job then updates or deletes the rows in batches.
CREATE TABLE auth_revocations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of revocations, whatever clocks say
    kind varchar NOT NULL,           -- which rows end: request, code, device, grant, own_grant, refresh_token; client: delete it
    account_id varchar NULL,         -- accounts.id: rows of this account alone
    client_id varchar NULL,          -- oauth_clients.id: rows of this client alone
    because varchar NOT NULL,        -- the value of auth_grants.revoked_because
    created_at timestamptz NOT NULL, -- the time that the rows get
    cut_off timestamptz NOT NULL,    -- a row without a revocation_id is covered if it was made until then
    done_at timestamptz NULL         -- when the job found no more rows
);
CREATE INDEX auth_revocations_open ON auth_revocations (kind) WHERE done_at IS NULL;

-- The newest auth_revocations.id when the row was made, or approved: older revocations do not cover it.
-- NULL: unknown, since another program wrote it; then created_at is compared with cut_off.
ALTER TABLE auth_grants ADD COLUMN revocation_id bigint NULL;
ALTER TABLE auth_request_details ADD COLUMN revocation_id bigint NULL; -- of the request, then of its code
ALTER TABLE auth_device_origins ADD COLUMN revocation_id bigint NULL;  -- of the approval

-- True for the grant of a client's own tokens (client_credentials); account_id is then its owner.
ALTER TABLE auth_grants ADD COLUMN client_credentials boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX auth_grants_own ON auth_grants (client_id, account_id)
    WHERE client_credentials AND revoked_at IS NULL;

-- What a revocation ends, found without reading what ended before.
CREATE INDEX auth_grants_live_account ON auth_grants (account_id) WHERE revoked_at IS NULL;
CREATE INDEX auth_grants_live_client ON auth_grants (client_id) WHERE revoked_at IS NULL;
