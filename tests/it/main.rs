//! Black-box tests: over HTTP, against the real server with a real database, on both engines.
//!
//! A test is written once, in `both!`, and runs on SQLite and on PostgreSQL. Time stands still
//! until a test turns it. Requirement ids stand in the doc comment of the test that covers them.

mod support;

mod authorization_code;
mod authorize;
mod consent;
mod device_authorization;
mod device_consent;
mod house;
mod login_detour;
mod openid_client;
mod process;
mod sign_in;
mod userinfo;
