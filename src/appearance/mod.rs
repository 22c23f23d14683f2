//! Appearance of the pages: the message catalogues, and the community's name, mark and colours.

mod catalogue;
mod mark;
mod merge;
mod operator;
mod style;

use std::fmt;

use crate::config::Config;
pub use catalogue::{Catalogue, Direction};
pub use mark::Mark;

/// Problems of the operator's files, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(Vec<String>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Error {}

/// Everything that pages in all languages share.
#[derive(Debug)]
pub struct Appearance {
    /// At least English.
    catalogues: Vec<Catalogue>,
    /// The mark beside the name.
    pub mark: Mark,
    /// Name of the community; `None`: the pages show their host.
    pub name: Option<String>,
    /// Line of text below every page.
    pub text: Option<String>,
    /// Style sheet with the colours of the settings; empty without such colours.
    pub colors: String,
}

impl Appearance {
    /// Returns the built-in catalogues with the name and the colours of the settings, without reading files.
    #[must_use]
    pub fn built_in(config: &Config) -> Self {
        Self {
            catalogues: Catalogue::built_in(),
            mark: Mark::built_in(),
            name: config.brand_name.clone(),
            text: config.brand_text.clone(),
            colors: style::colors(config),
        }
    }

    /// Returns [`Appearance::built_in`] with the operator's catalogues and mark.
    ///
    /// # Errors
    /// All problems of the files, not only the first.
    pub fn load(config: &Config) -> Result<Self, Error> {
        let mut appearance = Self::built_in(config);
        let mut problems = Vec::new();
        if let Some(folder) = &config.messages_dir {
            match operator::read(folder, &appearance.catalogues) {
                Ok(catalogues) => appearance.catalogues = catalogues,
                Err(found) => problems.extend(found),
            }
        }
        if let Some(path) = &config.brand_mark {
            match Mark::read(path) {
                Ok(mark) => appearance.mark = mark,
                Err(problem) => problems.push(format!("BRAND_MARK {problem}")),
            }
        }
        if problems.is_empty() {
            Ok(appearance)
        } else {
            Err(Error(problems))
        }
    }

    /// Returns all catalogues, English first.
    #[must_use]
    pub fn catalogues(&self) -> &[Catalogue] {
        &self.catalogues
    }

    /// Chooses the catalogue: the member's choice, else the best match of `Accept-Language`, else English.
    #[must_use]
    pub fn choose(&self, chosen: Option<&str>, accept_language: &str) -> &Catalogue {
        let named = |name: &str| {
            let mut all = self.catalogues.iter();
            all.find(|one| one.language().eq_ignore_ascii_case(name))
        };
        let chosen = chosen.and_then(named);
        chosen
            .or_else(|| catalogue::negotiate(&self.catalogues, accept_language))
            .unwrap_or(&self.catalogues[0])
    }
}
