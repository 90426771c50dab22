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

use crate::error::{Error, Result, Stage};
use crate::seccomp::filter::{self, Cmp, Compare, Filter, Rule};
use crate::seccomp::{act, bpf, constants, quoted};
use libseccomp::ScmpArch;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
    let mut policy = Policy { default: filter.default, rules: Vec::new(), comparisons: 0, decided: Vec::new(), files: 0 };
    policy.text(&Source { name: "policy".to_owned(), directory: directory.map(Path::to_owned), depth: 0 }, text)?;
    filter.rules.append(&mut policy.rules);
    Ok(())
}

/// A text and where it came from.
struct Source {
    name: String,
    directory: Option<PathBuf>,
    depth: usize,
}

/// Line and column, in bytes, from 1.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

impl Source {
    fn wrong(&self, place: Place, what: &str) -> Error {
        self.failed(libc::EINVAL, place, what)
    }

    fn failed(&self, errno: i32, place: Place, what: &str) -> Error {
        let what = format!("{}:{}:{}: {}", self.name, place.line, place.column, what);
        Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Directive,
    Path,
    Sign,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a [u8],
    place: Place,
}

impl<'a> Token<'a> {
    fn is(&self, text: &str) -> bool {
        self.text == text.as_bytes()
    }

    /// Words and numbers are ASCII.
    fn str(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or("")
    }

    fn quoted(&self) -> String {
        quoted(self.text)
    }
}

/// The longer first: "<=" is not "<" and "=".
const SIGNS: [&[u8]; 21] = [
    b"||", b"&&", b"==", b"!=", b"<=", b">=", b"<", b">", b"&", b"|", b"~", b"(", b")", b"{", b"}", b"[", b"]", b",", b";",
    b":", b"=",
];

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len())
}

