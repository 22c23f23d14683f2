-- Clean-up in small batches: an index for each time by which rows are deleted, and the state of each step.

-- The steps of the clean-up, as `doctor` and the metrics report them.
CREATE TABLE auth_jobs (
    name varchar NOT NULL PRIMARY KEY,  -- the step
    completed_at timestamptz NULL,      -- when the step last found nothing left to delete
    deleted bigint NOT NULL DEFAULT 0, -- rows that the step deleted, in total
    failed_at timestamptz NULL,         -- when the step last failed; NULL once it completed after that
    error varchar NULL                  -- why the step failed then
);

CREATE INDEX auth_pending_requests_expires_at ON auth_pending_requests (expires_at);
CREATE INDEX auth_pending_requests_client_id ON auth_pending_requests (client_id);
CREATE INDEX auth_revoked_tokens_expires_at ON auth_revoked_tokens (expires_at);
CREATE INDEX auth_assertions_expires_at ON auth_assertions (expires_at);
