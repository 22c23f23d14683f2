//! The policies that are consumed outside `oauth`: plain values, without decisions.
//!
//! Policies of the protocol itself are types of `oauth`, next to the function that takes the value.

use time::Duration;

use crate::oauth::access_token::AccessTokenFormat;
use crate::oauth::device_grant::EarlyPolls;
use crate::oauth::dpop::DpopSupport;
use crate::oauth::error_value::ErrorTexts;
use crate::oauth::id_token::ClaimPolicy;
use crate::oauth::permission::PermissionSet;
use crate::oauth::scope::ScopeSyntax;

/// Values of settings that are not set.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent difference"
)]
pub struct Defaults {
    /// Lifetime of an authorization code (RFC 6749 §4.1.2 recommends at most ten minutes).
    pub code_ttl: Duration,
    /// Lifetime of an approval, refreshes included; `None` is unlimited.
    pub grant_ttl: Option<Duration>,
    /// True if client ID metadata documents are enabled.
    pub client_documents_enabled: bool,
    /// True if authorization requests may be pushed (RFC 9126) and signed (RFC 9101).
    pub pushed_requests_enabled: bool,
    /// Permissions allowed to dynamically registered clients.
    pub registration_permissions: PermissionSet,
    /// Private-use schemes without a dot that may be registered.
    pub private_use_schemes: &'static [&'static str],
    /// True if remote servers may be on loopback addresses, also by plain http.
    pub remote_loopback_allowed: bool,
    /// True if tokens of remote connections are stored unencrypted.
    pub remote_tokens_unencrypted: bool,
}

/// Syntax of request parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestPolicy {
    /// Syntax of form bodies.
    pub form_syntax: FormSyntax,
    /// Syntax of `scope` parameters.
    pub scope_syntax: ScopeSyntax,
    /// True if a request without `scope` requests no scope, also with a registered scope.
    pub no_default_scope: bool,
    /// True if ids in paths are cut to the length of an id.
    pub path_ids_truncated: bool,
}

/// The syntax of form bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormSyntax {
    /// RFC 6749 §3.2: parameters in the body, each at most once.
    Strict,
    /// Go's `http.Request.ParseForm`: the URL's query counts too, and the first of repeated parameters
    /// counts.
    Go,
}

/// Authentication of clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientAuthenticationPolicy {
    /// Error for HTTP Basic together with credentials in the body.
    pub two_methods: TwoMethods,
    /// True if a malformed Basic header counts as absent.
    pub malformed_basic_ignored: bool,
    /// Error description of a request without a client id.
    pub missing_client_error: &'static str,
    /// True if a client may use any method, regardless of the registered method.
    pub any_method_accepted: bool,
}

/// The error for two client authentication methods in one request (RFC 6749 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoMethods {
    /// `invalid_request`; an equal client id in the body is allowed.
    InvalidRequest,
    /// `invalid_client`, at the token endpoint before all other checks.
    InvalidClient,
}

/// Authentication of callers by cookie or bearer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallerPolicy {
    /// Syntax of the bearer scheme.
    pub bearer_scheme: BearerScheme,
    /// True if a valid session cookie wins over a bearer.
    pub cookie_first: bool,
}

/// The syntax of the `Bearer` scheme in an `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerScheme {
    /// Case-insensitive (RFC 9110 §11.1).
    AnyCase,
    /// Exactly `Bearer`, and a single space.
    Exact,
}

/// The authorization endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuthorizePolicy {
    /// True if the request is validated before the client, and errors are not redirected.
    pub request_validated_first: bool,
    /// Form of the query of a redirect to the client.
    pub response_query: ResponseQuery,
    /// True if responses have no `iss` parameter (RFC 9207).
    pub iss_omitted: bool,
}

/// The query of a redirect to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseQuery {
    /// The registered query, byte for byte, and the response parameters after it.
    Appended,
    /// Registered and response parameters, sorted by name.
    Sorted,
}

/// The consent endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConsentPolicy {
    /// True if a request is validated before authentication.
    pub request_validated_first: bool,
    /// True if an unknown request has another error than a finished request.
    pub unknown_requests_distinguished: bool,
    /// True if approvals are never remembered.
    pub never_remembered: bool,
}

