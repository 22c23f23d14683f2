//! Time columns: `timestamptz`, or text in Storyden's form.

use rusqlite::types::Value as SqliteValue;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use time::format_description::BorrowedFormatItem;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

use crate::clock::Timestamp;
use crate::store::sqlite_row::{FromSqlite, text};

/// Storyden's text form of an instant in SQLite, before trailing zeros of the fraction are cut.
const SQLITE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:9]");

/// The accepted text form with an offset.
const SQLITE_TIME_WITH_OFFSET: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second][optional [.[subsecond]]][offset_hour sign:mandatory]:[offset_minute]"
);
const SQLITE_TIME_WITHOUT_OFFSET: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second][optional [.[subsecond]]]");

/// Formats an instant as `2006-01-02 15:04:05.999999999+00:00`: a single space, up to nine fraction
/// digits, no `T`, no `Z`.
pub(in crate::store) fn to_sqlite_text(at: Timestamp) -> String {
    let text = at
        .to_offset_date_time()
        .format(SQLITE_TIME)
        .expect("every component of the form is in a date and time");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}+00:00")
}

/// Parses every form that Storyden reads. Go writes an instant out of range with a sign or with more
/// than four year digits; such an instant becomes the nearest instant in range.
fn from_sqlite_text(text: &str) -> Option<Timestamp> {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    if text.starts_with('-') && text.len() > 10 {
        return Some(Timestamp::FIRST);
    }
    if year > 4 && text.as_bytes().get(year) == Some(&b'-') {
        return Some(Timestamp::LAST);
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text); // Go's default form: `… +0000 UTC`
    if let Some(text) = text.strip_suffix(" +0000") {
        return from_sqlite_text(text);
    }
    let with_offset = || OffsetDateTime::parse(text, SQLITE_TIME_WITH_OFFSET);
    let rfc3339 = || OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    let without_offset = || {
        time::PrimitiveDateTime::parse(text, SQLITE_TIME_WITHOUT_OFFSET)
            .map(time::PrimitiveDateTime::assume_utc)
    };
    with_offset()
        .or_else(|_| rfc3339())
        .or_else(|_| without_offset())
        .ok()
        .map(Timestamp::new)
}

impl FromSqlite for Timestamp {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        if let SqliteValue::Integer(seconds) = value {
            return Ok(Self::from_unix_seconds(*seconds));
        }
        let text = text(value)?;
        from_sqlite_text(text).ok_or_else(|| format!("a time column holds {text:?}").into())
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    /// A `timestamptz` counts microseconds from the year 2000. The range is wider than that of
    /// [`OffsetDateTime`]; sqlx's decoder of that type panics outside, for example at `infinity`.
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        const EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self::new(EPOCH) + Duration::microseconds(micros))
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(
        &self,
        buffer: &mut <Postgres as sqlx::Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <OffsetDateTime as Encode<Postgres>>::encode(self.to_offset_date_time(), buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        from_sqlite_text(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// A-109: the time zone of the writer does not change the instant.
    #[test]
    fn every_form_that_storyden_writes_or_reads_is_read() {
        let instant = at("2026-11-21 08:33:09.799229598+00:00");
        assert_eq!(at("2026-11-21 03:33:09.799229598-05:00"), instant);
        assert_eq!(at("2026-11-21 14:18:09.799229598+05:45"), instant);
        assert_eq!(at("2026-11-21T08:33:09.799229598Z"), instant);
        assert_eq!(at("2026-11-21 08:33:09.799229598"), instant);
        assert_eq!(
            at("2036-01-01 00:00:00 +0000 UTC"),
            at("2036-01-01 00:00:00+00:00")
        );
        assert_eq!(from_sqlite_text("soon"), None);
    }

    /// A row written by a Storyden with an instant out of range stays readable.
    #[test]
    fn an_instant_out_of_range_becomes_the_nearest_one() {
        for text in [
            "9999-12-31 23:59:59-23:59",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01 00:00:00+00:00",
            "292277026596-12-04 15:30:07+00:00",
        ] {
            assert_eq!(at(text), Timestamp::LAST, "{text}");
        }
        for text in [
            "0000-01-01 00:00:00+01:00",
            "0000-01-01T00:00:00+23:59",
            "-0001-12-31 23:00:00+00:00",
            "-292277022399-01-01 00:00:00 +0000 UTC",
        ] {
            assert_eq!(at(text), Timestamp::FIRST, "{text}");
        }
        assert_eq!(from_sqlite_text("-"), None);
        assert_eq!(from_sqlite_text("12345"), None);
    }

    #[test]
    fn the_written_form_is_storydens() {
        let written = |text| to_sqlite_text(at(text));
        assert_eq!(
            written("2026-11-21 08:24:50.43150596+00:00"),
            "2026-11-21 08:24:50.43150596+00:00"
        );
        assert_eq!(written("2026-11-21T08:24:50Z"), "2026-11-21 08:24:50+00:00");
        assert_eq!(
            written("2026-11-21 08:00:00.100-01:00"),
            "2026-11-21 09:00:00.1+00:00"
        );
    }

    proptest! {
        /// T18: every instant survives a round trip through text, to the nanosecond.
        #[test]
        fn an_instant_survives_its_text(
            seconds in Timestamp::FIRST.unix_seconds()..=Timestamp::LAST.unix_seconds(),
            nanos in 0..1_000_000_000_i64,
        ) {
            let at = Timestamp::from_unix_seconds(seconds) + Duration::nanoseconds(nanos);
            prop_assert_eq!(from_sqlite_text(&to_sqlite_text(at)), Some(at));
        }

        /// T18: no text in a time column makes the parser panic.
        #[test]
        fn any_text_is_an_instant_or_none(
            text in r"[-+]?[0-9]{1,6}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,12})?( ?[-+][0-2][0-9]:?[0-5][0-9]|Z)?( UTC)?",
        ) {
            if let Some(at) = from_sqlite_text(&text) {
                prop_assert!(Timestamp::FIRST <= at && at <= Timestamp::LAST);
            }
        }
    }
}
