-- Tokens that are bound to a key of the client (DPoP, RFC 9449). Every new column may be left out, so that the
-- binary before this migration goes on writing its rows.

-- DPoP proofs that were used at the token endpoint, until they expire: each is valid once.
CREATE TABLE auth_dpop_proofs (
    proof_hash text NOT NULL PRIMARY KEY, -- SHA-256 of the thumbprint of the key and the jti
    expires_at datetime NOT NULL          -- the proof is no longer accepted from then on
);
CREATE INDEX auth_dpop_proofs_expires_at ON auth_dpop_proofs (julianday(expires_at));

-- SHA-256 thumbprint (RFC 7638) of the key that the refresh token of a public client is bound to; NULL: no key.
ALTER TABLE auth_grants ADD COLUMN dpop_jkt text NULL;
-- The same of the authorization code: the parameter dpop_jkt of the request; NULL: no key.
ALTER TABLE auth_request_details ADD COLUMN dpop_jkt text NULL;
-- True if token requests of the client need a proof (dpop_bound_access_tokens).
ALTER TABLE auth_clients ADD COLUMN dpop_bound bool NOT NULL DEFAULT false;
