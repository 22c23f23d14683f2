//! Authentication of accounts: sessions, access keys, access tokens, passwords and permissions.

pub mod access_keys;
pub mod handle;
pub mod person_claims;
pub mod suspension;
