//! SSRF rules of requests to other servers, derived from the settings.

use super::Config;
use crate::egress;
use crate::egress::address::EgressPolicy;

impl Config {
    /// Returns the SSRF rules for documents and keys of clients.
    #[must_use]
    pub fn document_rules(&self) -> egress::Rules {
        egress::Rules {
            policy: if self.cimd_insecure {
                EgressPolicy::Everything
            } else {
                EgressPolicy::Closed
            },
            ports: self.cimd_ports.0.clone(),
            own_hosts: self.own_hosts(),
        }
    }

    /// Returns the SSRF rules for remote servers.
    #[must_use]
    pub fn remote_rules(&self) -> egress::Rules {
        egress::Rules {
            policy: if self.remote_is_insecure() {
                EgressPolicy::Loopback
            } else {
                EgressPolicy::Closed
            },
            ports: self.remote_ports.0.clone(),
            own_hosts: self.own_hosts(),
        }
    }
}