/// The token that `rest` begins with; `None` where none does. After a directive that wants one comes a path.
fn token(rest: &[u8], path: bool) -> Option<(Kind, usize)> {
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
fn tokenize<'a>(source: &Source, number: usize, line: &'a [u8], tokens: &mut Vec<Token<'a>>) -> Result<bool> {
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

/// What one line says of its system calls: for what the expression holds for (all: none), this action.
struct Verdict {
    clauses: Option<Vec<Vec<Compare>>>,
    action: u32,
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

/// The tokens of one line that are still to be read, continuation lines included.
struct Line<'s, 't> {
    source: &'s Source,
    tokens: &'t [Token<'t>],
    end: Place,
}

impl<'t> Line<'_, 't> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.first().copied()
    }

    fn next(&mut self, wanted: &str) -> Result<Token<'t>> {
        let (first, rest) =
            self.tokens.split_first().ok_or_else(|| self.source.wrong(self.end, &format!("the line ends where {wanted} should follow")))?;
        self.tokens = rest;
        Ok(*first)
    }

    fn unexpected(&self, token: &Token, wanted: &str) -> Error {
        self.source.wrong(token.place, &format!("{} where {wanted} should be", token.quoted()))
    }

    /// Whether the next token is this one, which is then read.
    fn takes(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(sign));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn sign(&mut self, sign: &str) -> Result<()> {
        let token = self.next(&format!("\"{sign}\""))?;
        if token.is(sign) { Ok(()) } else { Err(self.unexpected(&token, &format!("\"{sign}\""))) }
    }

    /// `name` or `{ name, name }`, each with its `[arch=…]`: those for this architecture.
    fn names(&mut self) -> Result<Vec<Token<'t>>> {
        let mut names = Vec::new();
        let group = self.takes("{");
        loop {
            let name = self.next("a system call")?;
            if !matches!(name.kind, Kind::Word | Kind::Number) {
                return Err(self.unexpected(&name, "a system call"));
            }
            if name.text.contains(&b'@') {
                return Err(self.source.wrong(name.place, &format!("{}: groups of system calls are not known here", name.quoted())));
            }
            if self.here()? {
                names.push(name);
            }
            if !(group && self.takes(",")) {
                break;
            }
        }
        if group {
            self.sign("}")?;
        }
        Ok(names)
    }

    /// `[arch=x86_64,arm64]`: whether that is this machine. Without one: yes.
    fn here(&mut self) -> Result<bool> {
        if !self.takes("[") {
            return Ok(true);
        }
        let key = self.next("\"arch\"")?;
        if !key.is("arch") {
            return Err(self.unexpected(&key, "\"arch\""));
        }
        self.sign("=")?;
        let mut here = false;
        loop {
            let arch = self.next("an architecture")?;
            let known = ARCHITECTURES.iter().find(|names| names.contains(&arch.str()));
            let known = known.ok_or_else(|| self.unexpected(&arch, "an architecture"))?;
            here |= known.contains(&std::env::consts::ARCH);
            if !self.takes(",") {
                break;
            }
        }
        self.sign("]")?;
        Ok(here)
    }

    fn verdicts(&mut self) -> Result<Vec<Verdict>> {
        let Some(brace) = self.peek().filter(|token| token.is("{")) else {
            return self.plain();
        };
        self.sign("{")?;
        let mut verdicts: Vec<Verdict> = Vec::new();
        loop {
            if verdicts.last().is_some_and(|last| last.clauses.is_none()) {
                return Err(self.source.wrong(brace.place, "in these braces an action stands behind one that always applies"));
            }
            let clauses = if self.compares_next() { Some(self.expression()?) } else { None };
            let action = if clauses.is_none() || self.takes(";") { self.action()? } else { act::ALLOW };
            verdicts.push(Verdict { clauses, action });
            if !self.takes(",") {
                break;
            }
        }
        self.sign("}")?;
        Ok(verdicts)
    }

    /// Without braces: an action, or an expression that allows, with what is returned where it does not hold.
    fn plain(&mut self) -> Result<Vec<Verdict>> {
        if !self.compares_next() {
            return Ok(vec![Verdict { clauses: None, action: self.action()? }]);
        }
        let mut verdicts = vec![Verdict { clauses: Some(self.expression()?), action: act::ALLOW }];
        if self.takes(";") {
            if let Some(word) = self.peek().filter(|word| !word.is("return")) {
                return Err(self.unexpected(&word, "\"return\"").hint("for another action write { expression; action, action }"));
            }
            verdicts.push(Verdict { clauses: None, action: self.action()? });
        }
        Ok(verdicts)
    }

    /// Whether an expression follows, not an action.
    fn compares_next(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == Kind::Word && token.text.starts_with(b"arg"))
    }

    fn action(&mut self) -> Result<u32> {
        let word = self.next("an action")?;
        let action = match word.text {
            b"allow" => act::ALLOW,
            b"kill" | b"kill-process" => act::KILL_PROCESS,
            b"kill-thread" => act::KILL_THREAD,
            b"trap" => act::TRAP,
            b"trace" => act::TRACE,
            b"log" => act::LOG,
            b"user-notify" => act::NOTIFY,
            b"return" => return self.errno().map(|errno| act::ERRNO | errno),
            _ if word.kind == Kind::Number && number(word.str()) == Some(1) => act::ALLOW,
            _ => return Err(self.unexpected(&word, "an expression or an action")),
        };
        Ok(action)
    }

    fn errno(&mut self) -> Result<u32> {
        let token = self.next("an errno")?;
        let errno = match token.kind {
            Kind::Number => number(token.str()).and_then(|errno| u32::try_from(errno).ok()).filter(|errno| *errno <= 4095),
            _ => constants::errno(token.str()).map(u32::from),
        };
        errno.ok_or_else(|| self.unexpected(&token, "an errno"))
    }

    /// `clause || clause`
    fn expression(&mut self) -> Result<Vec<Vec<Compare>>> {
        let mut clauses = self.clause()?;
        while self.takes("||") {
            clauses.append(&mut self.clause()?);
        }
        Ok(clauses)
    }

    /// `atom && atom`, as the rules that say it: one, except where an atom has several ways to hold.
    fn clause(&mut self) -> Result<Vec<Vec<Compare>>> {
        let mut rules = vec![Vec::new()];
        loop {
            let place = self.peek().map_or(self.end, |token| token.place);
            if let Some(ways) = self.atom()? {
                let length = rules.first().map_or(0, Vec::len) + 1;
                if rules.len() * ways.len() * length > bpf::LONGEST {
                    return Err(self.source.failed(libc::E2BIG, place, "with this the expression takes more rules than a filter can hold"));
                }
                let mut product = Vec::new();
                for rule in &rules {
                    for way in &ways {
                        product.push([rule.as_slice(), &[*way]].concat());
                    }
                }
                rules = product;
            }
            if !self.takes("&&") {
                return Ok(rules);
            }
        }
    }

    /// `argN op value`, as comparisons of which one must hold: none never does. `None`: it always holds.
    fn atom(&mut self) -> Result<Option<Vec<Compare>>> {
        let argument = self.next("an argument")?;
        let index = argument.str().strip_prefix("arg").and_then(|index| index.parse().ok()).filter(|index: &u32| *index < 6);
        let index = index.ok_or_else(|| self.unexpected(&argument, "an argument, arg0 to arg5,"))?;
        let operator = self.next("a comparison")?;
        let compare = |op, value| Some(vec![Compare::new(index, op, value)]);
        let op = match operator.text {
            b"==" => Cmp::SANDBOX_CMP_EQ,
            b"!=" => Cmp::SANDBOX_CMP_NE,
            b"<" => Cmp::SANDBOX_CMP_LT,
            b"<=" => Cmp::SANDBOX_CMP_LE,
            b">" => Cmp::SANDBOX_CMP_GT,
            b">=" => Cmp::SANDBOX_CMP_GE,
            b"&" => {
                // Some bit of these: seccomp's comparisons have none for it, one bit each they do.
                let mask = self.value(0)?;
                let bits = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
                return Ok(Some(bits.map(|bit| Compare::masked(index, bit, bit)).collect()));
            }
            b"in" => {
                let others = !self.value(0)?;
                return Ok((others != 0).then(|| vec![Compare::masked(index, others, 0)]));
            }
            _ => return Err(self.unexpected(&operator, "==, !=, <, <=, >, >=, & or in")),
        };
        Ok(compare(op, self.value(0)?))
    }

    /// `constant | constant`
    fn value(&mut self, depth: usize) -> Result<u64> {
        let mut value = self.constant(depth)?;
        while self.takes("|") {
            value |= self.constant(depth)?;
        }
        Ok(value)
    }

    fn constant(&mut self, depth: usize) -> Result<u64> {
        let complement = self.takes("~");
        let token = self.next("a number or constant")?;
        let value = match token.kind {
            Kind::Sign if token.is("(") && depth < DEEPEST_PARENTHESES => {
                let value = self.value(depth + 1)?;
                self.sign(")")?;
                value
            }
            Kind::Number => number(token.str()).ok_or_else(|| self.unexpected(&token, "a number of 64 bits"))?,
            Kind::Word => constants::value(token.str())
                .ok_or_else(|| self.source.wrong(token.place, &format!("there is no constant {}", token.quoted())))?,
            _ => return Err(self.unexpected(&token, "a number or constant")),
        };
        Ok(if complement { !value } else { value })
    }
}

