//! Times in the claims of JWTs (`NumericDate`, RFC 7519 §2).

use serde::Deserialize as _;

/// A `NumericDate`, which may have a fraction (RFC 7519 §2).
pub(super) fn whole_seconds<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "out-of-range values saturate"
    )]
    let seconds = number
        .as_i64()
        .or_else(|| number.as_f64().map(|seconds| seconds as i64));
    seconds.ok_or_else(|| serde::de::Error::custom("no time"))
}

/// The same of an optional claim.
pub(super) fn some_whole_seconds<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    whole_seconds(deserializer).map(Some)
}
