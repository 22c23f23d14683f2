//! Time as a value: all code that needs the current time takes a [`Clock`].
//!
//! On PostgreSQL the clock follows the database's clock, so that replicas on machines with different
//! clocks agree on expiry. In tests the clock stands still until moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// The epoch of Unix time.
const UNIX_EPOCH: Timestamp = Timestamp(OffsetDateTime::UNIX_EPOCH);

// From `FIRST` to `LAST`: the years that RFC 3339 and both engines can write.
/// An instant in UTC with nanoseconds (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The first instant: `0000-01-01T00:00:00Z`.
    pub const FIRST: Self = Self(datetime!(0000-01-01 00:00 UTC));
    /// The last instant: `9999-12-31T23:59:59.999999999Z`.
    pub const LAST: Self = Self(datetime!(9999-12-31 23:59:59.999_999_999 UTC));

    /// The range in words, for the error of a request with an instant out of range.
    pub const RANGE: &str = "from 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z";

    /// Converts a date and time with an offset; out of range, the nearest instant in range.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        Self::exactly(at).unwrap_or(if at.year() > 0 {
            Self::LAST
        } else {
            Self::FIRST
        })
    }

    /// Converts a date and time with an offset; `None` if out of range in UTC.
    fn exactly(at: OffsetDateTime) -> Option<Self> {
        let at = at.checked_to_offset(time::UtcOffset::UTC)?;
        (at >= Self::FIRST.0).then_some(Self(at))
    }

    /// Returns the instant `seconds` after 1970-01-01T00:00:00Z, or the nearest instant in range.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        UNIX_EPOCH + Duration::seconds(seconds)
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z, the form of `exp` and `iat` (RFC 7519 §2).
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Returns the instant as a value of the `time` crate, in UTC.
    #[must_use]
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        self.0
    }

    /// Formats as RFC 3339 in UTC with `Z`, with no more fraction digits than needed.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.0
            .format(&time::format_description::well_known::Rfc3339)
            .expect("a UTC instant between the years 0 and 9999 has an RFC 3339 form")
    }

    /// Parses RFC 3339 with any offset; `None` for other text, and for an instant out of range in UTC.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let form = &time::format_description::well_known::Rfc3339;
        Self::exactly(OffsetDateTime::parse(text, form).ok()?)
    }

    /// Formats as IMF-fixdate for HTTP headers (RFC 9110 §5.6.7).
    #[must_use]
    pub fn to_http_date(self) -> String {
        self.0
            .format(HTTP_DATE)
            .expect("every component of an HTTP date is in a date and time")
    }

    /// Parses IMF-fixdate; `None` for other text.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let parsed = time::PrimitiveDateTime::parse(text, HTTP_DATE).ok()?;
        Self::exactly(parsed.assume_utc())
    }
}

/// IMF-fixdate (RFC 9110 §5.6.7).
const HTTP_DATE: &[time::format_description::BorrowedFormatItem<'_>] = time::macros::format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the ends of the range.
    fn add(self, by: Duration) -> Self {
        Self::new(self.0.saturating_add(by))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the ends of the range.
    fn sub(self, by: Duration) -> Self {
        Self::new(self.0.saturating_sub(by))
    }
}

impl std::ops::Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

/// A source of the current time. Clones share the source.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The machine's clock, and the lead of the followed clock in microseconds.
    Machine { ahead: AtomicI64 },
    /// A clock that stands still; microseconds since 1970.
    Fixed { micros: AtomicI64 },
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn machine() -> Self {
        Self(Arc::new(Source::Machine {
            ahead: AtomicI64::new(0),
        }))
    }

    /// Returns a clock that shows `at` (truncated to microseconds) until moved.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(Source::Fixed {
            micros: AtomicI64::new(micros_of(at.0)),
        }))
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::Machine { ahead } => {
                let ahead = Duration::microseconds(ahead.load(Ordering::Relaxed));
                Timestamp::new(machine_now()) + ahead
            }
            Source::Fixed { micros } => at_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a fixed clock forward or back; no effect on the machine's clock.
    pub fn turn(&self, by: Duration) {
        if let Source::Fixed { micros } = &*self.0 {
            let by = i64::try_from(by.whole_microseconds()).unwrap_or(0);
            let turned = |micros: i64| Some(micros.saturating_add(by));
            let _ = micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turned);
        }
    }

    /// Follows a clock that showed `theirs` halfway between `asked` and now, by this machine's clock.
    /// No effect on a fixed clock.
    pub fn follow(&self, theirs: Timestamp, asked: MachineInstant) {
        if let Source::Machine { ahead } = &*self.0 {
            let answered = machine_now();
            let middle = asked.0.saturating_add((answered - asked.0) / 2);
            let lead: Duration = theirs.0 - middle;
            let micros = i64::try_from(lead.whole_microseconds()).unwrap_or(0);
            ahead.store(micros, Ordering::Relaxed);
        }
    }

    /// Returns the lead of the followed clock over this machine's clock.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        match &*self.0 {
            Source::Machine { ahead } => Duration::microseconds(ahead.load(Ordering::Relaxed)),
            Source::Fixed { .. } => Duration::ZERO,
        }
    }
}