/// The token endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenEndpointPolicy {
    /// True if parameters and grant are checked before the client's secret.
    pub parameters_checked_first: bool,
    /// True if `resource` (RFC 8707) is ignored.
    pub resource_ignored: bool,
    /// True if `scope` of a refresh is ignored.
    pub refresh_scope_ignored: bool,
    /// Consequence of a replayed authorization code.
    pub code_replay: CodeReplay,
}

/// The consequence of a replayed authorization code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeReplay {
    /// The grant is revoked (RFC 6749 §4.1.2).
    RevokesGrant,
    /// The request is rejected, without further effect.
    Rejected,
}

/// Issued tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenPolicy {
    /// Format of access tokens.
    pub access_token_format: AccessTokenFormat,
    /// True if an account without an e-mail address has an empty `email` claim.
    pub absent_email_empty: bool,
    /// The claims in ID tokens and userinfo.
    pub claims: ClaimPolicy,
    /// Support of DPoP (RFC 9449).
    pub dpop: DpopSupport,
    /// True if the reuse window of refresh tokens is ignored.
    pub reuse_window_ignored: bool,
    /// True if one RS256 key signs and does not rotate.
    pub single_key: bool,
}

/// The device flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DevicePolicy {
    /// True if a device start ignores HTTP Basic.
    pub start_ignores_basic: bool,
    /// True if a device start rejects standard scopes that the client does not list.
    pub start_requires_listed_scopes: bool,
    /// True if a device start deletes expired device authorizations.
    pub start_deletes_expired: bool,
    /// Effect of polls before the interval is over.
    pub early_polls: EarlyPolls,
}

/// The userinfo endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserinfoPolicy {
    /// True if the scope `openid` is not required.
    pub openid_optional: bool,
    /// True if rejections are problems, and a valid access key is 403.
    pub errors_are_problems: bool,
}

/// The registration endpoint, beside the rules for metadata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegistrationEndpointPolicy {
    /// True if a malformed document is answered with a problem.
    pub malformed_is_problem: bool,
    /// True if registrations cannot be managed (RFC 7592).
    pub management_disabled: bool,
    /// True if `client_secret_expires_at` is present without a secret too.
    pub secret_expiry_always_sent: bool,
}

/// Fetching of client ID metadata documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DocumentFetchPolicy {
    /// True if an expired snapshot is not used while the host does not respond.
    pub stale_rejected: bool,
    /// True if repeated members of a document are accepted.
    pub repeated_members_accepted: bool,
    /// Multiple of the usual timeout.
    pub timeout_factor: u32,
    /// True if errors have Storyden's texts.
    pub storyden_errors: bool,
}

/// A member's own applications and refresh tokens, beside the rules for clients.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent difference"
)]
pub struct SelfServicePolicy {
    /// True if only administrators have access.
    pub administrators_only: bool,
    /// True if a change of another member's application has an empty error body.
    pub foreign_change_error_empty: bool,
    /// True if a change of redirect URIs is not checked against the grants.
    pub changed_redirects_unchecked: bool,
    /// True if an application is shown without `pkce_required`, signature algorithms, application type and pages, and
    /// bodies with the last two have no effect.
    pub added_members_omitted: bool,
    /// Representation of redirect URIs that a request omitted.
    pub omitted_redirect_uris: OmittedList,
}

/// The JSON of a list that the creating request omitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OmittedList {
    /// `[]`.
    Empty,
    /// `null`.
    Null,
}

/// Access keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccessKeyPolicy {
    /// True if names and times of expiry are not checked.
    pub input_unchecked: bool,
    /// True if the response to a creation has `enabled: false`.
    pub new_keys_shown_disabled: bool,
    /// Value of `updatedAt`.
    pub updated_at: UpdatedAt,
}

/// The value of `updatedAt` of an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdatedAt {
    /// The time of creation.
    Created,
    /// Go's zero time.
    Zero,
}

/// Sign-in and sign-out.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent difference"
)]
pub struct SignInPolicy {
    /// True if an unknown handle has another error than a wrong password.
    pub unknown_handles_distinguished: bool,
    /// True if sign-in sets no device cookie.
    pub device_cookie_disabled: bool,
    /// True if a browser holds the session of a single account.
    pub single_account: bool,
    /// True if sign-out deletes every cookie of the site.
    pub sign_out_clears_cookies: bool,
}

