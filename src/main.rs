//! The program: parse the command line, hand over.

use std::process::ExitCode;

use clap::Parser as _;
use storyden_auth::cli;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).await
}
