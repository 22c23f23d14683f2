//! The HTTP server: listener, router, layers, extractors, guards, handlers and error rendering.

pub mod accounts_cookie;
pub mod admin;
pub mod authorization;
pub mod caller;
pub mod client_about;
pub mod client_members;
pub mod cookies;
pub mod device_cookie;
pub mod dpop;
pub mod endpoints;
mod entity_tag;
pub mod error;
pub mod extract;
pub mod guards;
pub mod listener;
pub mod member;
pub mod pages;
pub mod prometheus;
pub mod router;
pub mod session_cookie;
pub mod trace;
