//! `openapi`: prints the OpenAPI document.

use std::process::ExitCode;

use super::{Error, output};
use crate::config::Config;
use crate::http::router;

/// Prints the document that `/api/openapi.json` serves.
pub(super) fn run(config: &Config) -> Result<ExitCode, Error> {
    output::print_json(&router::document(config))?;
    Ok(ExitCode::SUCCESS)
}
