//! Logs, metrics and traces.

pub mod catalog;
pub mod metrics;
pub mod traces;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};

/// Starts logging to stderr, as configured.
pub fn start(config: &Config) {
    // The driver's lines about slow statements have the whole statement: kilobytes for a migration.
    let slow_statements = if config.log_level.0 >= tracing::Level::DEBUG {
        LevelFilter::WARN
    } else {
        LevelFilter::OFF
    };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("sqlx::query", slow_statements)
        .with_target("storyden_auth", config.log_level.0);
    let logs = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Ignore the error of a second start, as in tests.
    let _ = match config.log_format {
        LogFormat::Text => logs.with(lines).try_init(),
        LogFormat::Json => {
            // The list of spans would repeat the only span.
            let lines = lines.json().flatten_event(true).with_span_list(false);
            logs.with(lines).try_init()
        }
    };
}
