//! The two profiles: a profile changes responses, never grants.
//!
//! `standards` follows the RFCs. `storyden` gives exactly the responses of a Storyden, for clients and
//! frontends written against a Storyden. `OAUTH_PROFILE` is resolved into [`Policies`] when the settings
//! are read; all other code sees only the values. Suspension, scope limits, secret caps, banned redirect
//! schemes and single use hold in both profiles.

mod policies;

use time::Duration;

use crate::oauth::access_token::AccessTokenFormat;
use crate::oauth::client_document::{DocumentPolicy, IdComparison};
use crate::oauth::client_metadata::{RegistrationErrors, RegistrationPolicy};
use crate::oauth::client_rules::MemberClientPolicy;
use crate::oauth::device_grant::EarlyPolls;
use crate::oauth::dpop::DpopSupport;
use crate::oauth::error_value::ErrorTexts;
use crate::oauth::id_token::ClaimPolicy;
use crate::oauth::permission::PermissionSet;
use crate::oauth::redirect_uri::{LoopbackMatching, MismatchError, RedirectUriPolicy};
use crate::oauth::scope::ScopeSyntax;
pub use policies::*;

/// Defines [`Policies`] with the values of both profiles, and the list of the differences.
macro_rules! policies {
    ($(
        $(#[doc = $area_doc:literal])+
        $area:ident: $policy:ident {$(
            $(#[doc = $doc:literal])+
            $value:ident: $standards:expr, $storyden:expr;
        )+}
    )+) => {
        /// The behaviour of this server where the profiles differ.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Policies {
            $($(#[doc = $area_doc])+ pub $area: $policy,)+
        }

        impl Policies {
            /// The RFCs.
            pub const STANDARDS: Self = Self {
                $($area: $policy { $($value: $standards,)+ },)+
            };

            /// Storyden.
            pub const STORYDEN: Self = Self {
                $($area: $policy { $($value: $storyden,)+ },)+
            };

            /// Every difference of the profile `storyden`: name of the value, and description.
            pub const DIFFERENCES: &[(&str, &str)] = &[$($(
                (
                    concat!(stringify!($area), ".", stringify!($value)),
                    concat!($($doc),+),
                ),
            )+)+];
        }
    };
}

// Each comment describes the profile `storyden`. The values: `standards`, then `storyden`.
policies! {
    /// Values of settings that are not set.
    defaults: Defaults {
        /// An authorization code expires after 10 minutes, unless configured.
        code_ttl: Duration::seconds(60), Duration::minutes(10);
        /// An approval does not expire, unless configured.
        grant_ttl: Some(Duration::days(180)), None;
        /// Client ID metadata documents are disabled, unless configured.
        client_documents_enabled: true, false;
        /// Pushed and signed authorization requests are disabled, unless configured.
        pushed_requests_enabled: true, false;
        /// A registration may have every unprivileged permission, unless configured.
        registration_permissions: PermissionSet::READING, PermissionSet::UNPRIVILEGED;
        /// No private-use scheme without a dot may be registered, unless configured.
        private_use_schemes: &["claude", "cursor", "vscode", "vscode-insiders", "warp", "windsurf"], &[];
        /// Remote servers may be on this computer, also by plain http, unless configured.
        remote_loopback_allowed: false, true;
        /// Tokens of remote connections are stored unencrypted, unless configured.
        remote_tokens_unencrypted: false, true;
    }
    /// Syntax of request parameters.
    requests: RequestPolicy {
        /// Forms are read as Go reads forms: the URL's query counts too, the first of repeated
        /// parameters counts, and an empty value stays empty.
        form_syntax: FormSyntax::Strict, FormSyntax::Go;
        /// White space of any kind separates scopes, an unknown scope is an error, and every fault of a
        /// scope has the same error text.
        scope_syntax: ScopeSyntax::Spaces, ScopeSyntax::WhiteSpace;
        /// A request without `scope` requests no scope.
        no_default_scope: false, true;
        /// An id in a path is cut to twenty characters.
        path_ids_truncated: false, true;
    }
    /// Authentication of clients.
    client_authentication: ClientAuthenticationPolicy {
        /// Basic together with a client id or a secret in the body is `invalid_client` at the token
        /// endpoint, before any other check.
        two_methods: TwoMethods::InvalidRequest, TwoMethods::InvalidClient;
        /// A malformed Basic header is ignored.
        malformed_basic_ignored: false, true;
        /// A request without a client id has the description "Client not found".
        missing_client_error: "Missing client_id", "Client not found";
        /// The token endpoint accepts any authentication method, regardless of the client's choice.
        any_method_accepted: false, true;
    }
    /// Authentication of callers by cookie or bearer.
    callers: CallerPolicy {
        /// The bearer scheme is exactly `Bearer `: this case, a single space.
        bearer_scheme: BearerScheme::AnyCase, BearerScheme::Exact;
        /// A valid session cookie wins over any bearer token.
        cookie_first: false, true;
    }
    /// The authorization endpoint.
    authorize: AuthorizePolicy {
        /// Authorize checks in Storyden's order: a malformed request is rejected here, before any
        /// redirect, a guest is sent to the bare login page and the request is forgotten, and a code
        /// challenge may be 43 to 128 unreserved characters.
        request_validated_first: false, true;
        /// Parameters are set into a redirect URI's query, which is then sorted.
        response_query: ResponseQuery::Appended, ResponseQuery::Sorted;
        /// Authorization responses have no `iss`, and the metadata do not promise it.
        iss_omitted: false, true;
    }
    /// Matching of redirect URIs.
    redirect_uris: RedirectUriPolicy {
        /// A loopback redirect URI matches only with the registered port and the registered final
        /// slash.
        loopback: LoopbackMatching::Lenient, LoopbackMatching::Exact;
        /// A redirect URI mismatch has a single error text, without the part that differs.
        mismatch_error: MismatchError::Detailed, MismatchError::Generic;
    }
    /// The consent endpoints.
    consent: ConsentPolicy {
        /// A consent request is validated before a guest is asked to sign in.
        request_validated_first: false, true;
        /// An unknown consent request has a different error than a finished request.
        unknown_requests_distinguished: false, true;
        /// Every authorization request is shown on the consent page, and no approval is remembered.
        never_remembered: false, true;
    }
    /// The token endpoint.
    token_endpoint: TokenEndpointPolicy {
        /// Parameters and the grant are checked before the client's secret.
        parameters_checked_first: false, true;
        /// `resource` is ignored: tokens are for Storyden's API.
        resource_ignored: false, true;
        /// `scope` on a refresh is ignored.
        refresh_scope_ignored: false, true;
        /// A replay of a code revokes nothing.
        code_replay: CodeReplay::RevokesGrant, CodeReplay::Rejected;
    }
    /// Issued tokens.
    tokens: TokenPolicy {
        /// Access tokens have the type `JWT`; any type, any key id and a missing `exp` are accepted.
        access_token_format: AccessTokenFormat::Rfc9068, AccessTokenFormat::PlainJwt;
        /// The `email` claim is empty if the account has no address.
        absent_email_empty: false, true;
        /// ID tokens have no `acr` and have the e-mail address although there is an access token, and
        /// `profile` releases the name and the handle alone.
        claims: ClaimPolicy::Standard, ClaimPolicy::Storyden;
        /// A DPoP proof is ignored, the authentication scheme `DPoP` is unknown, and the metadata do not
        /// name DPoP.
        dpop: DpopSupport::Supported, DpopSupport::Ignored;
        /// A repeated refresh is treated as theft at once, regardless of the reuse window.
        reuse_window_ignored: false, true;
        /// One RS256 key signs and does not rotate, and the key set may be cached for an hour.
        single_key: false, true;
    }
    /// The device flow.
    device: DevicePolicy {
        /// A device start ignores HTTP Basic.
        start_ignores_basic: false, true;
        /// A device start rejects standard scopes that the client's list does not name.
        start_requires_listed_scopes: false, true;
        /// A device start deletes every expired device authorization, so late polls get
        /// `invalid_grant`.
        start_deletes_expired: false, true;
        /// A poll that is early by any time counts as the last poll, and the interval grows without
        /// limit.
        early_polls: EarlyPolls::Ignored, EarlyPolls::Counted;
    }
    /// The userinfo endpoint.
    userinfo: UserinfoPolicy {
        /// Userinfo does not require `openid`.
        openid_optional: false, true;
        /// Userinfo rejects a token with a problem, and an access key with 403.
        errors_are_problems: false, true;
    }
    /// Rules for the metadata of dynamically registered clients.
    registration: RegistrationPolicy {
        /// A part of a registration that cannot be accepted is an error.
        faults_rejected: false, true;
        /// A member of a registration that is `null` is an error.
        null_rejected: false, true;
        /// Registration ignores keys, post-logout redirect URIs, contacts, software ids, signature algorithms,
        /// `dpop_bound_access_tokens` and demands about authorization requests, and `private_key_jwt` is not
        /// supported.
        basic_members_only: false, true;
        /// Registration accepts only the code and the refresh grant.
        device_grant_rejected: false, true;
        /// Registration accepts only web and loopback redirect URIs, and trims white space around them.
        web_redirects_only: false, true;
        /// Registration does not check `application_type`.
        application_type_unchecked: false, true;
        /// A client is limited to the registered scope.
        limited_to_scope: false, true;
        /// Rejected metadata have Storyden's error texts.
        errors: RegistrationErrors::Detailed, RegistrationErrors::Storyden;
    }
    /// The registration endpoint.
    registration_endpoint: RegistrationEndpointPolicy {
        /// A malformed registration is answered with a problem, also while registration is disabled.
        malformed_is_problem: false, true;
        /// A registration gets no registration access token and cannot be managed.
        management_disabled: false, true;
        /// The response has `client_secret_expires_at` for a client without a secret too.
        secret_expiry_always_sent: false, true;
    }
    /// Rules for client ID metadata documents.
    client_documents: DocumentPolicy {
        /// The `client_id` of a document is trimmed, and compared with the URL with a lower-case scheme.
        id_comparison: IdComparison::Exact, IdComparison::Trimmed;
        /// A member of the wrong type in a metadata document, or a redirect URI that cannot be accepted,
        /// is an error.
        faults_rejected: false, true;
        /// `client_secret_expires_at` may be 0 in a document.
        zero_secret_expiry_accepted: false, true;
        /// A client from a metadata document cannot authenticate with a key.
        keys_rejected: false, true;
        /// A client from a metadata document cannot use the device grant.
        device_grant_rejected: false, true;
        /// A client from a metadata document gets only the listed scopes, and refresh tokens only if
        /// `offline_access` is listed.
        limited_to_scope: false, true;
        /// The name in a metadata document is not checked.
        name_unchecked: false, true;
    }
    /// Fetching of client ID metadata documents.
    document_fetch: DocumentFetchPolicy {
        /// A metadata document that cannot be fetched again is no longer used.
        stale_rejected: false, true;
        /// A metadata document may repeat a member.
        repeated_members_accepted: false, true;
        /// The fetch of a metadata document may take twice the usual timeout.
        timeout_factor: 1, 2;
        /// A rejected metadata document has Storyden's error texts.
        storyden_errors: false, true;
    }
    /// A member's own applications and refresh tokens.
    self_service: SelfServicePolicy {
        /// Only administrators manage own applications and refresh tokens.
        administrators_only: false, true;
        /// A change of another member's application is a 400 without a body.
        foreign_change_error_empty: false, true;
        /// A change of redirect URIs is not checked against the grants of the application.
        changed_redirects_unchecked: false, true;
        /// An application is shown without `pkce_required`, signature algorithms, application type and pages, and
        /// bodies with the last two have no effect.
        added_members_omitted: false, true;
        /// Redirect URIs that the creation of an application omitted are `null`.
        omitted_redirect_uris: OmittedList::Empty, OmittedList::Null;
    }
    /// Rules for a member's own applications.
    member_clients: MemberClientPolicy {
        /// The name of a member's application may be long, and is not trimmed.
        long_names_accepted: false, true;
        /// Standard scopes cannot be registered for a member's application.
        standard_scopes_rejected: false, true;
        /// The lists of a member's application may repeat values.
        repeats_kept: false, true;
        /// A redirect URI of a member's application may have a private-use scheme without a dot.
        scheme_without_dot_accepted: false, true;
        /// `pkce_required` of a member's application has no effect: PKCE is always required.
        pkce_choice_ignored: false, true;
        /// `token_endpoint_auth_method` of a member's application is ignored.
        auth_method_ignored: false, true;
        /// A member's application may have the refresh grant alone, and the device grant if
        /// confidential.
        all_grant_combinations_accepted: false, true;
    }
    /// Access keys.
    access_keys: AccessKeyPolicy {
        /// Any name and any expiry of an access key are accepted.
        input_unchecked: false, true;
        /// A new access key is shown as not enabled.
        new_keys_shown_disabled: false, true;
        /// The time of an access key's last change is a constant.
        updated_at: UpdatedAt::Created, UpdatedAt::Zero;
    }
    /// Sign-in and sign-out.
    sign_in: SignInPolicy {
        /// Sign-in distinguishes unknown handles (404) from wrong passwords (401), and accepts no e-mail
        /// addresses.
        unknown_handles_distinguished: false, true;
        /// Sign-in sets only the session cookie, no device cookie.
        device_cookie_disabled: false, true;
        /// A sign-in replaces the account that was signed in in the browser.
        single_account: false, true;
        /// Sign-out clears every cookie.
        sign_out_clears_cookies: false, true;
    }
    /// The session cookie.
    session_cookie: SessionCookiePolicy {
        /// The session cookie is always `Secure`.
        always_secure: false, true;
        /// The session cookie always has a `Domain`.
        always_with_domain: false, true;
        /// The session cookie is read under the name `storyden-session` alone.
        storyden_name_only: false, true;
    }
    /// The administration API.
    admin: AdminPolicy {
        /// A client sent by an administrator is stored as sent where harmless: grants need not fit the
        /// client type, a malformed account id means no owner, no secret is made, a private-use scheme
        /// needs no dot, and an unknown scope is 403.
        client_input: ClientInput::Checked, ClientInput::AsSent;
        /// The administrators' lists of clients, access keys and device authorizations are whole, in
        /// the order of the table, unless a page is requested.
        lists_unpaged: false, true;
        /// The administrators' list of device authorizations shows user codes that are still valid.
        live_user_codes_listed: false, true;
        /// An administrator's deletion of an unknown refresh token succeeds.
        unknown_token_deletion_succeeds: false, true;
    }
    /// Methods, paths and headers of all responses.
    responses: ResponsePolicy {
        /// `HEAD` is a method that no path supports, and `POST` is not supported at authorize and
        /// userinfo.
        methods: Methods::Standard, Methods::Storyden;
        /// Only the token, registration and logout endpoints send `no-store`, and the key set has no
        /// cache header.
        no_store: NoStore::Private, NoStore::Storyden;
        /// Only userinfo sends a bearer challenge for a missing or invalid token.
        challenges: Challenges::All, Challenges::UserinfoOnly;
        /// A single CORS rule applies to every path: known origins, with credentials.
        cors: Cors::PerGroup, Cors::Global;
        /// An issuer with a path has neither endpoints nor metadata below that path.
        issuer_path_not_served: false, true;
        /// A metadata document is not found at its path with a final or a doubled slash, except the one
        /// of the protected resource.
        final_slash_not_served: false, true;
        /// The errors of the token endpoint and of a device start have Storyden's texts, and no error has
        /// an `error_uri`.
        error_texts: ErrorTexts::Explained, ErrorTexts::Storyden;
    }
    /// The metadata documents.
    metadata: MetadataPolicy {
        /// The metadata documents leave out the endpoints that a Storyden lacks: revocation,
        /// introspection and sign-out are served but not named.
        storyden_endpoints_only: false, true;
        /// The metadata documents leave out seven members that a Storyden does not send:
        /// `response_modes_supported`, `userinfo_signing_alg_values_supported`, `acr_values_supported`,
        /// `claims_supported`, `claims_parameter_supported`, `request_parameter_supported` and
        /// `request_uri_parameter_supported`.
        storyden_members_only: false, true;
        /// Every path has protected-resource metadata, whether the path exists or not.
        any_path_is_resource: false, true;
    }
    /// The rate limit per address.
    rate_limit: RateLimitPolicy {
        /// Every request counts against the rate limit of the address.
        every_request_charged: false, true;
        /// The 429 of the rate limit is plain text.
        plain_text_error: false, true;
    }
    /// Connections to remote servers.
    remote: RemotePolicy {
        /// The client name of this server at remote servers is "Storyden".
        client_name: None, Some("Storyden");
        /// Remote connections are authorized without `resource`.
        resource_omitted: false, true;
        /// Remote connections are authorized without `prompt`, also with `offline_access`.
        consent_prompt_omitted: false, true;
        /// The query of a URL is not part of the remote resource.
        resource_query_ignored: false, true;
        /// Mode `manual` without a client id uses the URL of this server's metadata document.
        manual_uses_own_client_id: false, true;
        /// An error response of a remote server is rejected at the callback.
        error_callbacks_rejected: false, true;
        /// A connection requests only the scope that an administrator gave.
        scope_as_given: false, true;
        /// The granted scope of a connection replaces the requested scope.
        granted_scope_replaces_requested: false, true;
        /// Registrations at remote servers have fixed metadata, and a server that supports documents gets a document.
        registration_fixed: false, true;
        /// A registration that a remote server rejects is not replaced.
        registration_never_renewed: false, true;
        /// A failed authorization ends the use of earlier tokens of the connection.
        failure_ends_connection: false, true;
        /// A remote server that does not respond is a 500.
        failure_status: RemoteFailureStatus::Unavailable, RemoteFailureStatus::Internal;
    }
}

impl Policies {
    /// Returns the differences in force: none in the profile `standards`.
    #[must_use]
    pub fn differences(&self) -> &'static [(&'static str, &'static str)] {
        if *self == Self::STANDARDS {
            &[]
        } else {
            Self::DIFFERENCES
        }
    }
}
