-- Where sessions and grants began. Every new column may be left out, so that the binary before this migration goes on
-- writing its rows. NULL: unknown, as in rows of that binary.

-- The sign-in: address of the browser, and its User-Agent, which is unverified.
ALTER TABLE auth_sessions ADD COLUMN address text NULL;
ALTER TABLE auth_sessions ADD COLUMN user_agent text NULL;
-- The last request with the session, written at most every 15 minutes.
ALTER TABLE auth_sessions ADD COLUMN last_used_at timestamptz NULL;
-- No device cookie named the account when the browser signed in.
ALTER TABLE auth_sessions ADD COLUMN unknown_browser boolean NOT NULL DEFAULT false;

-- The approval of an authorization request, until the code is exchanged.
ALTER TABLE auth_request_details ADD COLUMN address text NULL;
ALTER TABLE auth_request_details ADD COLUMN user_agent text NULL;

-- The name that the member gave a device at the approval.
ALTER TABLE auth_device_origins ADD COLUMN name text NULL;

-- The same of the grant: of the browser that approved, or of the device with its name.
ALTER TABLE auth_grants ADD COLUMN address text NULL;
ALTER TABLE auth_grants ADD COLUMN user_agent text NULL;
ALTER TABLE auth_grants ADD COLUMN device_name text NULL;
