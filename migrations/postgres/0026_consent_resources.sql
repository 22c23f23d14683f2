-- Resources of remembered consents, so that the list of applications tells an outdated consent. The column may be
-- left out, so that the binary before this migration goes on writing its rows.

-- The resource indicators (RFC 8707) that resources_hash was made of; NULL: Storyden's API, or a row from before.
ALTER TABLE auth_consents ADD COLUMN resources jsonb NULL;
