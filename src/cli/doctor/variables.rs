//! Checks for variables that are nearly the name of a setting. Unknown variables are ignored, because the environment
//! of a Storyden has more.

use std::path::Path;

use super::Findings;
use crate::config::misspelt_in;

/// Names misspelt variables.
pub(super) fn examine(env_file: Option<&Path>, findings: &mut Findings) {
    for (name, setting) in misspelt_in(env_file) {
        findings.warn(
            "configuration",
            format!("the variable {name} has no effect: no setting has this name"),
            format!("if {setting} is meant, rename it; if not, remove it"),
        );
    }
}
