//! Password input: a line of stdin, or a generated password.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Args;

use super::{Error, output};
use crate::http::member::session::{PASSWORD_MAX, PASSWORD_MIN};
use crate::random::Random;
use crate::secret::Secret;

/// Alphabet of generated passwords: letters and digits that are not easily confused.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The sources of a password.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from standard input: a line of at least 8 bytes.
    #[arg(long)]
    password_stdin: bool,
    /// Generate a password, and print the password once.
    #[arg(long)]
    generate_password: bool,
}

/// A password for an account.
pub(super) struct Password {
    /// The password.
    pub(super) secret: Secret,
    /// True if the password was generated and must be shown.
    pub(super) made: bool,
}

impl PasswordSource {
    /// Reads or generates the password, if requested.
    pub(super) fn read(&self, random: &Random) -> Result<Option<Password>, Error> {
        if self.generate_password {
            return Ok(Some(Password {
                secret: generate(random),
                made: true,
            }));
        }
        if self.password_stdin {
            return Ok(Some(Password {
                secret: read_line()?,
                made: false,
            }));
        }
        Ok(None)
    }
}

/// Generates a password of 100 bits that can be typed: four groups of five.
pub(super) fn generate(random: &Random) -> Secret {
    let groups: Vec<String> = (0..4).map(|_| random.symbols(ALPHABET, 5)).collect();
    Secret::new(groups.join("-"))
}

fn read_line() -> Result<Secret, Error> {
    if std::io::stdin().is_terminal() {
        output::note("Type the password and press Enter; it is shown as you type.");
    }
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock().take(64 * 1_024);
    let read = stdin.read_line(&mut line);
    read.map_err(|error| Error::Io("--password-stdin: stdin cannot be read".to_owned(), error))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = Secret::new(password.strip_suffix('\r').unwrap_or(password));
    match password.reveal().len() {
        0 => Err(Error::because(
            "--password-stdin: there was no password on standard input",
        )),
        length if length < PASSWORD_MIN => Err(Error::because(format!(
            "--password-stdin: the password has {length} bytes; it must have {PASSWORD_MIN} or more"
        ))),
        length if length > PASSWORD_MAX => Err(Error::because(format!(
            "--password-stdin: the password has more than {PASSWORD_MAX} bytes"
        ))),
        _ => Ok(password),
    }
}
