//! Nonces for DPoP proofs (RFC 9449 §8), without a table: the HMAC of the current period, with a key that
//! all replicas share. The same nonce is given out to every client.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::oauth::dpop::NONCE_PERIOD;
use crate::secret::Secret;
use crate::store;

/// Length of a nonce in bytes, before base64url.
const NONCE_LENGTH: usize = 16;

/// The nonces of a server that requires nonces.
#[derive(Debug)]
pub struct Nonces {
    key: Secret,
    /// Number of the current period.
    period: i64,
}

impl Nonces {
    /// Returns the nonces of now; `None` if this server requires none. The key is read once per process.
    ///
    /// # Errors
    /// If the key is not in memory, and the database is unavailable.
    pub async fn of(context: &Context) -> Result<Option<Self>, store::Error> {
        if !context.config.dpop_nonce || !context.config.supports_dpop() {
            return Ok(None);
        }
        let now = context.clock.now();
        let key = &context.dpop_nonce_key;
        let key = key
            .find_or_create(&context.db, &context.random, now)
            .await?;
        Ok(Some(Self::new(key, now)))
    }

    fn new(key: Secret, now: Timestamp) -> Self {
        let period = now.unix_seconds().div_euclid(NONCE_PERIOD);
        Self { key, period }
    }

    /// Returns the nonce to give out.
    #[must_use]
    pub fn current(&self) -> String {
        self.nonce(self.period)
    }

    /// True if the nonce is of the current period or of a period beside it: clients send the nonce of the
    /// period before, and the clock of another replica may be ahead.
    #[must_use]
    pub fn accepts(&self, nonce: &str) -> bool {
        let periods = [self.period, self.period - 1, self.period + 1];
        periods.into_iter().any(|period| {
            let known = self.nonce(period);
            known.as_bytes().ct_eq(nonce.as_bytes()).into() // constant time (timing attack)
        })
    }

    fn nonce(&self, period: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.reveal().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(&period.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(&mac[..NONCE_LENGTH])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Nonces {
        Nonces::new(Secret::new("key"), Timestamp::from_unix_seconds(seconds))
    }

    #[test]
    fn a_nonce_is_accepted_until_the_end_of_the_next_period() {
        let nonce = at(1_200).current();
        assert_eq!(nonce, at(1_319).current());
        assert_ne!(nonce, at(1_320).current());
        for (seconds, accepted) in [
            (1_079, false),
            (1_080, true),
            (1_200, true),
            (1_439, true),
            (1_440, false),
        ] {
            assert_eq!(at(seconds).accepts(&nonce), accepted, "{seconds}");
        }
        let other = Nonces::new(Secret::new("other"), Timestamp::from_unix_seconds(1_200));
        for nonce in ["", &nonce[1..], &other.current()] {
            assert!(!at(1_200).accepts(nonce), "{nonce}");
        }
    }
}