/// Decimal, 0x hexadecimal, 0o or 0 octal; a negative one as its 64 bits.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let value = u64::from_str_radix(digits, radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(value).map(i64::cast_unsigned) } else { Some(value) }
}

/// The names that an architecture goes by, Rust's among them.
const ARCHITECTURES: [&[&str]; 12] = [
    &["x86_64", "amd64"],
    &["x86", "i386"],
    &["x32"],
    &["aarch64", "arm64"],
    &["arm"],
    &["riscv64"],
    &["loongarch64"],
    &["mips", "mipsel", "mips64", "mips64el"],
    &["powerpc64", "ppc64le"],
    &["ppc", "ppc64"],
    &["s390x"],
    &["s390"],
];

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::seccomp::bpf::Call;

    /// What the filter does with a native call: read off its rules, and the same from the compiled program.
    pub fn decide(filter: &Filter, name: &str, args: &[u64]) -> u32 {
        let audit = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        let nr = filter::number(name, ScmpArch::native()).unwrap();
        let mut call = Call { arch: audit, nr, ..Call::default() };
        call.args[..args.len()].copy_from_slice(args);
        let holds = |compare: &Compare| {
            let argument = call.args[compare.index as usize];
            match compare.op {
                Cmp::SANDBOX_CMP_EQ => argument == compare.value,
                Cmp::SANDBOX_CMP_NE => argument != compare.value,
                Cmp::SANDBOX_CMP_LT => argument < compare.value,
                Cmp::SANDBOX_CMP_LE => argument <= compare.value,
                Cmp::SANDBOX_CMP_GE => argument >= compare.value,
                Cmp::SANDBOX_CMP_GT => argument > compare.value,
                Cmp::SANDBOX_CMP_MASKED_EQ => argument & compare.mask == compare.value,
            }
        };
        let applies = |rule: &&Rule| filter::number(&rule.syscall, ScmpArch::native()) == Some(nr) && rule.compares.iter().all(holds);
        let by_rules = filter.rules.iter().find(applies).map_or(filter.default, |rule| rule.action);
        let program = filter.program().unwrap();
        assert_eq!(bpf::run(&program.instructions, &call), by_rules, "{name} {args:x?}: the program and the rules differ");
        by_rules
    }

    pub fn samples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies")
    }

    pub fn errno(number: i32) -> u32 {
        act::ERRNO | number.unsigned_abs()
    }

    const KILL: u32 = act::KILL_PROCESS;

    fn parsed(text: &str) -> Filter {
        let mut filter = Filter::new(KILL);
        filter.set(|filter| read(filter, text.as_bytes(), None)).unwrap();
        filter
    }

    fn failed(text: &[u8], directory: Option<&Path>) -> String {
        let mut filter = Filter::new(KILL);
        let error = filter.set(|filter| read(filter, text, directory)).unwrap_err();
        assert!(filter.rules.is_empty(), "rules of a policy that was refused");
        assert_eq!(error.stage, Stage::SANDBOX_STAGE_SECCOMP as u32);
        error.message.clone()
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let message = failed(text.as_bytes(), None);
        assert!(message.starts_with(expected), "{text:?} gave {message:?}, not {expected:?}");
    }

    fn whole() -> Filter {
        let mut filter = Filter::new(KILL);
        let text = std::fs::read(samples().join("whole.policy")).unwrap();
        filter.set(|filter| read(filter, &text, Some(&samples()))).unwrap();
        filter
    }

    #[test]
    fn every_action_is_the_kernels() {
        let filter = whole();
        let expected = [
            ("read", act::ALLOW),
            ("write", act::ALLOW),
            ("kill", act::ALLOW),
            ("getpid", act::ERRNO),
            ("getuid", errno(libc::EPERM)),
            ("geteuid", act::KILL_PROCESS),
            ("getgid", act::KILL_PROCESS),
            ("getegid", act::KILL_THREAD),
            ("uname", act::TRAP),
            ("times", act::TRACE),
            ("sysinfo", act::LOG),
            ("chdir", act::NOTIFY),
            ("fchdir", KILL),
        ];
        for (name, action) in expected {
            assert_eq!(decide(&filter, name, &[]), action, "{name}");
        }
    }

    #[test]
    fn comparisons_are_unsigned_and_64_bits_wide() {
        let filter = whole();
        assert_eq!(decide(&filter, "lseek", &[9, 9999, 0]), act::ALLOW);
        assert_eq!(decide(&filter, "lseek", &[9, 0o777, 1]), act::ALLOW, "0777 is octal");
        assert_eq!(decide(&filter, "lseek", &[9, 0o1000, 1]), KILL);
        assert_eq!(decide(&filter, "lseek", &[9, 0, 2]), KILL);
        assert_eq!(decide(&filter, "setpriority", &[0, 0, -2i64 as u64]), act::ALLOW);
        assert_eq!(decide(&filter, "setpriority", &[0, 0, -1i64 as u64]), KILL);
        assert_eq!(decide(&filter, "ioctl", &[0, 0x5401]), act::ALLOW);
        assert_eq!(decide(&filter, "ioctl", &[0, 0xffff_ffff]), KILL);
        assert_eq!(decide(&filter, "ioctl", &[0, 0x1_0000_0000]), act::ALLOW);
        assert_eq!(decide(&filter, "ioctl", &[0, 0, u64::MAX]), act::ALLOW);
        assert_eq!(decide(&filter, "ioctl", &[0, 0, u64::MAX - 1]), KILL);
    }

    #[test]
    fn a_return_is_for_what_the_expression_does_not_hold_for() {
        let (filter, cwd) = (whole(), libc::AT_FDCWD as u64);
        let flags = |flags: i32| decide(&filter, "openat", &[cwd, 0, flags as u64]);
        assert_eq!(flags(libc::O_RDONLY), act::ALLOW);
        assert_eq!(flags(libc::O_CLOEXEC | libc::O_NONBLOCK), act::ALLOW);
        assert_eq!(flags(libc::O_CLOEXEC | libc::O_WRONLY), errno(libc::EACCES));
        assert_eq!(decide(&filter, "openat", &[5, 0, 0]), errno(libc::EACCES));
    }

    #[test]
    fn ampersand_holds_for_any_of_the_bits_and_in_for_no_others() {
        let filter = whole();
        let socket = |kind: u64| decide(&filter, "socket", &[1, kind]);
        assert_eq!(socket(libc::SOCK_STREAM as u64), act::ALLOW);
        assert_eq!(socket((libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64), act::ALLOW);
        assert_eq!(socket(libc::SOCK_CLOEXEC as u64), errno(libc::EAFNOSUPPORT));
        assert_eq!(decide(&filter, "socket", &[2, 1]), errno(libc::EAFNOSUPPORT));
        assert_eq!(decide(&filter, "mmap", &[0, 0, 3]), act::ALLOW);
        assert_eq!(decide(&filter, "mprotect", &[0, 0, 5]), act::ALLOW);
        assert_eq!(decide(&filter, "mprotect", &[0, 0, 7]), KILL);

        let edges = parsed("read: arg0 & 0\nwrite: arg0 in ~0\nclose: arg0 & ~0\nfsync: arg0 in 0\ndup: arg0 & 3 && arg1 & 0x8000000000000001");
        assert_eq!(decide(&edges, "read", &[u64::MAX]), KILL, "no bit of none is set");
        assert_eq!(decide(&edges, "write", &[u64::MAX]), act::ALLOW);
        assert_eq!(decide(&edges, "close", &[0]), KILL);
        assert_eq!(decide(&edges, "close", &[1 << 63]), act::ALLOW);
        assert_eq!(decide(&edges, "fsync", &[0]), act::ALLOW);
        assert_eq!(decide(&edges, "fsync", &[1 << 40]), KILL);
        for (first, second, action) in [(1, 1, act::ALLOW), (2, 1 << 63, act::ALLOW), (4, 1, KILL), (3, 2, KILL), (0, 0, KILL)] {
            assert_eq!(decide(&edges, "dup", &[first, second]), action, "{first:#x} {second:#x}");
        }
    }

    #[test]
    fn groups_architectures_numbers_and_continued_lines() {
        let filter = whole();
        assert_eq!(decide(&filter, "dup", &[]), act::ALLOW);
        assert_eq!(decide(&filter, "dup3", &[]), act::ALLOW);
        assert_eq!(decide(&filter, "sync", &[]), errno(libc::ENOSYS));
        assert!(!filter.rules.iter().any(|rule| rule.syscall == "fork"), "a rule of another architecture");
        assert_eq!(decide(&filter, "500", &[]), errno(libc::ENOSYS));
        assert_eq!(decide(&filter, "fcntl", &[0, libc::F_SETFD as u64, 1]), act::ALLOW);
        assert_eq!(decide(&filter, "fcntl", &[0, libc::F_SETFD as u64, 0]), KILL);
        assert_eq!(decide(&filter, "fcntl", &[0, libc::F_DUPFD_CLOEXEC as u64]), act::ALLOW);
        let windows = parsed("read: arg0 == 1 || \\\r\n arg0 == 2\r\n\r\nwrite: 1");
        assert_eq!(decide(&windows, "read", &[2]), act::ALLOW);
        assert_eq!(decide(&windows, "write", &[]), act::ALLOW);
    }

    #[test]
    fn a_list_in_braces_gives_the_action_of_the_first_that_holds() {
        let filter = whole();
        let prctl = |option: i32| decide(&filter, "prctl", &[option as u64]);
        assert_eq!(prctl(libc::PR_SET_NAME), act::ALLOW);
        assert_eq!(prctl(libc::PR_SET_SECCOMP), errno(libc::EINVAL));
        assert_eq!(prctl(libc::PR_GET_NAME), act::LOG);
        assert_eq!(prctl(libc::PR_SET_DUMPABLE), errno(libc::EPERM));
    }

    #[test]
    fn lines_for_one_call_add_up_until_it_is_decided() {
        let filter = whole();
        let advice = |advice: i32| decide(&filter, "madvise", &[0, 0, advice as u64]);
        assert_eq!(advice(libc::MADV_DONTNEED), act::ALLOW);
        assert_eq!(advice(libc::MADV_FREE), act::ALLOW);
        assert_eq!(advice(libc::MADV_NORMAL), errno(libc::EINVAL));
        refused("read: 1\nwrite: 1\nread: arg0 == 1", "policy:3:1: \"read\" is already decided, at policy:1");
        refused("{read, write, read}: 1", "policy:1:15: \"read\" is already decided");
        refused("read: arg0 == 0; return 1\nread: arg0 == 1", "policy:2:1: \"read\" is already decided");
        #[cfg(target_arch = "x86_64")]
        refused("read: 1\n0x0: 1", "policy:2:1: \"0x0\" is already decided, at policy:1");
    }

    #[test]
    fn values_are_numbers_constants_and_what_is_made_of_them() {
        for (text, value) in [
            ("10", 10),
            ("0x1F", 31),
            ("0XfF", 255),
            ("010", 8),
            ("0o17", 15),
            ("0", 0),
            ("-1", u64::MAX),
            ("-0x8000000000000000", 1 << 63),
            ("18446744073709551615", u64::MAX),
            ("~0", u64::MAX),
            ("~(1|2)|~-1", !3),
            ("(O_RDWR | (O_SYNC))", (libc::O_RDWR | libc::O_SYNC) as u64),
            ("~O_RDWR", !2),
            ("AT_FDCWD", -100i64 as u64),
        ] {
            let filter = parsed(&format!("read: arg5 == {text}"));
            assert_eq!(filter.rules[0].compares, [Compare::new(5, Cmp::SANDBOX_CMP_EQ, value)], "{text}");
        }
        for text in ["18446744073709551616", "-0x8000000000000001", "09", "0x", "0b1", "1_000", "12three", "0xg", "-", "--1"] {
            let message = failed(format!("read: arg5 == {text}").as_bytes(), None);
            assert!(message.starts_with("policy:1:15: "), "{text}: {message}");
        }
    }

    #[test]
    fn an_error_names_line_column_and_culprit() {
        refused("nonsense: 1", "policy:1:1: there is no system call \"nonsense\"");
        refused("\n  # x\n\tread : arg0 == O_NONSENSE", "policy:3:17: there is no constant \"O_NONSENSE\"");
        refused("read: arg0 == 1 || \\\n  arg0 = 1", "policy:2:8: \"=\" where ==, !=,");
        refused("read", "policy:1:4: the line ends where \":\" should follow");
        refused("read 1", "policy:1:6: \"1\" where \":\" should be");
        refused("read:", "policy:1:5: the line ends where an action should follow");
        refused("read: 0", "policy:1:7: \"0\" where an expression or an action should be");
        refused("read: 1 1", "policy:1:9: \"1\" where the end of the line should be");
        refused("read: arg6 == 1", "policy:1:7: \"arg6\" where an argument, arg0 to arg5, should be");
        refused("read: arg == 1", "policy:1:7: \"arg\" where an argument");
        refused("read: arg0 == 1 &&", "policy:1:18: the line ends where an argument should follow");
        refused("read: arg0 == ", "policy:1:14: the line ends where a number or constant should follow");
        refused("read: arg0 == (1|2", "policy:1:18: the line ends where \")\" should follow");
        refused("read: arg0 == ~~1", "policy:1:16: \"~\" where a number or constant should be");
        refused("read: arg0 in O_RDONLY|", "policy:1:23: the line ends");
        refused("read: return", "policy:1:12: the line ends where an errno should follow");
        refused("read: return 4096", "policy:1:14: \"4096\" where an errno should be");
        refused("read: return -1", "policy:1:14: \"-1\" where an errno should be");
        refused("read: return O_RDWR", "policy:1:14: \"O_RDWR\" where an errno should be");
        refused("read: arg0 == 1; kill", "policy:1:18: \"kill\" where \"return\" should be");
        refused("read: {1, 1}", "policy:1:7: in these braces");
        refused("read: {1", "policy:1:8: the line ends where \"}\" should follow");
        refused("{read, write: 1", "policy:1:13: \":\" where \"}\" should be");
        refused("read[arch=vax]: 1", "policy:1:11: \"vax\" where an architecture should be");
        refused("read[os=linux]: 1", "policy:1:6: \"os\" where \"arch\" should be");
        refused("files@basic: 1", "policy:1:1: \"files@basic\": groups of system calls");
        refused("@nonsense", "policy:1:1: \"@nonsense\" where @include, @frequency or @default should be");
        refused("@frequency", "policy:1:10: the line ends where a path should follow");
        refused("read: \\ 1", "policy:1:7: \"\\\\\" means nothing here");
        refused("read: 1\\", "policy:1:8: the policy ends in the middle of a line");
        refused("read: arg0 == 1 || # one \\\nwrite: 1", "policy:1:26: a comment that ends in \"\\\"");
        assert!(failed(b"read: \xff", None).starts_with("policy:1:7: \"\\xff\" means nothing here"));
        assert!(failed(b"read: 1\0", None).starts_with("policy:1:8: \"\\x00\" means nothing here"));
    }

    #[test]
    fn a_commented_out_block_is_a_comment() {
        let filter = parsed("# read: arg0 == 1 || \\\n#   arg0 == 2 \\\n\nwrite: 1");
        assert_eq!(filter.rules.len(), 1);
        assert!(parsed("").rules.is_empty());
        assert!(parsed("\n \t\n# \u{e9}\n").rules.is_empty());
    }

    #[test]
    fn the_default_stays_the_filters_and_may_not_allow_more_than_the_policy_wants() {
        for (default, line, is_fine) in [
            (act::KILL_PROCESS, "@default kill-process", true),
            (act::KILL_PROCESS, "@default trap", true),
            (act::KILL_THREAD, "@default kill", true),
            (act::KILL_THREAD, "@default kill-process", false),
            (act::ERRNO | 1, "@default trap", false),
            (act::ALLOW, "@default kill", false),
            (act::ALLOW, "@default allow", false),
        ] {
            let mut filter = Filter::new(default);
            assert_eq!(read(&mut filter, line.as_bytes(), None).is_ok(), is_fine, "{default:#x} {line}");
            assert_eq!(filter.default, default);
        }
    }

    #[test]
    fn includes_are_beside_what_includes_them() {
        let filter = whole();
        assert_eq!(decide(&filter, "munmap", &[]), act::ALLOW);
        assert_eq!(decide(&filter, "exit_group", &[]), act::ALLOW);
        assert_eq!(filter.rules[0].syscall, "exit", "in the include's place");

        refused("@include ./x.policy", "policy:1:10: @include \"./x.policy\": no directory to look in was given");
        let here = samples();
        let absolute = format!("@include {}", here.join("parts/exit.policy").display());
        let mut filter = Filter::new(KILL);
        read(&mut filter, absolute.as_bytes(), Some(Path::new("/"))).unwrap();
        assert_eq!(filter.rules.len(), 3);
    }

    #[test]
    fn an_error_in_an_included_file_names_that_file() {
        let here = samples();
        let read = |name: &str| failed(&std::fs::read(here.join(name)).unwrap(), Some(&here));
        assert!(read("bad-include.policy").starts_with("./parts/broken.policy:3:16: there is no constant \"O_NONSENSE\""));
        assert!(read("loop.policy").starts_with("./loop.policy:2:10: @include \"./loop.policy\": too many files"));
        let missing = failed(b"@include ./none.policy", Some(&here));
        assert_eq!(missing, "policy:1:10: @include \"./none.policy\": can't be read: No such file or directory");
        assert!(failed(b"@include /dev/zero", Some(&here)).contains("can't be read"));
        assert!(failed(b"@include .", Some(&here)).contains("can't be read"));
        assert!(failed(b"@include \xff\0", Some(&here)).contains("can't be read"));
    }

    #[test]
    fn what_no_filter_could_hold_is_refused_and_not_built() {
        let product = "read: arg0 & ~0 && arg1 & ~0 && arg2 & ~0";
        refused(product, "policy:1:20: with this the expression takes more rules than a filter can hold");
        let atoms = format!("read: arg0 == 1{}", " && arg0 != 2".repeat(50_000));
        assert!(failed(atoms.as_bytes(), None).contains("more rules than a filter can hold"));
        let lines = "read: arg0 == 1\n".repeat(5000);
        refused(&lines, "policy:4097:1: up to here these are more rules than a filter can hold");
        let nested = format!("read: arg0 == {}1{}", "(".repeat(200_000), ")".repeat(200_000));
        refused(&nested, "policy:1:47: \"(\" where");
        assert!(failed(&vec![b'\n'; LONGEST + 1], None).contains("longer than"));
    }
}
