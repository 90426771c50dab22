//! The words of a policy, and where each stands.

use crate::error::{Error, Result, Stage};
use crate::seccomp::quoted;
use std::path::PathBuf;

/// A text and where it came from.
pub struct Source {
    pub name: String,
    pub directory: Option<PathBuf>,
    pub depth: usize,
}

/// Line and column, in bytes, from 1.
#[derive(Clone, Copy)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Source {
    pub fn wrong(&self, place: Place, what: &str) -> Error {
        self.failed(libc::EINVAL, place, what)
    }

    pub fn failed(&self, errno: i32, place: Place, what: &str) -> Error {
        let what = format!("{}:{}:{}: {}", self.name, place.line, place.column, what);
        Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    Directive,
    Path,
    Sign,
}

#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a [u8],
    pub place: Place,
}

impl<'a> Token<'a> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text.as_bytes()
    }

    /// Words and numbers are ASCII.
    pub fn str(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or("")
    }

    pub fn quoted(&self) -> String {
        quoted(self.text)
    }
}

/// The longer first: "<=" is not "<" and "=".
pub const SIGNS: [&[u8]; 21] = [
    b"||", b"&&", b"==", b"!=", b"<=", b">=", b"<", b">", b"&", b"|", b"~", b"(", b")", b"{", b"}", b"[", b"]", b",", b";",
    b":", b"=",
];

pub fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len())
}

/// The token that `rest` begins with; `None` where none does. After a directive that wants one comes a path.
pub fn token(rest: &[u8], path: bool) -> Option<(Kind, usize)> {
    let first = *rest.first()?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if path {
        return Some((Kind::Path, run(rest, |byte| !byte.is_ascii_whitespace())));
    }
    if first == b'@' {
        return Some((Kind::Directive, 1 + run(&rest[1..], letter)));
    }
    if first.is_ascii_digit() || first == b'-' && rest.get(1).is_some_and(u8::is_ascii_digit) {
        return Some((Kind::Number, 1 + run(&rest[1..], letter)));
    }
    if letter(first) {
        return Some((Kind::Word, run(rest, |byte| letter(byte) || byte == b'-' || byte == b'@')));
    }
    SIGNS.iter().find(|sign| rest.starts_with(sign)).map(|sign| (Kind::Sign, sign.len()))
}

/// One line of the file, added to `tokens`; tells whether it ends in a comment.
pub fn tokenize<'a>(source: &Source, number: usize, line: &'a [u8], tokens: &mut Vec<Token<'a>>) -> Result<bool> {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let place = Place { line: number, column: at + 1 };
        let path = tokens.last().is_some_and(|last| last.is("@include") || last.is("@frequency"));
        match byte {
            b' ' | b'\t' | b'\r' => at += 1,
            b'#' => return Ok(true),
            b'\\' if at + 1 == line.len() => break,
            _ => {
                let (kind, length) = token(&line[at..], path)
                    .ok_or_else(|| source.wrong(place, &format!("{} means nothing here", quoted(&line[at..=at]))))?;
                tokens.push(Token { kind, text: &line[at..at + length], place });
                at += length;
            }
        }
    }
    Ok(false)
}
