//! Protection of authorization requests against changes in the browser: pushed requests (RFC 9126) and signed
//! requests (RFC 9101).

/// Protections of an authorization request: those that a client demands, or those that a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestProtection {
    /// True for pushed requests (`require_pushed_authorization_requests`, RFC 9126 §6).
    pub pushed: bool,
    /// True for requests in a signed request object (`require_signed_request_object`, RFC 9101 §10.5).
    pub signed: bool,
}

impl RequestProtection {
    /// No protection.
    pub const NONE: Self = Self {
        pushed: false,
        signed: false,
    };

    /// The name in the database; `None` without protection.
    #[must_use]
    pub fn stored_name(self) -> Option<&'static str> {
        match (self.pushed, self.signed) {
            (false, false) => None,
            (true, false) => Some("pushed"),
            (false, true) => Some("signed"),
            (true, true) => Some("pushed signed"),
        }
    }

    /// Reads the name in the database.
    #[must_use]
    pub fn from_stored_name(name: &str) -> Self {
        let has = |protection: &str| name.split(' ').any(|one| one == protection);
        Self {
            pushed: has("pushed"),
            signed: has("signed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_name_leads_back() {
        for (pushed, signed) in [(false, false), (true, false), (false, true), (true, true)] {
            let protection = RequestProtection { pushed, signed };
            let name = protection.stored_name().unwrap_or_default();
            assert_eq!(RequestProtection::from_stored_name(name), protection);
        }
    }
}
