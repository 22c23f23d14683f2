//! Values that follow from several settings, or from a setting and the profile.

use super::{Config, Permissions, TokenStorage};
use crate::database_url::{DatabaseUrl, SqliteUrl};
use crate::oauth::known_resources::KnownResources;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::oauth::private_use_scheme::PrivateUseSchemes;
use crate::oauth::scope::{Scope, ScopeName};

impl Config {
    /// Returns the configured database, or the default SQLite file in `DATA_DIR`.
    #[must_use]
    pub fn database(&self) -> DatabaseUrl {
        self.database_url.clone().unwrap_or_else(|| {
            DatabaseUrl::Sqlite(SqliteUrl::file(self.data_dir.join("storyden-auth.db")))
        })
    }

    /// Describes the setting of the database and the file, as in `DATA_DIR (/srv/data/storyden-auth.db)`. A URL may have
    /// a password, and is not shown.
    #[must_use]
    pub fn database_setting(&self) -> String {
        let setting = match self.database_url {
            Some(_) => "DATABASE_URL",
            None => "DATA_DIR",
        };
        format!("{setting} ({})", self.database().place())
    }

    /// Returns the scope allowed to self-registered clients.
    #[must_use]
    pub fn registration_scope(&self) -> Scope {
        let permissions = match self.registration_permissions {
            Some(Permissions(permissions)) => permissions,
            None => self.policies.defaults.registration_permissions,
        };
        standard_scope_and(permissions.iter())
    }

    /// Returns the private-use schemes without a dot that may be registered.
    #[must_use]
    pub fn private_use_schemes(&self) -> PrivateUseSchemes {
        let usual = || PrivateUseSchemes::of(self.policies.defaults.private_use_schemes);
        self.private_use_schemes.clone().unwrap_or_else(usual)
    }

    /// Returns the resources that tokens may be for (RFC 8707).
    #[must_use]
    pub fn known_resources(&self) -> KnownResources {
        KnownResources::new(&self.issuer(), &self.resources.0)
    }

    /// Returns true if a client id may be the URL of a metadata document.
    #[must_use]
    pub fn documents_enabled(&self) -> bool {
        let default = self.policies.defaults.client_documents_enabled;
        self.oauth_enabled && self.cimd_enabled.unwrap_or(default)
    }

    /// Returns the scope allowed to clients from metadata documents
    /// (storyden-contract.md#mapping-a-document).
    #[must_use]
    pub fn document_scope(&self) -> Scope {
        let permissions = match self.cimd_permissions {
            Some(Permissions(permissions)) => permissions,
            None => PermissionSet::READING,
        };
        let is_allowed = |one: &Permission| self.cimd_privileged || !one.is_privileged();
        standard_scope_and(permissions.iter().filter(is_allowed))
    }

    /// Returns true if remote servers may be on loopback addresses.
    #[must_use]
    pub fn remote_is_insecure(&self) -> bool {
        self.remote_insecure
            .unwrap_or(self.policies.defaults.remote_loopback_allowed)
    }

    /// Returns the client name of this server as a client of remote servers. In `standards` the name is
    /// the host of the web address, because servers such as this reserve the name Storyden against
    /// impersonation.
    #[must_use]
    pub fn own_client_name(&self) -> String {
        if let Some(name) = self.policies.remote.client_name {
            return name.to_owned();
        }
        let web = self.web_address();
        web.host_str().unwrap_or("Storyden").to_owned()
    }

    /// Returns the storage form of remote tokens.
    #[must_use]
    pub fn remote_storage(&self) -> TokenStorage {
        let usual = if self.policies.defaults.remote_tokens_unencrypted {
            TokenStorage::Storyden
        } else {
            TokenStorage::Sealed
        };
        self.remote_token_storage.unwrap_or(usual)
    }

    /// Returns true if cookies are marked `Secure`: always, unless the API is plain http on this
    /// computer.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.policies.session_cookie.always_secure || self.public_api_address.scheme() == "https"
    }
}

fn standard_scope_and(permissions: impl Iterator<Item = Permission>) -> Scope {
    let standard = ScopeName::STANDARD.iter().copied();
    standard
        .chain(permissions.map(ScopeName::Permission))
        .collect()
}
