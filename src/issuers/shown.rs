//! Issuers as administrators and commands show them.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::IssuerId;
use crate::store;
use crate::store::issuers::{self as rows, Issuer, MappedSubject};

/// The most mapped subjects that are shown.
const SUBJECTS_SHOWN_MAX: i64 = 1_000;

/// A trusted issuer in the administrators' API and in the output of commands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthTrustedIssuer)]
pub struct Shown {
    /// Row id.
    id: IssuerId,
    /// Time of creation.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// Time of the last change.
    #[serde(rename = "updatedAt")]
    updated_at: Timestamp,
    /// The claim `iss` of the assertions.
    url: String,
    /// Name for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// URL of the keys; absent: as the metadata of the issuer name.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    /// True if a subject is also mapped by the verified e-mail address.
    by_email: bool,
    /// Subjects that are mapped to accounts, at most 1000.
    subjects: Vec<MappedSubject>,
}

impl Shown {
    /// Describes an issuer.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn of(context: &Context, issuer: Issuer) -> Result<Self, store::Error> {
        let subjects = rows::subjects(&context.db, &issuer.id, SUBJECTS_SHOWN_MAX).await?;
        Ok(Self {
            id: issuer.id,
            created_at: issuer.created_at,
            updated_at: issuer.updated_at,
            url: issuer.url,
            name: issuer.name,
            jwks_uri: issuer.jwks_uri,
            by_email: issuer.by_email,
            subjects,
        })
    }

    /// The issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The properties, as lines of a listing: name, URL of the keys, mapping.
    #[must_use]
    pub fn facts(&self) -> [String; 3] {
        let by_email = if self.by_email {
            "verified e-mail, or table"
        } else {
            "table"
        };
        [
            self.name.clone().unwrap_or_default(),
            self.jwks_uri.clone().unwrap_or_default(),
            by_email.to_owned(),
        ]
    }

    /// The mapped subjects.
    #[must_use]
    pub fn subjects(&self) -> &[MappedSubject] {
        &self.subjects
    }
}

/// Lists every issuer, by URL.
///
/// # Errors
/// If the database does not answer.
pub async fn list(context: &Context) -> Result<Vec<Shown>, store::Error> {
    let mut shown = Vec::new();
    for issuer in rows::list(&context.db).await? {
        shown.push(Shown::of(context, issuer).await?);
    }
    Ok(shown)
}
