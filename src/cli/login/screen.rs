//! The dialogue of `login`: address, code, QR code, remaining time.

use std::io::{IsTerminal as _, Write};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use time::Duration;

use super::Device;
use crate::cli::Error;
use crate::cli::output::{self, Abilities};

/// Lines below the dialogue: the countdown, and the prompt of the shell afterwards.
const LINES_BELOW: usize = 2;

/// Output of the dialogue: stdout, or stderr while stdout carries JSON.
pub(super) struct Screen {
    json: bool,
    /// True if a QR code is wanted.
    qr: bool,
    /// Abilities of the output; none without a terminal.
    abilities: Abilities,
}

impl Screen {
    /// `qr` is false if no QR code is wanted.
    pub(super) fn new(json: bool, qr: bool) -> Self {
        let is_terminal = if json {
            std::io::stderr().is_terminal()
        } else {
            std::io::stdout().is_terminal()
        };
        let abilities = is_terminal.then(output::abilities).unwrap_or_default();
        Self {
            json,
            qr,
            abilities,
        }
    }

    /// Shows the address and the code to enter (RFC 8628 §3.3).
    pub(super) fn show(&self, device: &Device) -> Result<(), Error> {
        let address = output::clean(&device.verification_uri);
        let code = output::clean(&device.user_code);
        let line = "─".repeat(code.chars().count() + 6);
        let (bold, plain) = if self.abilities.styles {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut text = format!(
            "To sign in, open this page in a browser, on any device:\n\n    {bold}{address}{plain}\n\n\
             and enter the code:\n\n    ┌{line}┐\n    │   {bold}{code}{plain}   │\n    └{line}┘\n"
        );
        if let Some(complete) = &device.verification_uri_complete {
            let scan = "\nOr scan this, and compare the code:\n\n";
            let above = text.lines().count() + scan.lines().count();
            if let Some(qr) = self.qr_code(complete, above) {
                text.push_str(scan);
                text.push_str(&qr);
            } else {
                let complete = output::clean(complete);
                text.extend([
                    "\nOr open this, and compare the code:\n\n    ",
                    &complete,
                    "\n",
                ]);
            }
        }
        if self.json {
            let _ = writeln!(std::io::stderr(), "{text}");
            return Ok(());
        }
        output::print_styled(&text)
    }

    /// Renders the complete address as a QR code (RFC 8628 §3.3.1), dark on light for any terminal
    /// theme; `None` if the code does not fit the terminal together with the lines above.
    fn qr_code(&self, address: &str, above: usize) -> Option<String> {
        let size = output::size().filter(|_| self.qr && self.abilities.styles && !self.json)?;
        let (columns, lines) = (usize::from(size.0), usize::from(size.1));
        let code = QrCode::with_error_correction_level(address, EcLevel::L).ok()?;
        let drawn = code.render::<Dense1x2>().quiet_zone(true).build();
        let width = drawn.lines().next()?.chars().count() + 4;
        let height = drawn.lines().count();
        if width > columns || above + height + LINES_BELOW > lines {
            return None;
        }
        let lines = drawn
            .lines()
            .map(|line| format!("    \x1b[38;5;16;48;5;231m{line}\x1b[0m\n"));
        Some(lines.collect())
    }

    /// Shows the remaining lifetime of the code, on a line that is overwritten.
    pub(super) fn count_down(&self, left: Duration, unreachable: bool) {
        let state = if unreachable {
            "The server does not answer; trying again"
        } else {
            "Waiting"
        };
        self.write(&format!("\r\x1b[K{state} … {} left", minutes(left)));
    }

    /// Clears the countdown line.
    pub(super) fn clear(&self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if !self.abilities.overwrites {
            return;
        }
        let _ = if self.json {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut stdout = std::io::stdout().lock();
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush())
        };
    }
}

/// `9:05`.
fn minutes(left: Duration) -> String {
    let seconds = left.whole_seconds().max(0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_is_minutes_and_seconds() {
        assert_eq!(minutes(Duration::seconds(600)), "10:00");
        assert_eq!(minutes(Duration::seconds(65)), "1:05");
        assert_eq!(minutes(Duration::seconds(-1)), "0:00");
    }
}
