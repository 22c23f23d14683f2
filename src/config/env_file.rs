//! The file of `--env-file`: `NAME=value` lines, with quotes as in a shell and without substitution, so that a `$` in a
//! password stays.

use std::iter::Peekable;
use std::str::Chars;

/// An invalid line. The text never has the value, which may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineFault {
    /// The number of the line, from 1.
    line: usize,
    /// The variable, if its name can be read.
    name: Option<String>,
    problem: &'static str,
}

impl std::fmt::Display for LineFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(name) = &self.name {
            write!(f, ", {name}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

const NO_ASSIGNMENT: &str = "write NAME=value, or a comment after #";
const SPACES: &str = "put a value with spaces in quotes, as in NAME='two words'";
const OPEN_QUOTE: &str = "the quote has no end";
const ESCAPE: &str = "after a backslash only \\, ', \", $, a space and n are known; put a value with other backslashes in \
                      single quotes";

/// Reads the variables of a file, in order.
///
/// Lines are empty, a comment (`#`), or an assignment, with an optional `export`. Single quotes keep everything;
/// double quotes and values without quotes know backslashes. A `#` after a space begins a comment.
///
/// # Errors
/// The first invalid line.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, LineFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut variables = Vec::new();
    while reader.skip_to_assignment() {
        let line = reader.line;
        let fault = |name: Option<&str>, problem| LineFault {
            line,
            name: name.map(str::to_owned),
            problem,
        };
        let name = reader.name();
        let name = name.map_err(|problem| fault(None, problem))?;
        let value = reader.value();
        let value = value.map_err(|problem| fault(Some(&name), problem))?;
        variables.push((name, value));
    }
    Ok(variables)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_blanks(&mut self) {
        while self
            .rest
            .next_if(|c| matches!(c, ' ' | '\t' | '\r'))
            .is_some()
        {}
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Skips empty lines and comments; false at the end of the file.
    fn skip_to_assignment(&mut self) -> bool {
        loop {
            self.skip_blanks();
            match self.rest.peek() {
                None => return false,
                Some('#' | '\n') => self.skip_line(),
                Some(_) => return true,
            }
        }
    }

    /// Reads a name and the `=` after it.
    fn name(&mut self) -> Result<String, &'static str> {
        let mut name = self.word();
        self.skip_blanks();
        if name == "export" && self.rest.peek() != Some(&'=') {
            name = self.word();
            self.skip_blanks();
        }
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || self.rest.next_if_eq(&'=').is_none() {
            return Err(NO_ASSIGNMENT);
        }
        self.skip_blanks();
        Ok(name)
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        while let Some(c) = self.rest.next_if(is_part) {
            word.push(c);
        }
        word
    }

    /// Reads a value up to the end of its line. Quoted parts may have line breaks.
    fn value(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        if self.rest.peek() == Some(&'#') {
            self.skip_line();
            return Ok(value);
        }
        while let Some(c) = self.next() {
            match c {
                '\n' => return Ok(value),
                ' ' | '\t' | '\r' => {
                    self.skip_blanks();
                    return match self.rest.peek() {
                        None | Some('\n' | '#') => {
                            self.skip_line();
                            Ok(value)
                        }
                        Some(_) => Err(SPACES),
                    };
                }
                '\'' => self.quoted('\'', &mut value)?,
                '"' => self.quoted('"', &mut value)?,
                '\\' => value.push(self.escaped()?),
                c => value.push(c),
            }
        }
        Ok(value)
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), &'static str> {
        loop {
            match self.next() {
                None => return Err(OPEN_QUOTE),
                Some(c) if c == quote => return Ok(()),
                Some('\\') if quote == '"' => value.push(self.escaped()?),
                Some(c) => value.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, &'static str> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some(c @ ('\\' | '\'' | '"' | '$' | ' ')) => Ok(c),
            _ => Err(ESCAPE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_written() {
        let text = "\u{feff}# a comment\n\nA=1\r\n  export B = two # comment\nC='a \"b\" $c\\n'\nD=\"a \\\"b\\\" $c\\n\"\n\
                    E=postgres://a:pa$word#x@h/d\nF=\nG= # nothing\nexport=x\nH='1\n2'\nI=\\$a\\ b\nJ=last";
        let variables = parse(text).unwrap();
        let expected = [
            ("A", "1"),
            ("B", "two"),
            ("C", "a \"b\" $c\\n"),
            ("D", "a \"b\" $c\n"),
            ("E", "postgres://a:pa$word#x@h/d"),
            ("F", ""),
            ("G", ""),
            ("export", "x"),
            ("H", "1\n2"),
            ("I", "$a b"),
            ("J", "last"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables, expected);
    }

    #[test]
    fn a_fault_names_line_and_variable_and_no_value() {
        for (text, shown) in [
            (
                "A=1\n\nBRAND_NAME=My Secret",
                "line 3, BRAND_NAME: put a value with spaces",
            ),
            ("A='x\ny'\nB='Secret\n", "line 3, B: the quote has no end"),
            ("A=1\nSecret", "line 2: write NAME=value"),
            ("=Secret", "line 1: write NAME=value"),
            ("A=Secret\\d", "line 1, A: after a backslash"),
        ] {
            let fault = parse(text).unwrap_err().to_string();
            assert!(fault.starts_with(shown), "{fault}");
            assert!(!fault.contains("Secret"), "{fault}");
        }
    }
}
