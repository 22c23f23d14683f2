//! Row ids: xids in the 20-character lower-case text form, with a type per noun.

/// Defines the id type of a noun.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, min_length = 20, max_length = 20)]
        pub struct $name(String);

        impl $name {
            /// Generates an id.
            #[must_use]
            pub fn generate() -> Self {
                Self(xid::new().to_string())
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
    /// A member: `accounts.id`, the `sub` of tokens.
    AccountId
);
id!(
    /// A connection to a remote server: `oauth_remote_connections.id`.
    RemoteConnectionId
);
id!(
    /// An authorization flow of a remote connection: `oauth_remote_authorisation_flows.id`.
    RemoteFlowId
);
id!(
    /// A role: `roles.id`.
    RoleId
);
id!(
    /// A browser session: `sessions.id`.
    SessionId
);
id!(
    /// A client's row: `oauth_clients.id`. Not the public `client_id`.
    ClientRowId
);
id!(
    /// An authorization request that waits for a decision: `oauth_authorisation_requests.id`.
    AuthorizationRequestId
);
id!(
    /// An authorization code: `oauth_authorisation_codes.id`.
    AuthorizationCodeId
);
id!(
    /// A device authorization: `oauth_device_authorisations.id`.
    DeviceAuthorizationId
);
id!(
    /// A refresh token: `oauth_refresh_tokens.id`.
    RefreshTokenId
);
id!(
    /// A grant: an approval with all tokens through every rotation. The `gid` claim of access tokens.
    GrantId
);
id!(
    /// An access key: `authentications.id`.
    AccessKeyId
);
id!(
    /// An audit entry: `auth_audit.id`.
    AuditId
);
