//! SSRF rules of requests to other servers, derived from the settings.

use url::Url;

use super::Config;
use crate::egress;
use crate::egress::address::EgressPolicy;

/// Minimum length of `WEBHOOK_SECRET`, in bytes.
const WEBHOOK_SECRET_MIN: usize = 24;

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

    /// Returns the SSRF rules for the webhook: its own port, and loopback where remote servers may be on loopback.
    #[must_use]
    pub fn webhook_rules(&self) -> egress::Rules {
        let port = self
            .webhook_url
            .as_ref()
            .and_then(Url::port_or_known_default);
        egress::Rules {
            ports: port.into_iter().collect(),
            ..self.remote_rules()
        }
    }

    /// Reports a webhook without a secret, and an address or a secret that cannot be used.
    pub(super) fn webhook_faults(&self, fault: &mut impl FnMut(&'static str, &str)) {
        let secret = self.webhook_secret.as_ref();
        if self.webhook_url.is_some() != secret.is_some() {
            let text = "must be set together with WEBHOOK_URL: the receiver checks the signature";
            fault("WEBHOOK_SECRET", text);
        }
        if secret.is_some_and(|secret| secret.reveal().len() < WEBHOOK_SECRET_MIN) {
            let text =
                "must have at least 24 characters; use the output of `openssl rand -base64 32`";
            fault("WEBHOOK_SECRET", text);
        }
        if self
            .webhook_url
            .as_ref()
            .is_some_and(|url| url.scheme() != "https" && !self.remote_is_insecure())
        {
            let text = "must begin with https://; plain http to this computer needs REMOTE_ALLOW_INSECURE=true";
            fault("WEBHOOK_URL", text);
        }
    }
}
