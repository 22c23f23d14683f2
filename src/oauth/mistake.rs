//! Mistakes in requests of clients, as the developer of the client reads them: the kind, the refused value, and what
//! to change.

/// The most characters of a refused value.
const VALUE_MAX: usize = 200;

/// The length from which a run of base64url characters may be a secret, a code or a token (43 characters and more).
const SECRET_LENGTH: usize = 40;

/// A mistake of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The kind.
    pub kind: MistakeKind,
    /// The refused value, safe to store and to show: never a secret, a code or a token.
    pub value: Option<String>,
}

impl Mistake {
    /// Tells a mistake with the refused value, which must be no secret.
    #[must_use]
    pub fn new(kind: MistakeKind, value: Option<&str>) -> Self {
        let value = value.filter(|value| !value.is_empty());
        let value = value.map(|value| match kind {
            MistakeKind::Assertion => shortened(value), // a `kid` is often a thumbprint of 43 characters
            _ => shown(value),
        });
        Self { kind, value }
    }
}

/// Defines the kinds with their stored names and hints.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident: $name:literal, $hint:literal;)+) => {
        /// The kind of a mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum MistakeKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl MistakeKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The name in the database and in the API.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// What the developer has to change.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self { $(Self::$kind => $hint,)+ }
            }
        }
    };
}

kinds! {
    /// A redirect URI that is not registered (RFC 6749 §3.1.2.4).
    RedirectUri: "redirect_uri",
        "Register this redirect URI for the application, or send a registered one. They are compared character by \
         character; only the port of a loopback address may differ.";
    /// A token request with another redirect URI than the authorization request (RFC 6749 §4.1.3).
    RedirectUriRepeat: "redirect_uri_repeat",
        "Send the redirect_uri of the authorization request unchanged in the token request.";
    /// An authorization request without a code challenge (RFC 7636 §4.4.1).
    PkceMissing: "pkce_missing",
        "Switch on PKCE with the method S256 in the library: code_challenge and code_challenge_method in the \
         authorization request, code_verifier in the token request.";
    /// A code challenge method other than `S256` (RFC 7636 §4.4.1).
    PkceMethod: "pkce_method",
        "Send code_challenge_method=S256; the method plain is not supported.";
    /// A code challenge that cannot be of the method `S256` (RFC 7636 §4.2).
    PkceChallenge: "pkce_challenge",
        "Make code_challenge from the code_verifier: its SHA-256 digest in base64url, 43 characters without padding.";
    /// A token request without a code verifier (RFC 7636 §4.5).
    VerifierMissing: "verifier_missing",
        "Send the code_verifier in the token request. Keep it until the redirect arrives: in the session of a server, \
         in sessionStorage of a page.";
    /// A code verifier that does not fit the code challenge (RFC 7636 §4.6).
    VerifierWrong: "verifier_wrong",
        "Send the code_verifier of the same authorization request, unchanged, with 43 to 128 characters. A second \
         sign-in in another tab must not replace it.";
    /// A wrong client secret (RFC 6749 §2.3.1).
    Secret: "secret",
        "Send the current secret of the application, without spaces or quotes around it. If it is lost, replace it.";
    /// Another authentication method than the registered one, or none (RFC 6749 §2.3).
    AuthMethod: "auth_method",
        "Authenticate with the method that is registered for the application, and with one method in each request.";
    /// A client assertion that is not accepted (RFC 7523 §3).
    Assertion: "assertion",
        "Sign the client assertion with a registered key, with the client id as iss and sub, this server as aud, and \
         a new jti and a short exp in each request.";
    /// A code that is unknown or revoked.
    CodeUnknown: "code_unknown",
        "Send the code as the redirect delivered it, URL-decoded once, with the client id that asked for it. Then \
         start the authorization again.";
    /// An expired code.
    CodeExpired: "code_expired",
        "Exchange the code as soon as the redirect arrives. Then start the authorization again.";
    /// A code that was used before (RFC 6749 §4.1.2).
    CodeUsed: "code_used",
        "Exchange each code once: a reload, a second tab or a retry must not send it again. Then start the \
         authorization again.";
    /// A refresh token that is unknown, expired or revoked.
    RefreshToken: "refresh_token",
        "Discard the refresh token, and start the authorization again.";
    /// A refresh token that was used before (RFC 9700 §4.14.2).
    RefreshTokenUsed: "refresh_token_used",
        "Store the new refresh token of each response before the next request, and refresh in one place at a time. \
         The approval has ended: start the authorization again.";
    /// A scope that is unknown or not allowed (RFC 6749 §3.3).
    Scope: "scope",
        "Add the scope to the allowed scopes of the application, or leave it out of the request.";
    /// A grant that the client may not use (RFC 6749 §5.2).
    Grant: "grant",
        "Use a grant of the application, or add the grant. client_credentials needs an application with a secret, the \
         device grant one without.";
    /// A missing or unknown grant type (RFC 6749 §5.2).
    GrantType: "grant_type",
        "Send one of grant_types_supported of the metadata as grant_type.";
    /// A resource or audience that is unknown or was not granted (RFC 8707 §2).
    Resource: "resource",
        "Send the URL of a resource that this server knows and that the approval includes, or leave the parameter out.";
    /// Polls in too short intervals (RFC 8628 §3.5).
    Polling: "polling",
        "Wait interval seconds between two polls, and five seconds more after each slow_down.";
    /// A device code that is unknown, expired or used.
    DeviceCode: "device_code",
        "Poll with the device_code of the last device authorization and the client id that started it. Start again \
         when it has expired or was used.";
    /// A DPoP proof that is missing or not accepted (RFC 9449 §4.3).
    Dpop: "dpop",
        "Make a new DPoP proof for each request: its method and address, the current time, a new jti, and the key \
         that the token is bound to.";
    /// A request that must be pushed or signed, or that was pushed or signed wrongly (RFC 9126, RFC 9101).
    ProtectedRequest: "protected_request",
        "Push or sign the authorization request as the application demands, and open each request_uri once, within \
         its lifetime.";
    /// Another mistake.
    Request: "request",
        "Correct the parameter that the description names.";
}

