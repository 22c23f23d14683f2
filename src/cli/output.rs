//! Output of commands: results on stdout, as a table or as JSON, and notes on stderr.

use std::io::{ErrorKind, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Error;

/// Prints a result on stdout. A reader that closes the pipe early, like `head`, is not an error.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::Io("stdout cannot be written to".to_owned(), error)),
        Ok(()) => Ok(()),
    }
}

/// Prints a result as JSON on stdout.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Error::Io("the JSON cannot be written".to_owned(), error.into()))?)
}

/// Prints a note on stderr.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Formats a table with a line per row; on a terminal, cells are wrapped to fit.
pub(super) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heads);
    if let Some(width) = width() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for row in rows {
        table.add_row(row.map(|cell| clean(&cell)));
    }
    without_margin(&table)
}

/// Formats name and value pairs, a line each.
pub(super) fn facts(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = width() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for (name, value) in rows {
        table.add_row([name.to_owned(), clean(&value)]);
    }
    without_margin(&table)
}

/// Formats a table without the outer spaces.
fn without_margin(table: &Table) -> String {
    let text = table.to_string();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes control characters: names come from untrusted users and could contain terminal escape
/// sequences.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

/// Formats a flag for a table: `yes` or an empty text.
pub(super) fn yes(flag: bool) -> String {
    if flag {
        "yes".to_owned()
    } else {
        String::new()
    }
}

/// Returns the width of the terminal on stdout; `None` if stdout is not a terminal.
pub(super) fn width() -> Option<u16> {
    let stdout = std::io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(&stdout))
        .flatten();
    size.map(|(width, _)| width.0)
}

/// Asks for confirmation; `None` without a terminal.
pub(super) fn confirm(question: &str) -> Result<Option<bool>, Error> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Error::Io("stdin cannot be read".to_owned(), error))?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}

/// Guesses the command line that started this program: a name, a path, or cargo.
pub(super) fn program() -> String {
    let path = std::env::args().next().unwrap_or_default();
    match path.as_str() {
        "target/release/storyden-auth" => "cargo run --release --".to_owned(),
        "target/debug/storyden-auth" => "cargo run --".to_owned(),
        "" => "storyden-auth".to_owned(),
        _ => path,
    }
}
