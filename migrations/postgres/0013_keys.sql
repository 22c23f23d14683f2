-- Signing keys that this server generates and rotates. The state of a key is a function of these rows and the time:
-- a key signs from signs_from on, until the next key of its algorithm does.
CREATE TABLE auth_keys (
    kid varchar NOT NULL PRIMARY KEY,    -- key id (RFC 7515 §4.1.4)
    algorithm varchar NOT NULL,          -- RS256, PS256, ES256, EdDSA or Ed25519
    predecessor varchar NOT NULL,        -- kid of the key before, of the same algorithm; empty: the first key
    sealed varchar NULL,                 -- private key, PKCS#8, encrypted and bound to kid and algorithm; NULL: revoked
    public_jwk varchar NOT NULL,         -- public key as a JWK (RFC 7517 §4), for display
    created_at timestamptz NOT NULL,     -- the key is published from then on
    signs_from timestamptz NOT NULL,     -- the key signs from then on
    revoked_at timestamptz NULL          -- from then on, nothing that the key signed is accepted
);
-- A key has one successor, even if two replicas create one at the same time.
CREATE UNIQUE INDEX auth_keys_predecessor ON auth_keys (algorithm, predecessor);
