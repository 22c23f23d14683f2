//! Long lists, a page at a time.

use serde::Serialize;

use super::value::Value;

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Which, from 1.
    pub number: i64,
    /// How many rows it has at most.
    pub size: i64,
}

impl Page {
    /// How many rows a page has where nobody asks for another number (contract 16).
    pub const SIZE: i64 = 50;

    /// The most rows of a page that anybody may ask for.
    pub const SIZE_MAX: i64 = 200;

    /// Everything on one page.
    pub const WHOLE: Self = Self {
        number: 1,
        size: i64::MAX,
    };

    /// True for [`Page::WHOLE`].
    #[must_use]
    pub(super) fn is_whole(self) -> bool {
        self.size == Self::WHOLE.size
    }

    /// A page as it is asked for; what is no page is the first.
    #[must_use]
    pub fn asked(text: Option<&str>) -> Self {
        let number = text.and_then(|text| text.parse().ok()).unwrap_or(1);
        Self {
            number: i64::max(number, 1),
            size: Self::SIZE,
        }
    }

    /// The parameters of `LIMIT` and `OFFSET`.
    #[must_use]
    pub fn bounds(self) -> [Value; 2] {
        let before = (self.number - 1).saturating_mul(self.size);
        [self.size.into(), before.into()]
    }

    /// What is said about this page of `total` rows, `here` of them on it.
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

/// What a list says about its pages (contract 16).
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Pages {
    /// The page that was asked for.
    pub current_page: i64,
    /// The next one, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page: Option<i64>,
    /// The most rows of a page.
    pub page_size: i64,
    /// The rows of this page.
    pub results: usize,
    /// How many pages there are.
    pub total_pages: i64,
}

/// A `COUNT(*) AS n`.
#[derive(sqlx::FromRow)]
pub(super) struct Total {
    pub(super) n: i64,
}
