//! Settings of signing keys.

use std::path::PathBuf;

use time::Duration;

use super::Config;
use super::lifetimes::CONSENT_TTL;
use crate::database_url::DatabaseUrl;
use crate::oauth::signing_algorithm::SigningAlgorithm;

impl Config {
    /// Returns the algorithms with generated keys: all, except the algorithm of a configured key.
    #[must_use]
    pub fn rotated_algorithms(&self) -> Vec<SigningAlgorithm> {
        if self.policies.tokens.single_key {
            return Vec::new();
        }
        let configured = self.signing_key.as_ref().map(|_| SigningAlgorithm::Rs256);
        let algorithms = self.signing_algorithms.0.iter().copied();
        algorithms.filter(|one| Some(*one) != configured).collect()
    }

    /// Returns the algorithm of a token whose client chose none.
    #[must_use]
    pub fn default_algorithm(&self) -> SigningAlgorithm {
        let first = self.signing_algorithms.0.first().copied();
        first.unwrap_or(SigningAlgorithm::Rs256)
    }

    /// True if the signing key is the file in `DATA_DIR`, which does not rotate.
    #[must_use]
    pub fn has_key_file(&self) -> bool {
        self.policies.tokens.single_key
            && self.signing_key.is_none()
            && matches!(self.database(), DatabaseUrl::Sqlite(_))
    }

    /// Returns the folder of a key of an earlier version, which becomes the first rotated key, and the
    /// configured key id.
    #[must_use]
    pub fn earlier_key_folder(&self) -> Option<(PathBuf, Option<String>)> {
        let is_alone = self.signing_key.is_none();
        let has_folder = matches!(self.database(), DatabaseUrl::Sqlite(_));
        (is_alone && has_folder).then(|| (self.data_dir.clone(), self.signing_key_id.clone()))
    }

    /// Returns the lifetime of a grant; `CONSENT_TTL` while grants have no end.
    #[must_use]
    pub fn grant_life(&self) -> Duration {
        let lifetime = self.grant_ttl.or(self.policies.defaults.grant_ttl);
        lifetime.unwrap_or(CONSENT_TTL)
    }
}
