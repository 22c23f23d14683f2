//! The parts of client metadata that cannot be registered.
//!
//! RFC 7591 §3.2.1 lets a server register less than a client sent, if the response tells so. A fault is
//! therefore recorded as a warning, and the part is left out. Only if nothing usable remains is the
//! fault an error.

use crate::oauth::error::OAuthError;

/// The most faults that are kept.
const KEPT_MAX: usize = 20;

/// The most characters of a value in a description.
const SHOWN_MAX: usize = 100;

/// The faults of a registration or document, in order.
#[derive(Clone, Debug, Default)]
pub(in crate::oauth) struct Faults {
    /// True if a fault is an error in any case, as in Storyden.
    rejects: bool,
    /// The member and the fault.
    found: Vec<(&'static str, OAuthError)>,
    /// The number of faults beyond `KEPT_MAX`.
    more: usize,
}

impl Faults {
    /// No faults yet. With `rejects`, the first fault is an error.
    pub(in crate::oauth) fn new(rejects: bool) -> Self {
        Self {
            rejects,
            ..Self::default()
        }
    }

    /// The same faults; further faults are never errors.
    pub(in crate::oauth) fn never_rejecting(self) -> Self {
        Self {
            rejects: false,
            ..self
        }
    }

    /// Records that a part of a member is left out.
    ///
    /// # Errors
    /// The fault itself, if faults are errors.
    pub(in crate::oauth) fn leave_out(
        &mut self,
        member: &'static str,
        fault: OAuthError,
    ) -> Result<(), OAuthError> {
        if self.rejects {
            return Err(fault);
        }
        self.warn(member, fault);
        Ok(())
    }

    /// Records a fault that is never an error.
    pub(in crate::oauth) fn warn(&mut self, member: &'static str, fault: OAuthError) {
        if self.found.len() < KEPT_MAX {
            self.found.push((member, fault));
        } else {
            self.more += 1;
        }
    }

    /// The first fault of a member, the reason why nothing of the member remains.
    pub(in crate::oauth) fn first_of(&self, member: &str) -> Option<OAuthError> {
        let mut found = self.found.iter();
        let first = found.find(|(name, _)| *name == member);
        first.map(|(_, fault)| fault.clone())
    }

    /// The warnings of the response.
    pub(in crate::oauth) fn into_warnings(self) -> Vec<String> {
        let warning = |(member, fault): (_, OAuthError)| format!("{member}: {}", fault.description);
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.found.into_iter().map(warning).chain(more).collect()
    }
}

/// Quotes a value of a client for a description (RFC 6749 §5.2): ASCII without quotes, backslashes and
/// markup.
pub(in crate::oauth) fn shown(value: &str) -> String {
    let plain = |one: char| match one {
        '"' | '\'' | '\\' | '<' | '>' => '?',
        one if one == ' ' || one.is_ascii_graphic() => one,
        _ => '?',
    };
    let cut = value.chars().count() > SHOWN_MAX;
    let text: String = value.chars().take(SHOWN_MAX).map(plain).collect();
    format!("'{text}{}'", if cut { "..." } else { "" })
}
