-- Clients that are held to the FAPI 2.0 Security Profile. The new column may be left out, so that the binary before
-- this migration goes on writing its rows.

-- True if the FAPI 2.0 Security Profile (final, §5.3.2) holds for the client: pushed requests, PKCE, private_key_jwt,
-- DPoP, and only the algorithms of the profile.
ALTER TABLE auth_clients ADD COLUMN fapi boolean NOT NULL DEFAULT false;
CREATE INDEX auth_clients_fapi ON auth_clients (client_id) WHERE fapi;
