//! Black-box tests: over HTTP, against the real server with a real database, on both engines.
//!
//! A test is written once, in `both!`, and runs on SQLite and on PostgreSQL. Time stands still
//! until a test turns it. Requirement ids stand in the doc comment of the test that covers them.

mod support;

mod authorization_code;
mod authorize;
mod connections;
mod consent;
mod device_authorization;
mod device_consent;
mod headers;
mod house;
mod login_detour;
mod metadata;
mod openid_client;
mod pages;
mod process;
mod sign_in;
mod userinfo;
