//! The program: parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser as _;
use storyden_auth::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
