//! Output of commands: results on stdout, as a table or as JSON, and notes on stderr.
//!
//! A terminal gets no control characters and no bidirectional controls of names and errors: these could forge
//! lines, or hide text ("Trojan Source").

use std::io::{ErrorKind, IsTerminal as _, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::Error;
use crate::clock::Timestamp;

/// Prints a result on stdout.
pub(super) fn print(text: &str) -> Result<(), Error> {
    if std::io::stdout().is_terminal() {
        return print_styled(&clean_lines(text));
    }
    print_styled(text)
}

/// Prints a text with escape sequences of this program. A reader that closes the pipe early, like `head`, is not an
/// error.
pub(super) fn print_styled(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::Io("stdout cannot be written to".to_owned(), error)),
        Ok(()) => Ok(()),
    }
}

/// Prints a part of a result on stdout, without a further end of line. Returns false if the reader closed the pipe.
pub(super) fn print_part(text: &str) -> Result<bool, Error> {
    let mut stdout = std::io::stdout().lock();
    let text: &str = if stdout.is_terminal() {
        &clean_lines(text)
    } else {
        text
    };
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::Io("stdout cannot be written to".to_owned(), error)),
        Ok(()) => Ok(true),
    }
}

/// Prints a result as JSON on stdout.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Error::Io("the JSON cannot be written".to_owned(), error.into()))?)
}

/// Prints a note on stderr.
pub(super) fn note(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = if stderr.is_terminal() {
        writeln!(stderr, "{}", clean_lines(text))
    } else {
        writeln!(stderr, "{text}")
    };
}

/// Formats a table with a line per row. If a line does not fit the terminal, each row is a block of lines, so that no
/// id is cut in two.
pub(super) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| clean(&cell)))
        .collect();
    let lines = lines_of(heads, &rows);
    let fits = |width: u16| {
        lines
            .lines()
            .all(|line| line.chars().count() <= usize::from(width))
    };
    match width() {
        Some(width) if !fits(width) => blocks(heads, rows, width),
        _ => lines,
    }
}

/// Formats a line per row.
fn lines_of<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heads);
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// Formats a block of lines per row, without empty cells.
fn blocks<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>, width: u16) -> String {
    let blocks = rows.into_iter().map(|row| {
        let cells = heads.into_iter().zip(row);
        pairs(cells.filter(|(_, cell)| !cell.is_empty()), Some(width))
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// Formats name and value pairs, a line each.
pub(super) fn facts(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let rows = rows.into_iter().map(|(name, value)| (name, clean(&value)));
    pairs(rows, width())
}

/// Formats pairs in two columns; a value that is too long continues below its first line.
fn pairs<'a>(rows: impl IntoIterator<Item = (&'a str, String)>, width: Option<u16>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let names = rows.iter().map(|(name, _)| name.chars().count());
    let indent = names.max().unwrap_or_default() + 2;
    let room = width.map_or(usize::MAX, |width| {
        usize::from(width).saturating_sub(indent)
    });
    let mut lines = Vec::new();
    for (name, value) in rows {
        let mut parts = value.split('\n').flat_map(|line| wrap(line, room));
        let first = parts.next().unwrap_or_default();
        lines.push(format!("{name:<indent$}{first}").trim_end().to_owned());
        lines.extend(parts.map(|part| format!("{:indent$}{part}", "")));
    }
    lines.join("\n")
}

/// Breaks a line at spaces only: a word that is too long, such as an address, is left to the terminal.
fn wrap(line: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().map_or(0, |last| last.chars().count());
        let is_empty = last == 0;
        if !is_empty && last + 1 + word.chars().count() > room {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if !is_empty {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Replaces control characters and bidirectional controls: names come from untrusted users.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| shown(c, &['\n'])).collect()
}

/// The same for a text of several lines.
fn clean_lines(text: &str) -> String {
    text.chars().map(|c| shown(c, &['\n', '\t'])).collect()
}

fn shown(c: char, allowed: &[char]) -> char {
    let is_bidi = matches!(
        c,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    );
    let is_line = matches!(c, '\u{2028}' | '\u{2029}');
    if (c.is_control() && !allowed.contains(&c)) || is_bidi || is_line {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// Formats a time in the past relative to now: `5 minutes ago`.
pub(super) fn ago(now: Timestamp, at: Timestamp) -> String {
    let minutes = (now - at).whole_minutes().max(0);
    let (count, unit) = match minutes {
        0 => return "just now".to_owned(),
        1..90 => (minutes, "minute"),
        90..2_160 => ((minutes + 30) / 60, "hour"),
        _ => ((minutes + 720) / 1_440, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
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
    size().map(|(width, _)| width)
}

/// Returns columns and lines of the terminal on stdout; `None` if stdout is not a terminal.
pub(super) fn size() -> Option<(u16, u16)> {
    let stdout = std::io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(&stdout))
        .flatten();
    size.map(|(width, height)| (width.0, height.0))
}

/// Abilities of the terminal, from its environment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    /// Colours and bold text: not with `NO_COLOR` (<https://no-color.org>).
    pub(super) styles: bool,
    /// Overwriting a line: not with `TERM=dumb`.
    pub(super) overwrites: bool,
}

/// Reads the abilities of the terminal.
#[expect(
    clippy::disallowed_methods,
    reason = "variables of the terminal, not settings of this program"
)]
pub(super) fn abilities() -> Abilities {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Abilities {
        styles: !is_dumb && !is_set("NO_COLOR"),
        overwrites: !is_dumb,
    }
}

/// Asks for confirmation; `None` without a terminal.
pub(super) fn confirm(question: &str) -> Result<Option<bool>, Error> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let _ = write!(std::io::stderr(), "{} [y/N] ", clean(question));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Error::Io("stdin cannot be read".to_owned(), error))?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}

