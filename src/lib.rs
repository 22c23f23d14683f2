//! storyden-auth: the OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
//!
//! The map of the house. Doors use rooms and tools, rooms use tools, and no door uses another:
//! `docs/architecture.md` has the picture, `tests/it/house.rs` holds it.

// The way in: every route on one screen, and the connections behind it.
pub mod router;
pub mod server;

// Doors: the protocol's endpoints, the member's and the administrators' JSON, the built-in pages, jobs,
// commands.
pub mod admin;
pub mod cli;
pub mod endpoints;
pub mod jobs;
pub mod member;
pub mod pages;

// Rooms: the protocol, pure; who is this client; who is this person; this server as a client of
// others; the only SQL.
pub mod accounts;
pub mod clients;
pub mod oauth;
pub mod remote;
pub mod store;

// What everything is built from, once: settings, profile, keys, limits, the way out, logs.
pub mod app;
pub mod config;
pub mod error;
pub mod fetch;
pub mod keys;
pub mod limits;
pub mod profile;
pub mod telemetry;

// Small things with one meaning each.
pub mod clock;
pub mod files;
pub mod ids;
pub mod random;
pub mod secret;
