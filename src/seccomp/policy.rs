//! The reader of minijail's policy language, as minijail0(5) and the grammar of its policy compiler describe it: a line
//! of text becomes rules of the filter, in order. Called by the filter's setter; adds all of a policy or nothing.
//!
//! Where the two descriptions differ, or leave room:
//! - `expression; return X` is the manual's: what the expression holds for is allowed, all else gets X. In braces,
//!   `{ expression; action, …, action }` is the compiler's list: the first expression that holds gives its action.
//! - Lines for one system call add up, until one decides it for good; a line after that is an error.
//! - `kill` is kill-process. `@default` changes nothing: the default action is the filter's, and a policy that wants
//!   a stricter one is refused.
//! - `@frequency` says what is called how often: passed over, without a look at the file.

use crate::error::Result;
use crate::seccomp::filter::{self, Compare, Filter, Rule};
use crate::seccomp::{act, bpf};
use libseccomp::ScmpArch;
use line::*;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokens::*;

mod line;
mod tokens;

/// Files within files.
const DEEPEST: usize = 10;
/// Files of one policy: a file that includes itself twice would be read a thousand times before it is too deep.
const MOST_FILES: usize = 64;
/// Bytes of one file.
const LONGEST: usize = 1 << 20;
/// Parentheses within parentheses: they are read by recursion.
const DEEPEST_PARENTHESES: usize = 32;
/// Comparisons of one policy: far more than a filter can hold, and little memory.
const MOST_COMPARISONS: usize = 1 << 16;

/// Adds the rules of `text`. What it includes is looked for in `directory`, and what that includes beside it; without
/// a directory an include is an error.
pub fn read(filter: &mut Filter, text: &[u8], directory: Option<&Path>) -> Result<()> {
    filter.takes_rules()?;
    let mut policy = Policy { default: filter.default, rules: Vec::new(), comparisons: 0, decided: Vec::new(), files: 0 };
    policy.text(&Source { name: "policy".to_owned(), directory: directory.map(Path::to_owned), depth: 0 }, text)?;
    filter.rules.append(&mut policy.rules);
    Ok(())
}

struct Policy {
    default: u32,
    rules: Vec<Rule>,
    comparisons: usize,
    /// The system calls that are decided for good, and where.
    decided: Vec<(String, String)>,
    files: usize,
}

