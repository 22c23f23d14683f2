//! Authentication of accounts: sessions, access keys, access tokens, passwords and permissions.

pub mod access_keys;
pub mod caller;
pub mod cookies;
pub mod device_cookie;
pub mod guard;
pub mod handle;
pub mod passwords;
pub mod session_cookie;