/// Asks on a terminal before a change that interrupts members or applications; a script is not asked.
pub(super) fn agree(question: &str, yes: bool) -> Result<(), Error> {
    if !yes && confirm(question)? == Some(false) {
        return Err(Error::because("nothing was changed"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_breaks_at_spaces_only() {
        assert_eq!(
            wrap("openid profile email", 14),
            ["openid profile", "email"]
        );
        assert_eq!(wrap("openid", 3), ["openid"]);
        assert_eq!(wrap("", 3), [""]);
        let text = pairs(
            [("ID", "a b".to_owned()), ("SCOPE", "c".to_owned())],
            Some(9),
        );
        assert_eq!(text, "ID     a\n       b\nSCOPE  c");
    }

    #[test]
    fn a_row_that_does_not_fit_is_a_block() {
        let rows = vec![
            ["d5h8q2fj1e3g4a5b6c70".to_owned(), "Frigg".to_owned()],
            ["d5h8q2fj1e3g4a5b6c7g".to_owned(), String::new()],
        ];
        let text = blocks(["ID", "NAME"], rows, 20);
        let expected = "ID    d5h8q2fj1e3g4a5b6c70\nNAME  Frigg\n\nID  d5h8q2fj1e3g4a5b6c7g";
        assert_eq!(text, expected);
    }

    #[test]
    fn times_are_relative_to_now() {
        let now = Timestamp::from_unix_seconds(1_795_828_560);
        for (minutes, text) in [
            (-1, "just now"),
            (0, "just now"),
            (1, "1 minute ago"),
            (89, "89 minutes ago"),
            (90, "2 hours ago"),
            (24 * 60, "24 hours ago"),
            (36 * 60, "2 days ago"),
            (7 * 24 * 60, "7 days ago"),
        ] {
            assert_eq!(ago(now, now - time::Duration::minutes(minutes)), text);
        }
    }

    #[test]
    fn controls_are_replaced() {
        assert_eq!(
            clean("a\x1b[2Jb\u{202E}c\u{2066}d\u{2028}e"),
            "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\u{FFFD}e"
        );
        assert_eq!(clean_lines("a\n\tb"), "a\n\tb");
        assert_eq!(clean("👩\u{200D}🚀 Ødin ثور"), "👩\u{200D}🚀 Ødin ثور");
    }
}
