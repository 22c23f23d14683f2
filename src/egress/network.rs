//! The network of outgoing requests: the machine's own, or a test network.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

/// A future with the addresses of a name.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Name resolution and routing of outgoing requests.
pub trait Network: Debug + Send + Sync {
    /// Every address of a name.
    fn addresses(&self, name: String) -> Addresses;

    /// The socket address to dial for an address; port 0 means the port of the URL.
    fn door(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, 0)
    }

    /// Sets the trusted certificates; by default the system's.
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
