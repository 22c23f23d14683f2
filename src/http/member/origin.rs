//! Origins of sessions and grants, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Context;
use crate::store::origins::StoredOrigin;
use crate::user_agent::Program;

/// Device, browser and place of a session or a grant, as far as known. The client sent the user agent and may have
/// lied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthOrigin)]
pub struct Origin {
    /// Remote address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Name of the browser; absent for other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    browser: Option<&'static str>,
    /// Country of the address (ISO 3166-1 alpha-2), if the server knows the countries of addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// Name that the member gave the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<String>,
    /// Name of the operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'static str>,
    /// User agent, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl Origin {
    /// Describes a stored origin; `None` if nothing is known.
    pub(super) fn of(context: &Context, stored: StoredOrigin) -> Option<Self> {
        if stored == StoredOrigin::default() {
            return None;
        }
        let program = stored.user_agent.as_deref().map(Program::of);
        let Program { browser, system } = program.unwrap_or_default();
        let address = stored.address.as_deref();
        Some(Self {
            browser,
            country: address.and_then(|address| context.countries.of(address)),
            system,
            address: stored.address,
            device_name: stored.device_name,
            user_agent: stored.user_agent,
        })
    }
}
