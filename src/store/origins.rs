//! Origins of sessions and grants.

use std::net::IpAddr;

/// Address and program of the request that began a session or approved a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client address.
    pub address: IpAddr,
    /// `User-Agent`: printable ASCII, unverified.
    pub user_agent: Option<String>,
}

/// A stored origin; `None` in rows from before the columns, or of a Storyden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredOrigin {
    /// The client address.
    pub address: Option<String>,
    /// `User-Agent`, unverified.
    pub user_agent: Option<String>,
    /// The name that the member gave the device.
    pub device_name: Option<String>,
}