impl Policy {
    fn text(&mut self, source: &Source, text: &[u8]) -> Result<()> {
        if text.len() > LONGEST {
            return Err(source.failed(libc::E2BIG, Place { line: 1, column: 1 }, &format!("longer than {LONGEST} bytes")));
        }
        let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).enumerate().peekable();
        let mut tokens = Vec::new();
        while let Some((index, line)) = lines.next() {
            let comment = tokenize(source, index + 1, line, &mut tokens)?;
            let end = Place { line: index + 1, column: line.len().max(1) };
            if line.ends_with(b"\\") {
                let next = lines.peek().map(|(_, next)| next.trim_ascii_start());
                let next = next.ok_or_else(|| source.wrong(end, "the policy ends in the middle of a line"))?;
                // A commented-out block is one either way. Else minijail takes the next line for comment, its compiler not.
                if comment && !next.is_empty() && !next.starts_with(b"#") {
                    return Err(source.wrong(end, "a comment that ends in \"\\\" may or may not hide the next line"));
                }
                continue;
            }
            if !tokens.is_empty() {
                self.line(&mut Line { source, tokens: &tokens, end })?;
                tokens.clear();
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &mut Line) -> Result<()> {
        match line.peek() {
            Some(first) if first.kind == Kind::Directive => self.directive(line)?,
            _ => self.statement(line)?,
        }
        match line.peek() {
            None => Ok(()),
            Some(extra) => Err(line.unexpected(&extra, "the end of the line")),
        }
    }

    fn directive(&mut self, line: &mut Line) -> Result<()> {
        let directive = line.next("a directive")?;
        match directive.text {
            b"@include" => {
                let path = line.next("a path")?;
                self.include(line.source, &path)
            }
            b"@frequency" => line.next("a path").map(|_| ()),
            b"@default" => self.default(line),
            _ => Err(line.unexpected(&directive, "@include, @frequency or @default")),
        }
    }

    /// The default action stays the filter's: a policy that was written for a laxer one or the same may be used, one
    /// for a stricter one may not.
    fn default(&mut self, line: &mut Line) -> Result<()> {
        let word = line.next("an action")?;
        let wanted = match word.text {
            // Which of the two is for minijail's caller to say: either will do.
            b"kill" | b"kill-thread" => act::KILL_THREAD,
            b"kill-process" => act::KILL_PROCESS,
            b"trap" => act::TRAP,
            _ => return Err(line.unexpected(&word, "kill, kill-process, kill-thread or trap")),
        };
        if act::precedence(self.default) > act::precedence(wanted) {
            return Err(line.source.wrong(word.place, &format!("@default {}: the filter's own default action allows more", word.str())));
        }
        Ok(())
    }

    fn include(&mut self, source: &Source, path: &Token) -> Result<()> {
        let wrong = |errno, what: &str| source.failed(errno, path.place, &format!("@include {}: {what}", path.quoted()));
        let directory = source.directory.as_ref().ok_or_else(|| wrong(libc::EINVAL, "no directory to look in was given"))?;
        self.files += 1;
        if source.depth == DEEPEST || self.files > MOST_FILES {
            return Err(wrong(libc::ELOOP, "too many files"));
        }
        let file = directory.join(OsStr::from_bytes(path.text));
        let text = contents(&file).map_err(|errno| wrong(errno, "can't be read"))?;
        let included = Source {
            name: path.text.escape_ascii().to_string(),
            directory: file.parent().map(Path::to_owned),
            depth: source.depth + 1,
        };
        self.text(&included, &text)
    }

    fn statement(&mut self, line: &mut Line) -> Result<()> {
        let names = line.names()?;
        line.sign(":")?;
        let verdicts = line.verdicts()?;
        for name in names {
            self.add(line.source, &name, &verdicts)?;
        }
        Ok(())
    }

    fn add(&mut self, source: &Source, name: &Token, verdicts: &[Verdict]) -> Result<()> {
        let syscall = match name.kind {
            Kind::Number => number(name.str()).map(|number| number.to_string()).unwrap_or_default(),
            _ => name.str().to_owned(),
        };
        if !filter::is_known(&syscall) {
            return Err(source.wrong(name.place, &format!("there is no system call {}", name.quoted())));
        }
        // By number, where it has one here: "0" is "read".
        let key = filter::number(&syscall, ScmpArch::native()).map_or(syscall.clone(), |number| number.to_string());
        if let Some((_, before)) = self.decided.iter().find(|(decided, _)| *decided == key) {
            return Err(source.wrong(name.place, &format!("{} is already decided, at {before}", name.quoted())));
        }
        let always = [Vec::new()];
        for verdict in verdicts {
            let clauses = verdict.clauses.as_deref().unwrap_or(&always);
            self.comparisons += clauses.iter().map(Vec::len).sum::<usize>();
            if self.rules.len() + clauses.len() > bpf::LONGEST || self.comparisons > MOST_COMPARISONS {
                return Err(source.failed(libc::E2BIG, name.place, "up to here these are more rules than a filter can hold"));
            }
            let rule = |compares: &Vec<Compare>| Rule { action: verdict.action, syscall: syscall.clone(), compares: compares.clone() };
            self.rules.extend(clauses.iter().map(rule));
        }
        if verdicts.last().is_some_and(|last| last.clauses.is_none()) {
            self.decided.push((key, format!("{}:{}", source.name, name.place.line)));
        }
        Ok(())
    }
}

/// A regular file's bytes, or an errno: a FIFO or a device in its place must neither block nor grow without end.
fn contents(path: &Path) -> std::result::Result<Vec<u8>, i32> {
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(errno)?;
    if !file.metadata().map_err(errno)?.is_file() {
        return Err(libc::EINVAL);
    }
    let mut text = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut text).map_err(errno)?;
    Ok(text)
}

#[cfg(test)]
pub mod tests;
