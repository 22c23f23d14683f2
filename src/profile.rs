//! The two profiles: what is answered, never what is granted.
//!
//! `standards` follows the RFCs. `storyden` keeps what a Storyden answers, to the letter, for clients
//! and frontends that were written against it. Every difference is one method here, and one row of
//! the table in `docs/storyden.md`. Suspension, scope limits, secret caps, banned redirect schemes
//! and single use hold in both.

use time::Duration;

/// Whose answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The RFCs'.
    Standards,
    /// Storyden's.
    Storyden,
}

/// Makes a method per difference, and the list of them.
macro_rules! differences {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        impl Profile {
            /// Every difference of the profile `storyden`: its name and what it does.
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
    /// Authorize goes in Storyden's order: what is malformed is refused here and first, who is not
    /// signed in goes to the bare login page and the request is forgotten, and a code challenge may be
    /// 43 to 128 unreserved characters.
    authorize_goes_in_storydens_order;
    /// Parameters are set into a redirect URI's query, which is then sorted; and there is no `iss`.
    redirects_are_rebuilt;
    /// A loopback redirect URI matches on its registered port alone.
    loopback_port_is_exact;
    /// White space of any kind separates scopes, and every fault of one is told in the same words.
    scope_is_split_on_white_space;
    /// Forms are read as Go reads them: the query too, the first of several, empty as given.
    forms_are_read_leniently;
    /// Parameters and the grant are looked at before the client's secret.
    parameters_come_before_the_client;
    /// Basic beside a client id or a secret in the body is `invalid_client` at the token endpoint, before
    /// anything else is looked at, and a broken header is ignored.
    basic_is_read_leniently;
    /// Any authentication method will do at the token endpoint, whichever the client chose.
    any_auth_method_will_do;
    /// The bearer scheme is `Bearer ` to the letter: this case, one space.
    bearer_is_read_to_the_letter;
    /// A device start refuses standard scopes that the client's list does not name.
    device_start_wants_listed_scopes;
    /// A consent request is validated before anybody is asked to sign in.
    consent_is_validated_first;
    /// `scope` on a refresh is passed over.
    refresh_ignores_scope;
    /// A repeated refresh is a theft at once, whatever the reuse window says.
    refresh_reuse_is_strict;
    /// A code that is used twice ends nothing.
    code_replay_is_forgiven;
    /// Access tokens have the type `JWT`, and any type, key id and missing `exp` is accepted.
    access_tokens_are_plain_jwts;
    /// Userinfo wants no `openid`, names an empty address, and refuses with a problem.
    userinfo_is_storydens;
    /// Userinfo alone asks for a bearer token when none came or the one that came is not good.
    only_userinfo_challenges;
    /// `HEAD` is another method everywhere, and so is `POST` at authorize and userinfo.
    methods_are_few;
    /// Only the token, registration and logout endpoints forbid to keep their answers, and the signing
    /// keys say nothing of it.
    no_store_is_rare;
    /// An issuer with a path has neither endpoints nor metadata below that path.
    issuer_path_is_not_served;
    /// A consent request that nobody made is told from one that is over.
    consent_tells_unknown_requests;
    /// A redirect URI that does not fit is refused in one sentence, which does not say where it differs.
    mismatches_are_not_explained;
    /// Every request counts against the budget of its address, and over it the answer is plain text.
    budget_covers_everything;
    /// `resource` is passed over: tokens are for Storyden's API.
    resource_is_passed_over;
    /// A client's metadata document gives it what it lists and no more, never a key or a device, and
    /// is refused in Storyden's words; one that cannot be read again serves no longer.
    client_documents_are_storydens;
    /// Remote connections are authorized without `resource`, may lead to this computer by plain http, and
    /// keep their tokens in the clear, unless set otherwise; a remote server that does not answer is 500.
    remote_connections_are_storydens;
    /// Registration takes web and loopback redirects and two grants alone, lets a client ask for no
    /// more than it registered, and answers a document it cannot read with a problem.
    registration_is_storydens;
    /// A registration may have every permission that is not privileged, when nothing else is set.
    registrations_may_write;
    /// The metadata documents leave out the endpoints that a Storyden has not: revocation,
    /// introspection and signing out are served and not named.
    documents_name_storydens_endpoints;
    /// The metadata documents leave out five members that a Storyden does not send:
    /// `response_modes_supported`, `claims_supported`, `claims_parameter_supported`,
    /// `request_parameter_supported` and `request_uri_parameter_supported`.
    documents_have_storydens_members;
    /// There are protected-resource metadata for every path, whatever is there.
    every_path_is_a_resource;
    /// One rule for cross-origin requests over every path: the known origins, with credentials.
    cors_is_one_rule;
    /// A valid session cookie decides, whatever bearer comes with it.
    cookie_comes_before_bearer;
    /// The session cookie is always `Secure` and names its domain.
    cookie_names_its_domain;
    /// An early poll counts as the last one, and the interval grows without end.
    early_polls_count;
    /// A device start deletes every expired device authorization, so late polls hear `invalid_grant`.
    device_start_deletes_expired;
    /// Administrators alone manage applications and refresh tokens of their own; standard scopes cannot
    /// be registered, names may be long, lists may repeat and stay `null`, and a scheme needs no dot.
    self_service_is_storydens;
    /// An access key that was just made says that it is not enabled, no name and any expiry will do, and
    /// nobody knows when it was changed.
    access_keys_are_storydens;
    /// A path's id is what its first twenty characters say.
    path_ids_are_cut;
    /// A client that an administrator sends is taken as sent where that harms nobody: grants need not
    /// fit its type, an account id that is none means no owner, no secret is made, a private-use
    /// scheme needs no dot, and an unknown scope is 403.
    admin_clients_are_taken_as_sent;
    /// The administrators' lists of clients, access keys and device authorizations are whole, in the order
    /// of the table, unless a page is asked for.
    admin_lists_are_whole;
    /// The administrators' list of device authorizations has user codes that can still be used.
    live_user_codes_are_listed;
    /// An administrator deletes a refresh token that is not there.
    unknown_refresh_tokens_are_deleted;
    /// Sign-in tells unknown handles (404) from wrong passwords (401), and knows no addresses.
    sign_in_tells_handles;
    /// Signing in sets the session cookie alone, no device cookie; signing out clears every cookie.
    sign_in_sets_one_cookie;
}

impl Profile {
    /// How long a code lives when nothing else is set (RFC 6749 §4.1.2 allows ten minutes).
    #[must_use]
    pub fn code_ttl(self) -> Duration {
        match self {
            Self::Standards => Duration::seconds(60),
            Self::Storyden => Duration::minutes(10),
        }
    }

    /// Whether clients may introduce themselves by a document when nothing else is set.
    #[must_use]
    pub fn documents_are_on(self) -> bool {
        self == Self::Standards
    }

    /// How long an approval lasts in all when nothing else is set; without end where there is none.
    #[must_use]
    pub fn grant_ttl(self) -> Option<Duration> {
        match self {
            Self::Standards => Some(Duration::days(180)),
            Self::Storyden => None,
        }
    }
}
