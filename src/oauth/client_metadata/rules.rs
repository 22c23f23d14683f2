//! Rules for the members of client metadata that bound a client's rights
//! (storyden-contract.md#dynamic-registration). The same rules apply to registrations and to metadata
//! documents.

use std::borrow::Cow;
use std::collections::HashSet;

use url::Url;

use super::faults::{Faults, shown};
use super::{Bounds, RegistrationErrors, RegistrationPolicy};
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::error::OAuthError;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::private_use_scheme::{is_native, is_private_use};
use crate::oauth::scope::{NAMES_MAX, Scope, ScopeName};
use crate::oauth::scope_parameter::illegal;
use crate::oauth::scope_token::illegal_character;
use GrantType::{AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken};

/// The most URIs, contacts or grants of one client.
pub(super) const LIST_MAX: usize = 20;

/// The rules of a policy, within the operator's bounds, and the faults so far.
pub(in crate::oauth) struct Rules<'a> {
    pub(in crate::oauth) policy: RegistrationPolicy,
    pub(in crate::oauth) bounds: Bounds<'a>,
    pub(in crate::oauth) faults: Faults,
}

impl Rules<'_> {
    /// Chooses the text for a rejection.
    fn refuse(
        &self,
        storydens: &'static str,
        detailed: impl Into<Cow<'static, str>>,
    ) -> OAuthError {
        OAuthError::invalid_client_metadata(match self.policy.errors {
            RegistrationErrors::Detailed => detailed.into(),
            RegistrationErrors::Storyden => storydens.into(),
        })
    }

    /// Reads the authentication method. An empty text counts as absent (RFC 7591 §2:
    /// `client_secret_basic`).
    pub(super) fn auth_method(&self, given: &str) -> Result<AuthMethod, OAuthError> {
        match given.trim() {
            "" => Ok(AuthMethod::Basic),
            name => {
                let method = AuthMethod::from_name(name);
                let fits = |one: &AuthMethod| {
                    !(self.policy.basic_members_only && *one == AuthMethod::PrivateKeyJwt)
                };
                method.filter(fits).ok_or_else(|| {
                    self.refuse(
                        "Unsupported token_endpoint_auth_method",
                        "token_endpoint_auth_method must be none, client_secret_basic, \
                         client_secret_post or private_key_jwt",
                    )
                })
            }
        }
    }

    /// Reads the grant types. Grant types that the client may not have are left out, as long as one is
    /// left that issues a first token.
    pub(in crate::oauth) fn grants(
        &mut self,
        given: &[String],
        auth_method: AuthMethod,
    ) -> Result<Vec<GrantType>, OAuthError> {
        let names = without_blanks_and_repeats(given);
        if names.is_empty() {
            return Ok(vec![AuthorizationCode, RefreshToken]);
        }
        let mut grants = Vec::new();
        for name in names {
            let fault = match GrantType::from_wire_name(&name) {
                Some(DeviceCode) if self.policy.device_grant_rejected => self.unknown_grant(&name),
                Some(DeviceCode) if auth_method != AuthMethod::None => {
                    OAuthError::invalid_client_metadata(
                        "the device grant is for public clients; use token_endpoint_auth_method \
                         none",
                    )
                }
                // a registration has no owner to act for
                None | Some(ClientCredentials) => self.unknown_grant(&name),
                Some(grant) => {
                    grants.push(grant);
                    continue;
                }
            };
            self.faults.leave_out("grant_types", fault)?;
        }
        if grants.iter().any(|grant| *grant != RefreshToken) {
            return Ok(grants);
        }
        let without_first = || {
            self.refuse(
                "refresh_token grant requires authorization_code grant",
                "grant_types needs the grant that the first refresh_token comes from",
            )
        };
        let first = self.faults.first_of("grant_types");
        Err(first.unwrap_or_else(without_first))
    }

    fn unknown_grant(&self, name: &str) -> OAuthError {
        self.refuse(
            "Unsupported grant type; only authorization_code and refresh_token are allowed",
            format!(
                "grant type {} cannot be registered; grant_types may hold authorization_code, \
                 refresh_token and urn:ietf:params:oauth:grant-type:device_code",
                shown(name)
            ),
        )
    }

    /// RFC 7591 §2.1: `code` requires the code grant, and the code grant requires `code`.
    pub(super) fn response_types(
        &mut self,
        given: &[String],
        grants: &[GrantType],
    ) -> Result<(), OAuthError> {
        let (codes, others): (Vec<_>, Vec<_>) =
            given.iter().partition(|kind| kind.trim() == "code");
        for other in others {
            let fault = self.refuse(
                "Only 'code' response type is supported",
                format!(
                    "response type {} is not supported; response_types may only contain code",
                    shown(other)
                ),
            );
            self.faults.leave_out("response_types", fault)?;
        }
        let has_code_grant = grants.contains(&AuthorizationCode);
        if !codes.is_empty() && !has_code_grant {
            let fault = self.refuse(
                "'code' response type requires authorization_code grant",
                "response_types has code, and grant_types has no authorization_code",
            );
            return self.faults.leave_out("response_types", fault);
        }
        let first = self.faults.first_of("response_types");
        match first.filter(|_| codes.is_empty() && !given.is_empty() && has_code_grant) {
            Some(unusable) => Err(unusable),
            None => Ok(()),
        }
    }

    /// Reads the redirect URIs, and leaves out the URIs that may not be registered.
    pub(in crate::oauth) fn redirect_uris(
        &mut self,
        given: Vec<String>,
        kind: ClientType,
    ) -> Result<Vec<String>, OAuthError> {
        let uris = if self.policy.web_redirects_only {
            without_blanks_and_repeats(&given)
        } else {
            without_repeats(given)
        };
        let mut kept = Vec::new();
        for uri in self.first_of_list("redirect_uris", uris)? {
            match self.redirect_uri(&uri, kind) {
                Ok(()) => kept.push(uri),
                Err(fault) => self.faults.leave_out("redirect_uris", fault)?,
            }
        }
        Ok(kept)
    }

    fn redirect_uri(&self, uri: &str, kind: ClientType) -> Result<(), OAuthError> {
        let checked = self.bounds.private_use_schemes.check(uri, kind);
        if self.policy.web_redirects_only {
            // storyden-contract.md#dynamic-registration: only web and loopback URIs, and `localhost` in
            // lower case.
            let is_web = Url::parse(uri).is_ok_and(|url| match url.scheme() {
                "https" => true,
                "http" => url.host_str() != Some("localhost") || uri.contains("//localhost"),
                _ => false,
            });
            if checked.is_err() || !is_web || !escapes_hold(uri) {
                return Err(OAuthError::invalid_redirect_uri(
                    "Invalid redirect_uri: must be an absolute HTTPS URI (or HTTP for loopback)",
                ));
            }
            return Ok(());
        }
        let refuse = |why: String| {
            OAuthError::invalid_redirect_uri(format!("redirect URI {} {why}", shown(uri)))
        };
        checked.map_err(|why| refuse(why.to_string()))?;
        if !escapes_hold(uri) {
            return Err(refuse("has a % that begins no escape".to_owned()));
        }
        Ok(())
    }

    /// Checks that a client with the code grant has a redirect URI. Without one, the code grant is left
    /// out if the client has the device grant too.
    pub(super) fn require_redirect_uri(
        &mut self,
        grants: Vec<GrantType>,
        redirect_uris: &[String],
        none_given: bool,
    ) -> Result<Vec<GrantType>, OAuthError> {
        if !grants.contains(&AuthorizationCode) || !redirect_uris.is_empty() {
            return Ok(grants);
        }
        let missing = || {
            OAuthError::invalid_redirect_uri(if none_given {
                "At least one redirect_uri is required for authorization_code clients"
            } else {
                "At least one valid redirect_uri is required for authorization_code clients"
            })
        };
        let fault = self.faults.first_of("redirect_uris");
        let fault = fault.unwrap_or_else(missing);
        if !grants.contains(&DeviceCode) {
            return Err(fault);
        }
        self.faults.leave_out("grant_types", fault)?;
        let others = grants.into_iter();
        Ok(others.filter(|grant| *grant != AuthorizationCode).collect())
    }

    /// OpenID Connect Registration §2: a web application has web redirect URIs. If the type is absent or
    /// does not fit, the redirect URIs tell the type (Model Context Protocol, SEP-837). The type grants
    /// nothing, so a URI is never left out because of the type.
    pub(in crate::oauth) fn application_type(
        &mut self,
        given: Option<String>,
        redirect_uris: &[String],
    ) -> Result<Option<String>, OAuthError> {
        let member = "application_type";
        if self.policy.application_type_unchecked {
            return self.display_text(member, given);
        }
        let has_private_use = redirect_uris
            .iter()
            .any(|uri| Url::parse(uri).is_ok_and(|url| is_private_use(&url)));
        let fault = match given.as_deref().unwrap_or_default() {
            "web" if has_private_use => {
                "application_type web allows only https and loopback redirect URIs; native is \
                 registered"
            }
            "web" | "native" => return Ok(given),
            "" => return Ok(told_type(redirect_uris)),
            _ => "application_type must be web or native",
        };
        let fault = OAuthError::invalid_client_metadata(fault);
        self.faults.leave_out(member, fault)?;
        Ok(told_type(redirect_uris))
    }

    /// OpenID Connect RP-Initiated Logout §3.1: as strict as redirect URIs.
    pub(in crate::oauth) fn post_logout_redirect_uris(
        &mut self,
        given: Vec<String>,
        kind: ClientType,
    ) -> Result<Vec<String>, OAuthError> {
        let member = "post_logout_redirect_uris";
        let mut kept = Vec::new();
        for uri in self.first_of_list(member, without_repeats(given))? {
            match self.bounds.private_use_schemes.check(&uri, kind) {
                Ok(()) => kept.push(uri),
                Err(why) => {
                    let fault = format!("post-logout redirect URI {} {why}", shown(&uri));
                    let fault = OAuthError::invalid_client_metadata(fault);
                    self.faults.leave_out(member, fault)?;
                }
            }
        }
        Ok(kept)
    }

    /// Returns the scope of a request without `scope`: the listed scope within the operator's bounds, or
    /// the standard scopes if no listed scope is left. White space of any kind separates names.
    pub(in crate::oauth) fn scope(&mut self, given: &str) -> Result<Scope, OAuthError> {
        let mut asked = Scope::default();
        for (index, name) in given.split_whitespace().enumerate() {
            if index >= NAMES_MAX {
                let fault = self.scope_fault(format!("scope has more than {NAMES_MAX} names"));
                self.faults.leave_out("scope", fault)?;
                break;
            }
            let Bounds {
                scope,
                resource_scopes,
                ..
            } = self.bounds;
            let is_known =
                |one: &ScopeName| !one.is_of_resource() || resource_scopes.contains(*one);
            let known = ScopeName::from_name(name).filter(is_known);
            let why = match (illegal_character(name), known) {
                (_, Some(known)) if known.is_of_resource() || scope.contains(known) => {
                    asked.push(known);
                    continue;
                }
                // outside the bounds: never an error, because the response tells the remaining scope
                (_, Some(_)) => {
                    let fault = format!("scope {} is not allowed for this client", shown(name));
                    let fault = OAuthError::invalid_client_metadata(fault);
                    self.faults.warn("scope", fault);
                    continue;
                }
                (Some(character), None) => illegal(name, character),
                (None, None) => format!("scope {} is unknown to this server", shown(name)),
            };
            let fault = self.scope_fault(why);
            self.faults.leave_out("scope", fault)?;
        }
        let is_blank = given.trim().is_empty();
        if asked.is_empty() && (is_blank || !self.policy.limited_to_scope) {
            let standard = ScopeName::STANDARD.iter().copied();
            return Ok(standard
                .filter(|name| self.bounds.scope.contains(*name))
                .collect());
        }
        if asked.is_empty() {
            let fault =
                self.scope_fault("scope has no value that registrations may have".to_owned());
            self.faults.leave_out("scope", fault)?;
        }
        Ok(asked)
    }

    fn scope_fault(&self, why: String) -> OAuthError {
        self.refuse(
            "Scope is not permitted for dynamic client registration",
            why,
        )
    }
}

/// The application type that redirect URIs tell: `native` with a loopback address or a private-use
/// scheme. `None` without redirect URIs.
fn told_type(redirect_uris: &[String]) -> Option<String> {
    let is_native = redirect_uris.iter().any(|uri| is_native(uri));
    let told = if is_native { "native" } else { "web" };
    (!redirect_uris.is_empty()).then(|| told.to_owned())
}

/// RFC 3986 §2.1.
fn escapes_hold(uri: &str) -> bool {
    uri.split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

fn without_blanks_and_repeats(given: &[String]) -> Vec<String> {
    let trimmed = given.iter().map(|text| text.trim().to_owned());
    without_repeats(trimmed.filter(|text| !text.is_empty()).collect())
}

fn without_repeats(given: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(given.len());
    let mut kept = given;
    kept.retain(|text| seen.insert(text.clone()));
    kept
}
