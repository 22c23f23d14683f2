//! Registration rules for each metadata member.

use url::Url;

use serde_json::Value;

use super::{About, ClientKeys, RegistrationErrors, RegistrationPolicy};
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_name::is_shown;
use crate::oauth::error::OAuthError;
use crate::oauth::grant_type::GrantType;
use crate::oauth::key_set;
use crate::oauth::redirect_uri::check_registration;
use crate::oauth::scope::{Scope, ScopeName, ScopeSyntax};

/// The most URIs, contacts or grants of one client.
const LIST_MAX: usize = 20;
/// The longest display text, in bytes.
const TEXT_MAX: usize = 255;
/// The longest key set, in bytes of JSON.
const KEYS_MAX: usize = 8 * 1_024;
/// The longest URI, in bytes.
const URI_MAX: usize = 2_048;

/// The rules of a policy (storyden-contract.md#dynamic-registration).
pub(super) struct Rules {
    pub(super) policy: RegistrationPolicy,
}

impl Rules {
    /// Chooses the text for a rejection.
    fn refuse(&self, storydens: &'static str, detailed: &'static str) -> OAuthError {
        OAuthError::invalid_client_metadata(match self.policy.errors {
            RegistrationErrors::Detailed => detailed,
            RegistrationErrors::Storyden => storydens,
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

    /// Reads the public keys of a client that signs with a key: inline or by URL (RFC 7591 §2).
    pub(super) fn keys(
        auth_method: AuthMethod,
        jwks: Option<Value>,
        jwks_uri: Option<String>,
    ) -> Result<ClientKeys, OAuthError> {
        let refuse = |why: String| Err(OAuthError::invalid_client_metadata(why));
        if auth_method != AuthMethod::PrivateKeyJwt {
            return Ok(ClientKeys::default()); // unused without private_key_jwt
        }
        match (&jwks, &jwks_uri) {
            (Some(_), Some(_)) => return refuse("give jwks or jwks_uri, not both".to_owned()),
            (None, None) => return refuse("private_key_jwt needs jwks or jwks_uri".to_owned()),
            _ => {}
        }
        if let Some(jwks) = &jwks {
            let size = jwks.to_string().len();
            if size > KEYS_MAX {
                return refuse(format!("jwks is longer than {KEYS_MAX} bytes"));
            }
            if let Err(why) = key_set::check(jwks) {
                return refuse(format!("the document {why}"));
            }
        }
        if jwks_uri.as_deref().is_some_and(|uri| !is_web_page(uri)) {
            return refuse("jwks_uri must be a valid HTTPS URL".to_owned());
        }
        Ok(ClientKeys { jwks, jwks_uri })
    }

    /// OpenID Connect Registration §2: a web application has web redirect URIs.
    pub(super) fn application_type(
        &self,
        given: Option<&str>,
        redirect_uris: &[String],
    ) -> Result<(), OAuthError> {
        let is_web = |uri: &String| uri.starts_with("https://") || uri.starts_with("http://");
        if !self.policy.application_type_unchecked
            && given == Some("web")
            && !redirect_uris.iter().all(is_web)
        {
            return Err(OAuthError::invalid_redirect_uri(
                "application_type web allows only https and loopback redirect URIs; use \
                 application_type native for an app on a device",
            ));
        }
        Ok(())
    }

    pub(super) fn grants(
        &self,
        given: &[String],
        auth_method: AuthMethod,
    ) -> Result<Vec<GrantType>, OAuthError> {
        use GrantType::{AuthorizationCode, DeviceCode, RefreshToken};
        let names = without_blanks_and_repeats(given);
        if names.is_empty() {
            return Ok(vec![AuthorizationCode, RefreshToken]);
        }
        let may_be_registered = |grant: &GrantType| match grant {
            AuthorizationCode | RefreshToken => true,
            DeviceCode => !self.policy.device_grant_rejected,
            GrantType::ClientCredentials => false, // a registration has no owner to act for
        };
        let grants = names
            .iter()
            .map(|name| GrantType::from_wire_name(name).filter(may_be_registered))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                self.refuse(
                    "Unsupported grant type; only authorization_code and refresh_token are allowed",
                    "grant_types may hold authorization_code, refresh_token and \
                     urn:ietf:params:oauth:grant-type:device_code",
                )
            })?;
        if grants == [RefreshToken] {
            return Err(self.refuse(
                "refresh_token grant requires authorization_code grant",
                "grant_types needs the grant that the first refresh_token comes from",
            ));
        }
        if grants.contains(&DeviceCode) && auth_method != AuthMethod::None {
            return Err(OAuthError::invalid_client_metadata(
                "the device grant is for public clients; use token_endpoint_auth_method none",
            ));
        }
        Ok(grants)
    }

    /// RFC 7591 §2.1: `code` requires the code grant, and the code grant requires `code`.
    pub(super) fn response_types(
        &self,
        given: Option<&[String]>,
        grants: &[GrantType],
    ) -> Result<(), OAuthError> {
        let given = given.unwrap_or_default();
        if given.iter().any(|kind| kind.trim() != "code") {
            return Err(self.refuse(
                "Only 'code' response type is supported",
                "response_types may only contain code",
            ));
        }
        if !given.is_empty() && !grants.contains(&GrantType::AuthorizationCode) {
            return Err(self.refuse(
                "'code' response type requires authorization_code grant",
                "response_types has code, and grant_types has no authorization_code",
            ));
        }
        Ok(())
    }

    pub(super) fn redirect_uris(
        &self,
        given: Vec<String>,
        grants: &[GrantType],
    ) -> Result<Vec<String>, OAuthError> {
        let refuse = |text: &'static str| Err(OAuthError::invalid_redirect_uri(text));
        let none_given = given.is_empty();
        let uris = if self.policy.web_redirects_only {
            without_blanks_and_repeats(&given)
        } else {
            without_repeats(given)
        };
        if uris.is_empty() && grants.contains(&GrantType::AuthorizationCode) {
            return refuse(if none_given {
                "At least one redirect_uri is required for authorization_code clients"
            } else {
                "At least one valid redirect_uri is required for authorization_code clients"
            });
        }
        if uris.len() > LIST_MAX {
            return refuse("redirect_uris has more than 20 entries");
        }
        for uri in &uris {
            self.redirect_uri(uri)?;
        }
        Ok(uris)
    }

    fn redirect_uri(&self, uri: &str) -> Result<(), OAuthError> {
        let refused = check_registration(uri);
        if self.policy.web_redirects_only {
            // storyden-contract.md#dynamic-registration: only web and loopback URIs, and `localhost` in
            // lower case.
            let is_web = Url::parse(uri).is_ok_and(|url| match url.scheme() {
                "https" => true,
                "http" => url.host_str() != Some("localhost") || uri.contains("//localhost"),
                _ => false,
            });
            if refused.is_err() || !is_web || !escapes_hold(uri) {
                return Err(OAuthError::invalid_redirect_uri(
                    "Invalid redirect_uri: must be an absolute HTTPS URI (or HTTP for loopback)",
                ));
            }
            return Ok(());
        }
        if !escapes_hold(uri) {
            return Err(OAuthError::invalid_redirect_uri(
                "a redirect URI has a % that begins no escape",
            ));
        }
        refused.map_err(|why| OAuthError::invalid_redirect_uri(format!("a redirect URI {why}")))
    }

    pub(super) fn about(&self, about: About) -> Result<About, OAuthError> {
        let uris = [
            ("logo_uri", &about.logo_uri),
            ("client_uri", &about.client_uri),
            ("tos_uri", &about.tos_uri),
            ("policy_uri", &about.policy_uri),
        ];
        for (name, uri) in uris {
            if uri
                .as_deref()
                .is_some_and(|uri| !uri.is_empty() && !is_web_page(uri))
            {
                return Err(OAuthError::invalid_client_metadata(format!(
                    "{name} must be a valid HTTPS URL"
                )));
            }
        }
        let kind = about.application_type.as_deref().unwrap_or("web");
        if !self.policy.application_type_unchecked && !matches!(kind, "web" | "native") {
            return Err(OAuthError::invalid_client_metadata(
                "application_type must be web or native",
            ));
        }
        let contacts = about.contacts.as_deref().unwrap_or_default();
        if contacts.len() > LIST_MAX {
            return Err(OAuthError::invalid_client_metadata(
                "contacts has more than 20 entries",
            ));
        }
        let texts = [
            &about.application_type,
            &about.software_id,
            &about.software_version,
        ];
        let fits = |text: &String| text.len() <= TEXT_MAX && text.chars().all(is_shown);
        if !texts.into_iter().flatten().all(fits) || !contacts.iter().all(fits) {
            return Err(OAuthError::invalid_client_metadata(
                "application_type, contacts, software_id and software_version have at most 255 bytes \
                 each, and no characters that are not shown",
            ));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(About {
            application_type: given(about.application_type),
            client_uri: given(about.client_uri),
            contacts: about.contacts,
            logo_uri: given(about.logo_uri),
            policy_uri: given(about.policy_uri),
            software_id: given(about.software_id),
            software_version: given(about.software_version),
            tos_uri: given(about.tos_uri),
        })
    }

    /// Returns the scope of a request without `scope`: the registered scope within `cap` (RFC 7591 §2
    /// allows the server to register less, and the response tells so).
    pub(super) fn scope(&self, given: &str, cap: &Scope) -> Result<Scope, OAuthError> {
        let refuse = |ours| {
            let theirs = "Scope is not permitted for dynamic client registration";
            self.refuse(theirs, ours)
        };
        let asked = match self.policy.scope_syntax {
            ScopeSyntax::SingleSpaces => Scope::parse(given),
            ScopeSyntax::WhiteSpace => Scope::parse_leniently(given),
        };
        let asked = asked.map_err(|_| {
            refuse("scope must be names of scopes_supported, separated by single spaces")
        })?;
        let asked: Scope = if asked.is_empty() {
            ScopeName::STANDARD.iter().copied().collect()
        } else {
            asked.iter().collect() // each name once
        };
        let registered: Scope = asked.iter().filter(|name| cap.contains(*name)).collect();
        if registered.is_empty() {
            return Err(refuse("scope has no value that registrations may have"));
        }
        Ok(registered)
    }
}

/// OpenID Connect RP-Initiated Logout §3.1: as strict as redirect URIs.
pub(super) fn post_logout_redirect_uris(given: Vec<String>) -> Result<Vec<String>, OAuthError> {
    if given.len() > LIST_MAX {
        return Err(OAuthError::invalid_client_metadata(
            "post_logout_redirect_uris has more than 20 entries",
        ));
    }
    let uris = without_repeats(given);
    for uri in &uris {
        check_registration(uri).map_err(|why| {
            OAuthError::invalid_client_metadata(format!("a post-logout redirect URI {why}"))
        })?;
    }
    Ok(uris)
}

/// True for an absolute https URL with a host. This server never fetches the URL.
pub(in super::super) fn is_web_page(uri: &str) -> bool {
    let plain = uri.len() <= URI_MAX && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(uri).ok().filter(|_| plain);
    url.is_some_and(|url| {
        url.scheme() == "https"
            && uri.to_ascii_lowercase().starts_with("https://")
            && !uri.contains(['\\', '"', '<', '>'])
            && url.username().is_empty()
            && url.password().is_none()
    })
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
    let mut kept = Vec::with_capacity(given.len());
    for text in given {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}
