//! Cache of the logos that clients publish at `logo_uri`, in the memory of each process. Bounded by the bytes of
//! the images; an entry is fetched again when the time of its fetch is too long ago.

use bytes::Bytes;
use time::Duration;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::Timestamp;
use crate::single_flight::SingleFlight;

/// Maximum size of all cached images, in bytes.
const BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// The size of an entry without an image, in bytes: at most 16,384 failures are remembered.
const ENTRY_BYTES: u32 = 1_024;

/// Freshness of an image.
const FRESH: Duration = Duration::hours(24);

/// Freshness of a failure.
const FAILED: Duration = Duration::minutes(10);

/// An image with the type that its first bytes tell.
#[derive(Clone, Debug)]
pub struct Logo {
    /// The media type.
    pub media_type: &'static str,
    /// The image.
    pub image: Bytes,
}

/// The outcome of a fetch.
#[derive(Clone, Debug)]
pub struct CachedLogo {
    /// The image; `None` if the fetch failed.
    pub logo: Option<Logo>,
    /// The time of the fetch.
    pub fetched_at: Timestamp,
}

impl CachedLogo {
    /// True if the logo need not be fetched again.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let fresh = if self.logo.is_some() { FRESH } else { FAILED };
        now - self.fetched_at < fresh
    }
}

/// Logos by URL, and the fetches in progress.
#[derive(Debug)]
pub struct LogoCache {
    logos: BoundedMap<CachedLogo>,
    /// The fetches in progress; `None` if a fetch failed.
    pub fetches: SingleFlight<Option<Logo>>,
}

impl Default for LogoCache {
    fn default() -> Self {
        Self {
            logos: BoundedMap::new(Bounds {
                weight: BYTES_MAX,
                expiry: Expiry::Never,
                eviction: Eviction::LeastFrequent,
            }),
            fetches: SingleFlight::default(),
        }
    }
}

impl LogoCache {
    /// Returns the outcome of the last fetch of a URL.
    #[must_use]
    pub fn get(&self, url: &str) -> Option<CachedLogo> {
        self.logos.get(url).map(|cached| CachedLogo::clone(&cached))
    }

    /// Stores the outcome of a fetch.
    pub fn insert(&self, url: &str, cached: CachedLogo) {
        let image = cached.logo.as_ref().map_or(0, |logo| logo.image.len());
        let bytes = u32::try_from(image).unwrap_or(u32::MAX);
        let weight = bytes.saturating_add(ENTRY_BYTES);
        self.logos.insert_weighted(url, cached, weight);
    }
}
