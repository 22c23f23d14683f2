//! JSON for the signed-in member.

pub mod session;