/// The session cookie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionCookiePolicy {
    /// True if cookies are `Secure` on plain http too.
    pub always_secure: bool,
    /// True if the cookie always has a `Domain`.
    pub always_with_domain: bool,
    /// True if only Storyden's name of the cookie is read, and sign-out clears only that cookie.
    pub storyden_name_only: bool,
}

/// The administration API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdminPolicy {
    /// Validation of clients.
    pub client_input: ClientInput,
    /// True if lists are whole unless a page is requested.
    pub lists_unpaged: bool,
    /// True if valid user codes are listed.
    pub live_user_codes_listed: bool,
    /// True if the deletion of an unknown refresh token succeeds.
    pub unknown_token_deletion_succeeds: bool,
}

/// The validation of clients sent by administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientInput {
    /// Every member and every combination is checked.
    Checked,
    /// Harmless members are stored as sent.
    AsSent,
}

/// Methods, paths and headers of all responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponsePolicy {
    /// The methods that paths support.
    pub methods: Methods,
    /// The responses with `no-store`.
    pub no_store: NoStore,
    /// The operations with a bearer challenge.
    pub challenges: Challenges,
    /// The CORS rules.
    pub cors: Cors,
    /// True if an issuer's path has no routes.
    pub issuer_path_not_served: bool,
    /// True if a metadata document is not found at its path with a final or a doubled slash.
    pub final_slash_not_served: bool,
    /// The error descriptions of the token endpoint and of a device start.
    pub error_texts: ErrorTexts,
}

/// The methods that paths support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// `HEAD` for reads without side effects; `POST` at authorize and userinfo.
    Standard,
    /// No `HEAD`, no `POST` at authorize and userinfo, and no `Allow` of a 405 except below
    /// `/.well-known`.
    Storyden,
}

/// The responses with `no-store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStore {
    /// Every response with secrets or personal data.
    Private,
    /// The token, registration and logout endpoints.
    Storyden,
}

/// The operations with a bearer challenge (RFC 6750 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenges {
    /// Every operation that accepts a bearer.
    All,
    /// Userinfo.
    UserinfoOnly,
}

/// The CORS rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors {
    /// A rule per route group.
    PerGroup,
    /// A single rule for all paths.
    Global,
}

/// The metadata documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetadataPolicy {
    /// True if endpoints that a Storyden lacks are left out.
    pub storyden_endpoints_only: bool,
    /// True if members that a Storyden does not send are left out.
    pub storyden_members_only: bool,
    /// True if every path has protected-resource metadata.
    pub any_path_is_resource: bool,
}

/// The rate limit per address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimitPolicy {
    /// True if no request is free.
    pub every_request_charged: bool,
    /// True if the 429 is plain text.
    pub plain_text_error: bool,
}

/// Connections to remote servers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent difference"
)]
pub struct RemotePolicy {
    /// Client name of this server; `None` for the host of the web address.
    pub client_name: Option<&'static str>,
    /// True if `resource` (RFC 8707) is not sent.
    pub resource_omitted: bool,
    /// True if `prompt=consent` is not sent with `offline_access`.
    pub consent_prompt_omitted: bool,
    /// True if the query of a resource URL is not part of the resource.
    pub resource_query_ignored: bool,
    /// True if mode `manual` uses the client id of this server if no other is given.
    pub manual_uses_own_client_id: bool,
    /// True if error responses of a remote server are rejected at the callback.
    pub error_callbacks_rejected: bool,
    /// True if only the scope that an administrator gave is requested.
    pub scope_as_given: bool,
    /// True if the granted scope replaces the requested scope.
    pub granted_scope_replaces_requested: bool,
    /// True if registrations do not depend on the metadata of the server.
    pub registration_fixed: bool,
    /// True if a rejected registration is not replaced.
    pub registration_never_renewed: bool,
    /// True if a failed authorization ends the use of earlier tokens.
    pub failure_ends_connection: bool,
    /// Status of a request that a remote server does not answer.
    pub failure_status: RemoteFailureStatus,
}

/// The status of a request that a remote server does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteFailureStatus {
    /// 503, or 400 for a useless answer.
    Unavailable,
    /// 500.
    Internal,
}
