//! Pagination of lists.

use serde::Serialize;

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
    #[must_use]
    pub(super) fn is_whole(self) -> bool {
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
    #[must_use]
    pub(super) fn counted(self) -> Value {
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

/// Page information in the body of a list (storyden-contract.md#refresh-token-lists).
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
