//! storyden-auth: the OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
//!
//! The map of the house, in reading order. Doors (`endpoints`, `member`, `pages`, `cli`, `jobs`)
//! use rooms (`clients`, `accounts`, `oauth`, `store`) and never each other.

pub mod accounts; // who is this person
pub mod app; // what every request needs, built once
pub mod cli;
pub mod clients; // who is this client
pub mod clock; // time as a value
pub mod config; // every setting
pub mod endpoints; // the protocol's doors: one file per endpoint, one per grant
pub mod error; // how errors become answers
pub mod fetch; // the only way out
pub mod ids; // row ids, one type per noun
pub mod jobs; // what happens without a request
pub mod keys; // the only place that makes or checks a JWT
pub mod limits; // how often somebody may fail
pub mod member; // JSON for the signed-in member
pub mod oauth; // the protocol, pure
pub mod pages; // the built-in pages, embedded
pub mod random; // chance as a value
pub mod router; // every route on one screen
pub mod secret; // secrets and their hashes, as two types
pub mod server; // connections, their time limits and the drain
pub mod store; // the only SQL
pub mod telemetry; // logs and trace ids // one file per subcommand
