//! storyden-auth: the OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
//!
//! Imports go downwards from group to group, without a cycle; `tests/it/architecture.rs` checks the graph and
//! `docs/architecture.md` describes it.

// Entry points: commands, and the HTTP server with its routes and handlers.
pub mod cli;
pub mod http;

// Work without a request: clean-up, revocations in progress, indexes.
pub mod jobs;

// Domain rules without HTTP types: this server as a client of others, the clients, the accounts, the resources
// that tokens are for, the trusted issuers of identity assertions, the proofs of keys that tokens are bound to, the audit
// trail as a file, checks of the deployment, operations on the signing keys, and the webhook.
pub mod accounts;
pub mod audit_export;
pub mod checks;
pub mod clients;
pub mod dpop;
pub mod issuers;
pub mod remote;
pub mod resources;
pub mod signing_keys;
pub mod webhook;

// Dependencies of every request, built once.
pub mod context;

// Services of the context.
pub mod appearance;
pub mod client_errors;
pub mod countries;
pub mod keys;
pub mod logo_cache;
pub mod passwords;
pub mod rate_limit;
pub mod readiness;
pub mod redemptions;
pub mod setting_warnings;
pub mod single_flight;
pub mod statistics;
pub mod telemetry;
pub mod timeouts;
pub mod used_proofs;

// The database: the only module with SQL.
pub mod store;

// Settings with the two profiles, and the guard of outgoing requests.
pub mod compat;
pub mod config;
pub mod egress;

// The protocol as pure functions and types.
pub mod oauth;

// Values.
pub mod bounded_map;
pub mod clock;
pub mod database_url;
pub mod files;
pub mod ids;
pub mod random;
pub mod secret;
pub mod trace_id;
pub mod user_agent;
