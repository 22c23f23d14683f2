//! The two profiles: a profile changes responses, never grants.
//!
//! `standards` follows the RFCs. `storyden` gives exactly the responses of a Storyden, for clients and
//! frontends written against a Storyden. Each difference is a method here and a row of the table in
//! `docs/storyden.md`. Suspension, scope limits, secret caps, banned redirect schemes and single use
//! hold in both.

use time::Duration;

/// The behaviour that responses follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The RFCs.
    Standards,
    /// Storyden.
    Storyden,
}

/// Defines a method per difference, and the list of the differences.
macro_rules! differences {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        impl Profile {
            /// Every difference of the profile `storyden`: method name and description.
            pub const DIFFERENCES: &[(&str, &str)] =
                &[$((stringify!($name), concat!($($doc),+)),)*];

            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(self) -> bool {
                    self == Self::Storyden
                }
            )*
        }
    };
}

differences! {
    /// Authorize checks in Storyden's order: a malformed request is refused here, before any redirect,
    /// a guest is sent to the bare login page and the request is forgotten, and a code challenge may be
    /// 43 to 128 unreserved characters.
    authorize_goes_in_storydens_order;
    /// Parameters are set into a redirect URI's query, which is then sorted; there is no `iss`.
    redirects_are_rebuilt;
    /// A loopback redirect URI matches only with the registered port.
    loopback_port_is_exact;
    /// White space of any kind separates scopes, and every fault of a scope has the same error text.
    scope_is_split_on_white_space;
    /// Forms are read as Go reads forms: the URL's query counts too, the first of repeated parameters
    /// counts, and an empty value stays empty.
    forms_are_read_leniently;
    /// Parameters and the grant are checked before the client's secret.
    parameters_come_before_the_client;
    /// Basic together with a client id or a secret in the body is `invalid_client` at the token
    /// endpoint, before any other check, and a malformed Basic header is ignored.
    basic_is_read_leniently;
    /// The token endpoint accepts any authentication method, regardless of the client's choice.
    any_auth_method_will_do;
    /// The bearer scheme is exactly `Bearer `: this case, a single space.
    bearer_is_read_to_the_letter;
    /// A device start refuses standard scopes that the client's list does not name.
    device_start_wants_listed_scopes;
    /// A consent request is validated before a guest is asked to sign in.
    consent_is_validated_first;
    /// `scope` on a refresh is ignored.
    refresh_ignores_scope;
    /// A repeated refresh is treated as theft at once, regardless of the reuse window.
    refresh_reuse_is_strict;
    /// A replay of a code revokes nothing.
    code_replay_is_forgiven;
    /// Access tokens have the type `JWT`; any type, any key id and a missing `exp` are accepted.
    access_tokens_are_plain_jwts;
    /// Userinfo does not require `openid`, returns an empty address if there is no address, and refuses
    /// with a problem.
    userinfo_is_storydens;
    /// Only userinfo sends a bearer challenge for a missing or invalid token.
    only_userinfo_challenges;
    /// `HEAD` is a method that no path supports, and `POST` is not supported at authorize and userinfo.
    methods_are_few;
    /// Only the token, registration and logout endpoints send `no-store`, and the key set has no cache
    /// header.
    no_store_is_rare;
    /// An issuer with a path has neither endpoints nor metadata below that path.
    issuer_path_is_not_served;
    /// An unknown consent request has a different error than a request that is over.
    consent_tells_unknown_requests;
    /// A redirect URI mismatch has a single error text, without the part that differs.
    mismatches_are_not_explained;
    /// Every request counts against the rate limit of the address, and the 429 is plain text.
    budget_covers_everything;
    /// `resource` is ignored: tokens are for Storyden's API.
    resource_is_passed_over;
    /// A client from a metadata document gets only the listed scopes, neither a key nor the device
    /// grant, and is refused in Storyden's words; a document that cannot be fetched again is no longer
    /// used.
    client_documents_are_storydens;
    /// Remote connections are authorized without `resource` and, unless configured, may lead to this
    /// computer by plain http and store tokens unencrypted; a remote server that does not answer is a
    /// 500.
    remote_connections_are_storydens;
    /// Registration accepts only web and loopback redirects and two grants, limits a client to the
    /// registered scope, and answers an unreadable document with a problem.
    registration_is_storydens;
    /// A registration may have every unprivileged permission by default.
    registrations_may_write;
    /// The metadata documents leave out the endpoints that a Storyden lacks: revocation, introspection
    /// and sign-out are served but not named.
    documents_name_storydens_endpoints;
    /// The metadata documents leave out five members that a Storyden does not send:
    /// `response_modes_supported`, `claims_supported`, `claims_parameter_supported`,
    /// `request_parameter_supported` and `request_uri_parameter_supported`.
    documents_have_storydens_members;
    /// Every path has protected-resource metadata, whether the path exists or not.
    every_path_is_a_resource;
    /// A single CORS rule covers every path: the known origins, with credentials.
    cors_is_one_rule;
    /// A valid session cookie wins over any bearer token.
    cookie_comes_before_bearer;
    /// The session cookie is always `Secure` and has a `Domain`.
    cookie_names_its_domain;
    /// An early poll counts as the last poll, and the interval grows without limit.
    early_polls_count;
    /// A device start deletes every expired device authorization, so late polls get `invalid_grant`.
    device_start_deletes_expired;
    /// Only administrators manage own applications and refresh tokens; standard scopes cannot be
    /// registered, names may be long, lists may repeat values and stay `null`, and a scheme needs no
    /// dot.
    self_service_is_storydens;
    /// A new access key is shown as not enabled, any name and any expiry are accepted, and the time of
    /// the last change is a constant.
    access_keys_are_storydens;
    /// An id in a path is cut to twenty characters.
    path_ids_are_cut;
    /// A client sent by an administrator is taken as sent where harmless: grants need not fit the
    /// client type, a malformed account id means no owner, no secret is made, a private-use scheme
    /// needs no dot, and an unknown scope is 403.
    admin_clients_are_taken_as_sent;
    /// The administrators' lists of clients, access keys and device authorizations are whole, in the
    /// order of the table, unless a page is requested.
    admin_lists_are_whole;
    /// The administrators' list of device authorizations shows user codes that are still valid.
    live_user_codes_are_listed;
    /// An administrator's deletion of an unknown refresh token succeeds.
    unknown_refresh_tokens_are_deleted;
    /// Sign-in distinguishes unknown handles (404) from wrong passwords (401), and accepts no e-mail
    /// addresses.
    sign_in_tells_handles;
    /// Sign-in sets only the session cookie, no device cookie; sign-out clears every cookie.
    sign_in_sets_one_cookie;
}

impl Profile {
    /// Returns the default lifetime of an authorization code (RFC 6749 §4.1.2 recommends at most ten
    /// minutes).
    #[must_use]
    pub fn code_ttl(self) -> Duration {
        match self {
            Self::Standards => Duration::seconds(60),
            Self::Storyden => Duration::minutes(10),
        }
    }

    /// Returns true if client ID metadata documents are enabled by default.
    #[must_use]
    pub fn documents_are_on(self) -> bool {
        self == Self::Standards
    }

    /// Returns the default lifetime of an approval, refreshes included; `None` is unlimited.
    #[must_use]
    pub fn grant_ttl(self) -> Option<Duration> {
        match self {
            Self::Standards => Some(Duration::days(180)),
            Self::Storyden => None,
        }
    }
}
