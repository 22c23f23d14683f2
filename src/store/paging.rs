//! Pagination of lists.

use serde::Serialize;

use super::db::Db;
use super::error::Result;
use super::row::Row;
use super::sql::Sql;
use super::value::Value;

/// Maximum number of rows after a page that are counted, so that the count of a list of any length is fast.
const COUNTED: i64 = 10_000;

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Page number, from 1.
    pub number: i64,
    /// Maximum number of rows.
    pub size: i64,
}

impl Page {
    /// Default page size (storyden-contract.md#refresh-token-lists).
    pub const SIZE: i64 = 50;

    /// Largest page size that a request may ask for.
    pub const SIZE_MAX: i64 = 200;

    /// The whole list as a single page.
    pub const WHOLE: Self = Self {
        number: 1,
        size: i64::MAX,
    };

    /// Returns true for [`Page::WHOLE`].
    fn is_whole(self) -> bool {
        self.size == Self::WHOLE.size
    }

    /// Reads the requested page number; page 1 if absent or invalid.
    #[must_use]
    pub fn asked(text: Option<&str>) -> Self {
        let number = text.and_then(|text| text.parse().ok()).unwrap_or(1);
        Self {
            number: i64::max(number, 1),
            size: Self::SIZE,
        }
    }

    /// Returns the parameters of `LIMIT` and `OFFSET`.
    #[must_use]
    pub fn bounds(self) -> [Value; 2] {
        let before = (self.number - 1).saturating_mul(self.size);
        [self.size.into(), before.into()]
    }

    /// Returns the `LIMIT` of the count: the rows up to the end of this page and [`COUNTED`] more.
    fn counted(self) -> Value {
        let end = self.number.saturating_mul(self.size);
        end.saturating_add(COUNTED).into()
    }

    /// Describes this page of a list with `total` rows, `here` of which are on this page.
    #[must_use]
    pub fn of(self, total: i64, here: usize) -> Pages {
        let pages = total.saturating_add(self.size - 1) / self.size;
        Pages {
            current_page: self.number,
            next_page: (self.number < pages).then(|| self.number + 1),
            page_size: self.size,
            results: here,
            total_pages: pages,
        }
    }
}

/// A page of rows.
#[derive(Debug)]
pub struct Paged<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The position of the page in the list.
    pub pages: Pages,
}

/// The statements of a list with a filter. The parameters of the filter come first. A separate text for
/// each filter, since SQLite uses no index for `$1 IS NULL OR …`.
#[derive(Clone, Copy)]
pub(super) struct ListSql {
    /// Counts the matching rows; the last parameter is the maximum.
    pub(super) count: Sql,
    /// Selects a page; the last parameters are `LIMIT` and `OFFSET`.
    pub(super) page: Sql,
    /// Selects the unpaged list, in the order of the table as in Storyden, with the same parameters;
    /// `None` for a list that is always paged.
    pub(super) whole: Option<Sql>,
}

impl ListSql {
    /// Counts the rows and reads a page.
    pub(super) async fn fetch<T: Row>(
        &self,
        db: &Db,
        filter: Vec<Value>,
        page: Page,
    ) -> Result<Paged<T>> {
        let mut parameters = filter;
        parameters.push(page.counted());
        let total: i64 = db.fetch_one(self.count, &parameters).await?;
        parameters.pop();
        parameters.extend(page.bounds());
        let whole = self.whole.filter(|_| page.is_whole());
        let rows: Vec<T> = db
            .fetch_all(whole.unwrap_or(self.page), &parameters)
            .await?;
        let pages = page.of(total, rows.len());
        Ok(Paged { rows, pages })
    }
}

// storyden-contract.md#refresh-token-lists
/// Page information in the body of a list.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Pages {
    /// Number of this page.
    pub current_page: i64,
    /// Number of the next page, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page: Option<i64>,
    /// Maximum number of rows per page.
    pub page_size: i64,
    /// Number of rows on this page.
    pub results: usize,
    /// Number of pages. At most 10,000 rows after this page are counted.
    pub total_pages: i64,
}
