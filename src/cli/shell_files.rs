//! `completions` and `man`: files for the shell and for `man`, generated from the description of the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Error, output};

/// Print the completions of a shell.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth completions bash > /etc/bash_completion.d/storyden-auth"
)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, or write a page for each command.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth man --dir /usr/local/share/man/man1")]
pub(super) struct Manual {
    /// An existing folder for a page per command.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

fn command() -> Command {
    Cli::command()
}

impl Completions {
    /// Runs the command.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let mut text = Vec::new();
        let mut command = command();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Manual {
    /// Runs the command.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        if let Some(folder) = self.dir {
            clap_mangen::generate_to(command(), &folder).map_err(|error| {
                let folder = folder.display();
                Error::Io(format!("--dir: {folder} cannot be written to"), error)
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = Vec::new();
        let rendered = Man::new(command()).render(&mut text);
        rendered
            .map_err(|error| Error::Io("the manual page cannot be written".to_owned(), error))?;
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
