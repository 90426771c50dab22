//! The grammar of one line: names, verdicts, expressions and their values.

use super::tokens::*;
use super::DEEPEST_PARENTHESES;
use crate::error::{Error, Result};
use crate::seccomp::filter::{Cmp, Compare};
use crate::seccomp::{act, bpf, constants};

/// What one line says of its system calls: for what the expression holds for (all: none), this action.
pub struct Verdict {
    pub clauses: Option<Vec<Vec<Compare>>>,
    pub action: u32,
}

/// The tokens of one line that are still to be read, continuation lines included.
pub struct Line<'s, 't> {
    pub source: &'s Source,
    pub tokens: &'t [Token<'t>],
    pub end: Place,
}

impl<'t> Line<'_, 't> {
    pub fn peek(&self) -> Option<Token<'t>> {
        self.tokens.first().copied()
    }

    pub fn next(&mut self, wanted: &str) -> Result<Token<'t>> {
        let (first, rest) =
            self.tokens.split_first().ok_or_else(|| self.source.wrong(self.end, &format!("the line ends where {wanted} should follow")))?;
        self.tokens = rest;
        Ok(*first)
    }

    pub fn unexpected(&self, token: &Token, wanted: &str) -> Error {
        self.source.wrong(token.place, &format!("{} where {wanted} should be", token.quoted()))
    }

    /// Whether the next token is this one, which is then read.
    pub fn takes(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(sign));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    pub fn sign(&mut self, sign: &str) -> Result<()> {
        let token = self.next(&format!("\"{sign}\""))?;
        if token.is(sign) { Ok(()) } else { Err(self.unexpected(&token, &format!("\"{sign}\""))) }
    }

    /// `name` or `{ name, name }`, each with its `[arch=…]`: those for this architecture.
    pub fn names(&mut self) -> Result<Vec<Token<'t>>> {
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
    pub fn here(&mut self) -> Result<bool> {
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

    pub fn verdicts(&mut self) -> Result<Vec<Verdict>> {
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
    pub fn plain(&mut self) -> Result<Vec<Verdict>> {
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
    pub fn compares_next(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == Kind::Word && token.text.starts_with(b"arg"))
    }

    pub fn action(&mut self) -> Result<u32> {
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

    pub fn errno(&mut self) -> Result<u32> {
        let token = self.next("an errno")?;
        let errno = match token.kind {
            Kind::Number => number(token.str()).and_then(|errno| u32::try_from(errno).ok()).filter(|errno| *errno <= 4095),
            _ => constants::errno(token.str()).map(u32::from),
        };
        errno.ok_or_else(|| self.unexpected(&token, "an errno"))
    }

    /// `clause || clause`
    pub fn expression(&mut self) -> Result<Vec<Vec<Compare>>> {
        let mut clauses = self.clause()?;
        while self.takes("||") {
            clauses.append(&mut self.clause()?);
        }
        Ok(clauses)
    }

    /// `atom && atom`, as the rules that say it: one, except where an atom has several ways to hold.
    pub fn clause(&mut self) -> Result<Vec<Vec<Compare>>> {
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
    pub fn atom(&mut self) -> Result<Option<Vec<Compare>>> {
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
    pub fn value(&mut self, depth: usize) -> Result<u64> {
        let mut value = self.constant(depth)?;
        while self.takes("|") {
            value |= self.constant(depth)?;
        }
        Ok(value)
    }

    pub fn constant(&mut self, depth: usize) -> Result<u64> {
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
pub fn number(text: &str) -> Option<u64> {
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
pub const ARCHITECTURES: [&[&str]; 12] = [
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
