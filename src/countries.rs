//! Countries of addresses, from a MaxMind DB file (`GEOIP_DB`), such as `GeoLite2-Country.mmdb`.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{Reader, geoip2};

/// Countries by address; knows none without a file.
#[derive(Debug, Default)]
pub struct Countries(Option<Reader<Vec<u8>>>);

/// The reason why the file of the setting cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "GEOIP_DB {path}: {problem}; use a MaxMind DB file with countries, such as GeoLite2-Country.mmdb"
)]
pub struct Error {
    path: String,
    problem: String,
}

impl Countries {
    /// Reads the file of the setting.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let reader = Reader::open_readfile(path).map_err(|error| Error {
            path: path.display().to_string(),
            problem: error.to_string(),
        })?;
        Ok(Self(Some(reader)))
    }

    /// Returns the country of an address (ISO 3166-1 alpha-2), if known.
    #[must_use]
    pub fn of(&self, address: &str) -> Option<String> {
        let address: IpAddr = address.parse().ok()?;
        let found = self.0.as_ref()?.lookup(address).ok()?;
        let record: geoip2::Country<'_> = found.decode().ok()??;
        record.country.iso_code.map(str::to_owned)
    }
}
