//! Who is this person: sessions, credentials, passwords and what an account may do.

pub mod caller;
pub mod passwords;