impl MistakeKind {
    /// The kind of a stored name; [`MistakeKind::Request`] for a name of a later version.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().unwrap_or(Self::Request)
    }
}

/// Makes a value of a request safe to store and to show: shortened, without characters that are not shown or that
/// change the direction of the text, without user information of a URL, and without runs that may be a secret.
#[must_use]
pub fn shown(value: &str) -> String {
    let value = without_user_information(value);
    let mut shown = String::new();
    let mut run = String::new();
    let is_base64url = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_');
    let mut characters = value.chars();
    for character in characters.by_ref().take(VALUE_MAX + SECRET_LENGTH) {
        if is_base64url(character) {
            run.push(character);
            continue;
        }
        end_run(&mut shown, &mut run);
        shown.push(character);
    }
    end_run(&mut shown, &mut run);
    if characters.next().is_some() {
        shown.push('…');
    }
    shortened(&shown)
}

/// Shortens a value, and replaces characters that are not shown or that change the direction of the text.
fn shortened(value: &str) -> String {
    let mut shown: String = value.chars().take(VALUE_MAX).map(neutral).collect();
    if value.chars().nth(VALUE_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn end_run(shown: &mut String, run: &mut String) {
    shown.push_str(if run.len() < SECRET_LENGTH {
        run
    } else {
        "…"
    });
    run.clear();
}

/// Replaces a character that is not shown, or that changes the direction of the text (spoofing).
fn neutral(character: char) -> char {
    let is_invisible = matches!(
        character,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{E0000}'..='\u{E0FFF}'
    );
    if character.is_control() || is_invisible {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    }
}

/// Removes `user:password@` from a URL.
fn without_user_information(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A value of a request is shown as sent, unless it can deceive or is a secret.
    #[test]
    fn values_are_neutralised() {
        for (value, expected) in [
            ("https://app.example/cb?x=1", "https://app.example/cb?x=1"),
            ("tools:read", "tools:read"),
            ("https://u:p@app.example/cb", "https://…@app.example/cb"),
            ("a\u{202E}b\u{0}c\nd", "a\u{FFFD}b\u{FFFD}c\u{FFFD}d"),
            (
                "https://app.example/cb?code=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                "https://app.example/cb?code=…",
            ),
        ] {
            assert_eq!(shown(value), expected);
        }
        let long = "a b".repeat(VALUE_MAX);
        assert_eq!(shown(&long).chars().count(), VALUE_MAX + 1);
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for kind in MistakeKind::ALL {
            assert_eq!(MistakeKind::from_name(kind.name()), *kind);
        }
        assert_eq!(MistakeKind::from_name("later"), MistakeKind::Request);
    }

    proptest! {
        /// No text of a request reaches the page with a run that may be a secret, and the length is bounded.
        #[test]
        fn any_text_is_bounded(text in "[A-Za-z0-9_@:/ .\u{200b}-]{0,400}") {
            let shown = shown(&text);
            prop_assert!(shown.chars().count() <= VALUE_MAX + 1);
            let is_base64url = |one: char| one.is_ascii_alphanumeric() || "-_".contains(one);
            prop_assert!(shown.split(|one| !is_base64url(one)).all(|run| run.len() < SECRET_LENGTH));
        }
    }
}
