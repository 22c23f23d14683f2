//! Row ids: xids, the form of Storyden's ids, with a type per noun.
//!
//! An xid is 12 bytes in 20 characters of lower-case base32hex: seconds since 1970 (4 bytes), the
//! process (5), and a counter (3). Ids are unique and sort by time, but are no secrets.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Timestamp;
use crate::random::Random;

/// The process part of the ids and the first value of the counter. From the system's generator, also in
/// tests: replicas in a test have the same seed, and must not generate the same ids.
struct Process {
    id: [u8; 5],
    counter: AtomicU32,
}

static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    let random = Random::system();
    Process {
        id: random.bytes(),
        counter: AtomicU32::new(u32::from_be_bytes(random.bytes())),
    }
});

/// Generates an xid for a row that is created at `now`.
#[must_use]
pub(crate) fn xid(now: Timestamp) -> String {
    let count = PROCESS.counter.fetch_add(1, Ordering::Relaxed);
    let seconds = u32::try_from(now.unix_seconds().max(0)).unwrap_or(u32::MAX);
    encode(seconds, PROCESS.id, count)
}

/// Encodes the parts of an xid; the counter counts modulo 2^24.
fn encode(seconds: u32, process: [u8; 5], count: u32) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut bytes = [0; 8];
    bytes[3..].copy_from_slice(&process);
    let process = u128::from(u64::from_be_bytes(bytes));
    let bits = u128::from(seconds) << 64 | process << 24 | u128::from(count & 0x00ff_ffff);
    // 20 characters have 100 bits; the last four are zero.
    let character = |index| ALPHABET[(bits << 4 >> (5 * index)) as usize % 32] as char;
    (0..20).rev().map(character).collect()
}

/// Defines the id type of a noun.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, min_length = 20, max_length = 20)]
        pub struct $name(String);

        impl $name {
            /// Generates an id for a row that is created at `now`.
            #[must_use]
            pub fn generate(now: Timestamp) -> Self {
                Self(xid(now))
            }

            /// Wraps an id from the database or from input; an invalid id finds no row.
            #[must_use]
            pub fn new(value: impl Into<String>) -> Self {
                let value = value.into();
                // U+0000 is not storable; an empty id finds no row
                Self(if value.contains('\0') { String::new() } else { value })
            }

            /// Returns the 20 characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    // `accounts.id`
    /// A member, the `sub` of tokens.
    AccountId
);
id!(
    // `oauth_remote_connections.id`
    /// A connection to a remote server.
    RemoteConnectionId
);
id!(
    // `oauth_remote_authorisation_flows.id`
    /// An authorization flow of a remote connection.
    RemoteFlowId
);
id!(
    // `auth_resources.id`
    /// A resource beside the community's own API.
    ResourceId
);
id!(
    // `auth_issuers.id`
    /// A trusted issuer of identity assertions.
    IssuerId
);
id!(
    // `roles.id`
    /// A role.
    RoleId
);
id!(
    // `sessions.id`
    /// A browser session.
    SessionId
);
id!(
    // `oauth_clients.id`
    /// A client's row. Not the public `client_id`.
    ClientRowId
);
id!(
    // `auth_blocked_clients.id`
    /// A block of a client.
    BlockedClientId
);
id!(
    // `oauth_authorisation_requests.id`
    /// An authorization request that waits for a decision.
    AuthorizationRequestId
);
id!(
    // `oauth_authorisation_codes.id`
    /// An authorization code.
    AuthorizationCodeId
);
id!(
    // `oauth_device_authorisations.id`
    /// A device authorization.
    DeviceAuthorizationId
);
id!(
    // `oauth_refresh_tokens.id`
    /// A refresh token.
    RefreshTokenId
);
id!(
    /// A grant: an approval with all tokens through every rotation. The `gid` claim of access tokens.
    GrantId
);
id!(
    // `auth_consents.id`
    /// A remembered consent.
    ConsentId
);
id!(
    // `authentications.id`
    /// An access key.
    AccessKeyId
);
id!(
    // `auth_audit.id`
    /// An audit entry.
    AuditId
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of github.com/rs/xid, whose library makes Storyden's ids.
    #[test]
    fn the_form_is_that_of_xid() {
        let process = [0x60, 0xf4, 0x86, 0xe4, 0x28];
        assert_eq!(
            encode(0x4d88_e15b, process, 0x41_2dc9),
            "9m4e2mr0ui3e8a215n4g"
        );
        assert_eq!(encode(0, [0; 5], 0), "00000000000000000000");
        assert_eq!(
            encode(u32::MAX, [0xff; 5], u32::MAX),
            "vvvvvvvvvvvvvvvvvvvg"
        );
    }

    #[test]
    fn ids_of_a_process_differ_and_start_with_the_time() {
        let now = Timestamp::from_unix_seconds(0x4d88_e15b);
        let (first, second) = (xid(now), xid(now));
        assert_ne!(first, second);
        assert_eq!(first[..14], second[..14]);
        assert!(first.starts_with("9m4e2m"));
    }
}
