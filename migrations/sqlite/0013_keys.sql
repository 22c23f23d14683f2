-- Signing keys that this server generates and rotates. The state of a key is a function of these rows and the time:
-- a key signs from signs_from on, until the next key of its algorithm does.
CREATE TABLE auth_keys (
    kid text NOT NULL PRIMARY KEY,    -- key id (RFC 7515 §4.1.4)
    algorithm text NOT NULL,          -- RS256, PS256, ES256, EdDSA or Ed25519
    predecessor text NOT NULL,        -- kid of the key before, of the same algorithm; empty: the first key
    sealed text NULL,                 -- private key, PKCS#8, encrypted and bound to kid and algorithm; NULL: revoked
    public_jwk text NOT NULL,         -- public key as a JWK (RFC 7517 §4), for display
    created_at datetime NOT NULL,     -- the key is published from then on
    signs_from datetime NOT NULL,     -- the key signs from then on
    revoked_at datetime NULL          -- from then on, nothing that the key signed is accepted
);
-- A key has one successor, even if two replicas create one at the same time.
CREATE UNIQUE INDEX auth_keys_predecessor ON auth_keys (algorithm, predecessor);
