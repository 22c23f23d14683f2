//! Figures of the overview: counts of events by hour of the last day, and by day of the last month.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::statistics::{APPROVAL, LOCKOUT, SIGN_IN, THEFT, TOKEN};
use crate::store;
use crate::store::audit::Event;
use crate::store::statistics::{self, CLIENT_ERROR, HourlyCount, Hours, OTHER, UNKNOWN};

/// The most clients with errors that are named.
const CLIENTS: i64 = 10;

/// Seconds of an hour.
const HOUR: i64 = 3_600;

/// Seconds of a day.
const DAY: i64 = 24 * HOUR;

/// Counts of events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewStatistics)]
pub(super) struct Statistics {
    /// Retention of the counts, in seconds.
    retention_seconds: i64,
    /// The last 24 hours, by hour. The last hour is the current one.
    last_day: Figures,
    /// The last 30 days in UTC, by day. The last day is today.
    last_month: Figures,
}

/// Counts of events in a period, by interval and oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewFigures)]
pub(super) struct Figures {
    /// Start of the first interval.
    starts_at: Timestamp,
    /// Length of an interval, in seconds.
    interval_seconds: i64,
    /// Sign-ins and sign-ups.
    sign_ins: Vec<i64>,
    /// Approvals by members, on the consent page and the device page.
    approvals: Vec<i64>,
    /// Approvals by remembered consents, without a page.
    repeated_approvals: Vec<i64>,
    /// Successful token requests by grant type, in the order of the names.
    tokens: Vec<GrantTypeCounts>,
    /// Requests of clients that were refused because of a fault of the client.
    client_errors: Vec<i64>,
    /// The clients with the most of these errors, at most 10.
    errors_by_client: Vec<ErrorsOfClient>,
    /// Replayed authorization codes and reused refresh tokens. The access was revoked.
    thefts: Vec<i64>,
    /// Attempts that were refused after too many wrong passwords, client secrets, access keys or user codes.
    lockouts: Vec<i64>,
}

/// Successful token requests of a grant type.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewGrantType)]
pub(super) struct GrantTypeCounts {
    /// The grant type, such as `authorization_code`.
    grant_type: String,
    /// Counts by interval.
    counts: Vec<i64>,
}

/// Errors of a client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewClientErrors)]
pub(super) struct ErrorsOfClient {
    /// `client`, `other` for clients beyond the first 100 with errors in an hour, or `unknown` for requests with a client
    /// id that does not exist.
    kind: &'static str,
    /// Row id of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Client id; absent if the client was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Name of the client; absent if the client was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Number of errors.
    errors: i64,
}

/// Reads the counts; `None` while nothing is counted.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn read(context: &Context) -> store::Result<Option<Statistics>> {
    if !context.config.counts_events() {
        return Ok(None);
    }
    let now = context.clock.now().unix_seconds();
    let day = Period::ending(now, HOUR, 24);
    let month = Period::ending(now, DAY, 30);
    let counts = statistics::list(&context.db, month.hours()).await?;
    let mut figures = Vec::new();
    for period in [day, month] {
        let errors = statistics::errors_by_client(&context.db, period.hours(), CLIENTS).await?;
        let errors = errors.into_iter().map(ErrorsOfClient::from).collect();
        figures.push(period.figures(&counts, errors));
    }
    let [last_day, last_month] = <[Figures; 2]>::try_from(figures).expect("there are two periods");
    Ok(Some(Statistics {
        retention_seconds: context.config.statistics_retention.whole_seconds(),
        last_day,
        last_month,
    }))
}

impl From<statistics::ClientErrors> for ErrorsOfClient {
    fn from(errors: statistics::ClientErrors) -> Self {
        let kind = match errors.detail.as_str() {
            OTHER => OTHER,
            UNKNOWN => UNKNOWN,
            _ => "client",
        };
        Self {
            kind,
            id: (kind == "client").then_some(errors.detail),
            client_id: errors.client_id,
            name: errors.name,
            errors: errors.count,
        }
    }
}

/// Intervals of equal length.
#[derive(Clone, Copy, Debug)]
struct Period {
    /// Start of the first interval, in seconds since 1970.
    start: i64,
    /// Length of an interval, in seconds.
    length: i64,
    /// Number of intervals.
    intervals: u8,
}

impl Period {
    /// The intervals up to the one that contains `now`.
    fn ending(now: i64, length: i64, intervals: u8) -> Self {
        let last = now.div_euclid(length) * length;
        Self {
            start: last - (i64::from(intervals) - 1) * length,
            length,
            intervals,
        }
    }

    fn hours(self) -> Hours {
        Hours {
            from: Timestamp::from_unix_seconds(self.start),
            until: Timestamp::from_unix_seconds(
                self.start + self.length * i64::from(self.intervals),
            ),
        }
    }

    /// Returns the index of the interval that contains an hour.
    fn index(self, hour: Timestamp) -> Option<usize> {
        let index = (hour.unix_seconds() - self.start).div_euclid(self.length);
        usize::try_from(index)
            .ok()
            .filter(|index| *index < usize::from(self.intervals))
    }

    /// Sums the counts by interval.
    fn sum<'a>(self, counts: impl IntoIterator<Item = &'a HourlyCount>) -> Vec<i64> {
        let mut sums = vec![0_i64; usize::from(self.intervals)];
        for count in counts {
            if let Some(index) = self.index(count.hour) {
                sums[index] = sums[index].saturating_add(count.count);
            }
        }
        sums
    }

    fn figures(self, counts: &[HourlyCount], errors_by_client: Vec<ErrorsOfClient>) -> Figures {
        let of = |kind: &'static str| counts.iter().filter(move |count| count.kind == kind);
        let approvals = |event: Event| of(APPROVAL).filter(move |one| one.detail == event.name());
        let mut tokens: BTreeMap<&str, Vec<&HourlyCount>> = BTreeMap::new();
        for count in of(TOKEN).filter(|count| self.index(count.hour).is_some()) {
            tokens.entry(&count.detail).or_default().push(count);
        }
        let tokens = tokens.into_iter().map(|(grant, counts)| GrantTypeCounts {
            grant_type: grant.to_owned(),
            counts: self.sum(counts),
        });
        Figures {
            starts_at: self.hours().from,
            interval_seconds: self.length,
            sign_ins: self.sum(of(SIGN_IN)),
            approvals: self.sum(approvals(Event::GrantApproved)),
            repeated_approvals: self.sum(approvals(Event::ConsentRepeated)),
            tokens: tokens.collect(),
            client_errors: self.sum(of(CLIENT_ERROR)),
            errors_by_client,
            thefts: self.sum(of(THEFT)),
            lockouts: self.sum(of(LOCKOUT)),
        }
    }
}
