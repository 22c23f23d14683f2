//! The network that the way out goes over: the machine's own, or another one for tests.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

/// The addresses of a name, when they are there.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names become addresses, and addresses doors.
pub trait Network: Debug + Send + Sync {
    /// Every address of a name.
    fn addresses(&self, name: String) -> Addresses;

    /// What is dialled to reach an address; port 0 means the port of the URL.
    fn door(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, 0)
    }

    /// Says which certificates are believed; otherwise those that the system believes.
    fn trust(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        client
    }
}

/// The machine's own network and resolver.
#[derive(Debug)]
pub struct System;

impl Network for System {
    fn addresses(&self, name: String) -> Addresses {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