/// A reading of the machine's own clock, without the lead of a followed clock.
#[derive(Clone, Copy, Debug)]
pub struct MachineInstant(OffsetDateTime);

impl MachineInstant {
    /// Reads the machine's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(machine_now())
    }
}

/// A stopwatch on the machine's monotonic clock, independent of a followed clock.
#[derive(Clone, Copy, Debug)]
pub struct Timer(std::time::Instant);

impl Timer {
    /// Starts the stopwatch.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system clock"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Returns the seconds since the start.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system clock"
    )]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Returns the time of this machine, for the traces of an operator. Nothing expires by this time.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the system clock"
)]
pub fn machine_time() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the system clock"
)]
fn machine_now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn micros_of(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn at_micros(micros: i64) -> Timestamp {
    UNIX_EPOCH + Duration::microseconds(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_instant_out_of_range_is_not_read() {
        for text in [
            "9999-12-31T23:59:59-23:59",
            "9999-12-31T23:59:59.999999999-00:01",
            "0000-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00+23:59",
            "10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
        let read = |text| Timestamp::parse_rfc3339(text).unwrap().to_rfc3339();
        for text in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("9999-12-31T23:59:59+00:01"), "9999-12-31T23:58:59Z");
    }

    /// Generates instants with any offset, half near the ends of the range.
    fn instants() -> impl Strategy<Value = OffsetDateTime> {
        let edges = prop_oneof![
            Just(i64::MIN / 2),
            Just(time::PrimitiveDateTime::MIN.assume_utc().unix_timestamp()),
            Just(Timestamp::FIRST.unix_seconds()),
            Just(Timestamp::LAST.unix_seconds()),
        ];
        let seconds = prop_oneof![
            (edges, -200_000_i64..200_000).prop_map(|(edge, by)| edge.saturating_add(by)),
            any::<i64>(),
        ];
        let parts = (seconds, 0_u32..1_000_000_000, -1_439_i32..=1_439);
        parts.prop_map(|(seconds, nanos, minutes)| {
            let (first, last) = (
                time::PrimitiveDateTime::MIN.assume_utc(),
                time::PrimitiveDateTime::MAX.assume_utc(),
            );
            let seconds = seconds.clamp(first.unix_timestamp(), last.unix_timestamp());
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let at = at.replace_nanosecond(nanos).unwrap();
            // Replace the offset but keep the digits, so that the instant may be out of range in UTC.
            at.replace_offset(time::UtcOffset::from_whole_seconds(minutes * 60).unwrap())
        })
    }

    proptest! {
        /// T18: every instant has every text form, and arithmetic stays in range.
        #[test]
        fn no_instant_and_no_duration_panics(
            at in instants(), other in instants(), seconds: i64, nanos in -999_999_999_i32..=999_999_999,
        ) {
            let by = Duration::new(seconds.clamp(i64::MIN + 1, i64::MAX - 1), nanos);
            let (at, other) = (Timestamp::new(at), Timestamp::new(other));
            for one in [at, other, at + by, at - by, Timestamp::from_unix_seconds(seconds), at_micros(seconds)] {
                prop_assert!(Timestamp::FIRST <= one && one <= Timestamp::LAST);
                prop_assert_eq!(Timestamp::parse_rfc3339(&one.to_rfc3339()), Some(one));
                prop_assert!(one.to_http_date().ends_with(" GMT"));
                let read = Timestamp::parse_http_date(&one.to_http_date()).unwrap();
                prop_assert_eq!(read.unix_seconds(), one.unix_seconds());
                prop_assert!(Timestamp::from_unix_seconds(one.unix_seconds()) <= one);
            }
            prop_assert_eq!(at + (other - at), other);
            let clock = Clock::fixed(at);
            clock.turn(by);
            prop_assert!(clock.now() <= Timestamp::LAST);
        }

        /// T18: no text makes the parser panic.
        #[test]
        fn any_text_is_an_instant_or_is_refused(
            text in r"[-+]?[0-9]{4,5}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,12})?(Z|[-+][0-2][0-9]:[0-5][0-9])",
        ) {
            if let Some(at) = Timestamp::parse_rfc3339(&text) {
                prop_assert!(Timestamp::FIRST <= at && at <= Timestamp::LAST);
            }
        }
    }
}
