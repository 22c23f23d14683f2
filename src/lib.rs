//! storyden-auth: the OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
//!
//! Layers: entry points use domain modules and foundations, domain modules use foundations, and entry
//! points do not use each other. `docs/architecture.md` has the diagram; `tests/it/house.rs` enforces
//! the rules.

// Entry: all routes, and the connections.
pub mod router;
pub mod server;

// Entry points: protocol endpoints, JSON APIs of members and administrators, built-in pages, jobs,
// commands.
pub mod admin;
pub mod cli;
pub mod endpoints;
pub mod jobs;
pub mod member;
pub mod pages;

// Domain: the protocol (pure), client identification, accounts, remote connections (this server as a
// client), and all SQL.
pub mod accounts;
pub mod clients;
pub mod oauth;
pub mod remote;
pub mod store;

// Foundations, built once at the start: settings, profile, keys, limits, outgoing requests, logs.
pub mod app;
pub mod config;
pub mod error;
pub mod fetch;
pub mod keys;
pub mod limits;
pub mod profile;
pub mod telemetry;

// Basic types with a single purpose each.
pub mod clock;
pub mod files;
pub mod ids;
pub mod random;
pub mod secret;
