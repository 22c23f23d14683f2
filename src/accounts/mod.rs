//! Who is this person: sessions, credentials, passwords and what an account may do.

pub mod access_keys;
pub mod caller;
pub mod cookies;
pub mod device_cookie;
pub mod guard;
pub mod handle;
pub mod passwords;
pub mod session_cookie;
