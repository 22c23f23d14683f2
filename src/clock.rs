//! Time as a value: everything that asks what time it is asks a [`Clock`].
//!
//! On PostgreSQL the clock follows the database's, so that replicas on machines that disagree
//! still agree on what has expired. In tests it stands still until it is turned.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// An instant, in UTC, with nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The instant that a date and time with an offset names.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        Self(at.to_offset(time::UtcOffset::UTC))
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, as `exp` and `iat` have it (RFC 7519 §2).
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The same instant as a value of the `time` crate, in UTC.
    #[must_use]
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        self.0
    }

    /// RFC 3339 in UTC with `Z`: fraction digits as many as needed, none when zero.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.0
            .format(&time::format_description::well_known::Rfc3339)
            .expect("a UTC instant between the years 0 and 9999 has an RFC 3339 form")
    }

    /// Reads the RFC 3339 form, in whatever zone; `None` when it is another text.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let form = &time::format_description::well_known::Rfc3339;
        let at = OffsetDateTime::parse(text, form).ok()?;
        Some(Self::new(at.to_offset(time::UtcOffset::UTC)))
    }

    /// The IMF-fixdate form of HTTP headers (RFC 9110 §5.6.7).
    #[must_use]
    pub fn to_http_date(self) -> String {
        const FORM: &[time::format_description::BorrowedFormatItem<'_>] = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        self.0
            .format(FORM)
            .expect("every component of an HTTP date is in a date and time")
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Stops at the ends of the calendar rather than overflow.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
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

/// Where the time comes from. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The machine's clock and what the database's is ahead of it, in microseconds.
    Machine { ahead: AtomicI64 },
    /// A clock that stands still; microseconds since 1970.
    Fixed { micros: AtomicI64 },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn machine() -> Self {
        Self(Arc::new(Source::Machine {
            ahead: AtomicI64::new(0),
        }))
    }

    /// A clock that shows `at` (cut to microseconds) until it is turned.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(Source::Fixed {
            micros: AtomicI64::new(micros_of(at.0)),
        }))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::Machine { ahead } => {
                let ahead = Duration::microseconds(ahead.load(Ordering::Relaxed));
                Timestamp(machine_now() + ahead)
            }
            Source::Fixed { micros } => at_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Turns a fixed clock forward (or back). A machine's clock is not turned.
    pub fn turn(&self, by: Duration) {
        if let Source::Fixed { micros } = &*self.0 {
            let by = i64::try_from(by.whole_microseconds()).unwrap_or(0);
            micros.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Follows another clock, which showed `theirs` when this machine's showed the instant between
    /// `asked` and now. A fixed clock follows nobody.
    pub fn follow(&self, theirs: Timestamp, asked: MachineInstant) {
        if let Source::Machine { ahead } = &*self.0 {
            let answered = machine_now();
            let middle: OffsetDateTime = asked.0 + (answered - asked.0) / 2;
            let lead: Duration = theirs.0 - middle;
            let micros = i64::try_from(lead.whole_microseconds()).unwrap_or(0);
            ahead.store(micros, Ordering::Relaxed);
        }
    }

    /// How far the followed clock is ahead of this machine's.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        match &*self.0 {
            Source::Machine { ahead } => Duration::microseconds(ahead.load(Ordering::Relaxed)),
            Source::Fixed { .. } => Duration::ZERO,
        }
    }
}

/// What the machine's own clock showed, whatever clock is followed.
#[derive(Clone, Copy, Debug)]
pub struct MachineInstant(OffsetDateTime);

impl MachineInstant {
    /// The machine's clock now.
    #[must_use]
    pub fn now() -> Self {
        Self(machine_now())
    }
}

/// How long something takes, by the machine's monotonic time whatever clock is followed.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Seconds since the start.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the machine's clock"
)]
fn machine_now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn micros_of(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn at_micros(micros: i64) -> Timestamp {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
    Timestamp(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}
