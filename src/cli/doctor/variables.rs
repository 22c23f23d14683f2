//! Checks for variables without effect: those that are nearly the name of a setting, and all of an `--env-file` that
//! neither this server nor a Storyden reads.

use std::path::Path;

use super::Findings;
use crate::config::unknown_variables;

/// Names variables without effect.
pub(super) fn examine(env_file: Option<&Path>, findings: &mut Findings) {
    for unknown in unknown_variables(env_file) {
        let name = unknown.name;
        let advice = match unknown.setting {
            Some(setting) => format!("if {setting} is meant, rename it; if not, remove it"),
            None => "look for its name in config/storyden-auth.env, or remove it".to_owned(),
        };
        let finding = format!("the variable {name} has no effect: no setting has this name");
        findings.warn("configuration", finding, advice);
    }
}
