//! The own generator, for what libseccomp can't express: a table of calls for each architecture, searched by halves, and
//! for each call its rules in their order.

use crate::error::Result;
use crate::seccomp::{act, preset};
use crate::seccomp::addresses::LEADING;
use crate::seccomp::assemble::*;
use crate::seccomp::bpf::Instruction;
use crate::seccomp::filter::{Cmp, Compare, Filter, Rule, number};
use crate::seccomp::ways::way_through;
use libseccomp::ScmpArch;

/// Keeps `keys` in order; false where it is among them already. With its code shared by all that is to be in order
/// here, a list that is moved for each is much smaller than a tree, and for as many as a filter holds no slower.
pub fn add(keys: &mut Vec<u64>, key: u64) -> bool {
    let at = keys.partition_point(|before| *before < key);
    if keys.get(at) == Some(&key) {
        return false;
    }
    keys.insert(at, key);
    true
}

/// A key of `add`'s: in the order of `number`, then of `second`.
pub fn key(number: u32, second: usize) -> u64 {
    u64::from(number) << 32 | second as u64
}

fn parts(key: u64) -> (u32, usize) {
    ((key >> 32) as u32, key as u32 as usize)
}

const NR: u32 = 0;
const ARCH: u32 = 4;
const X32_BIT: u32 = 0x4000_0000;
/// Of an AUDIT_ARCH_*: its arguments have 64 bits. The others can't name an address of a 64-bit kernel's.
const WIDE: u32 = 0x8000_0000;

pub fn audit_arch(arch: ScmpArch) -> Option<(u32, bool)> {
    Some(match arch {
        ScmpArch::X8664 => (0xc000_003e, false),
        ScmpArch::X32 => (0xc000_003e, true),
        ScmpArch::X86 => (0x4000_0003, false),
        ScmpArch::Aarch64 => (0xc000_00b7, false),
        ScmpArch::Arm => (0x4000_0028, false),
        ScmpArch::Riscv64 => (0xc000_00f3, false),
        ScmpArch::Ppc64Le => (0xc000_0015, false),
        ScmpArch::S390X => (0x8000_0016, false),
        _ => return None,
    })
}

/// What the machine's own system calls carry.
pub fn native_audit_arch() -> u32 {
    audit_arch(ScmpArch::native()).map_or(0, |(audit, _)| audit)
}

pub fn generate(filter: &Filter) -> Result<Vec<Instruction>> {
    let mut code = Code::default();
    code.plain(LOAD, ARCH);
    let mut audits = Vec::new();
    for arch in &filter.arches {
        if let Some((audit, _)) = audit_arch(*arch) {
            add(&mut audits, key(audit, 0));
        }
    }
    for audit in audits {
        let (audit, _) = parts(audit);
        let (mut those, mut plain, mut x32) = (Vec::new(), None, None);
        for arch in &filter.arches {
            let Some((other, is_x32)) = audit_arch(*arch) else { continue };
            if other == audit {
                those.push(*arch);
                (if is_x32 { &mut x32 } else { &mut plain }).get_or_insert(*arch);
            }
        }
        let (inside, next) = (code.label(), code.label());
        code.branch(JEQ, audit, inside, next);
        code.here(inside);
        code.plain(LOAD, NR);
        if filter.refuses_kernel_pointers && audit & WIDE != 0 {
            refuse_kernel_pointers(&mut code, &those);
            code.plain(LOAD, NR);
        }
        if audit == 0xc000_003e {
            // A tracer that skips a call leaves -1 for its number, which is no call of the x32 kind. Asked last: at every
            // start the kernel runs the filter once for each call that there is.
            let (skipped, is_x32, is_plain, is_high) = (code.label(), code.label(), code.label(), code.label());
            code.branch(JGE, X32_BIT, is_high, is_plain);
            code.here(is_high);
            code.branch(JEQ, u32::MAX, skipped, is_x32);
            code.here(skipped);
            code.plain(RETURN, filter.default);
            code.here(is_x32);
            table(&mut code, filter, x32)?;
            code.here(is_plain);
        }
        table(&mut code, filter, plain)?;
        code.here(next);
    }
    code.plain(RETURN, act::KILL_PROCESS);
    Ok(share_returns(code.assemble()))
}

/// Where each run of numbers begins whose calls have all their addresses in as many leading arguments.
fn leading_addresses(arches: &[ScmpArch]) -> Vec<(u32, usize)> {
    let mut calls = Vec::new();
    for (names, count) in LEADING.iter().zip(1..) {
        for name in names.split(' ') {
            for arch in arches {
                if let Some(number) = number(name, *arch) {
                    add(&mut calls, key(number.cast_unsigned(), count));
                }
            }
        }
    }
    let mut runs = vec![(0, 0)];
    let mut next = 0;
    for (at, call) in calls.iter().enumerate() {
        let (number, count) = parts(*call);
        // Of two counts the larger one.
        if calls.get(at + 1).is_some_and(|other| parts(*other).0 == number) {
            continue;
        }
        if number != next {
            add_run(&mut runs, next, 0);
        }
        add_run(&mut runs, number, count);
        next = number + 1;
    }
    add_run(&mut runs, next, 0);
    runs
}

fn add_run(runs: &mut Vec<(u32, usize)>, first: u32, count: usize) {
    if runs.last().is_some_and(|(_, last)| *last != count) {
        runs.push((first, count));
    }
}

/// The accumulator holds the call's number; where nothing is refused it goes on behind.
fn refuse_kernel_pointers(code: &mut Code, arches: &[ScmpArch]) {
    let (refused, passed) = (code.label(), code.label());
    let mut from = vec![passed]; // by how many arguments are looked at: the last one first, then those before it
    from.extend((0..6).map(|_| code.label()));
    choose(code, &leading_addresses(arches), &from);
    for (index, from) in (0..6u32).zip(from.into_iter().skip(1)).rev() {
        let (high, top, text, next) = (code.label(), code.label(), code.label(), code.label());
        code.here(from);
        code.plain(LOAD, 20 + index * 8);
        code.branch(JGE, preset::KERNEL_HALVES.0, high, next);
        code.here(high);
        code.branch(JGE, preset::KERNEL_HALVES.1, top, refused);
        code.here(top);
        if cfg!(target_arch = "x86_64") {
            let low = code.label();
            code.branch(JEQ, u32::MAX, text, next);
            code.here(text);
            code.plain(LOAD, 16 + index * 8);
            code.branch(JGE, preset::KERNEL_TEXT.0, low, next);
            code.here(low);
            code.branch(JGE, preset::KERNEL_TEXT.1, next, refused);
        } else {
            code.here(text);
        }
        code.here(next);
    }
    code.branch(JGE, 0, passed, passed);
    code.here(refused);
    code.plain(RETURN, preset::EFAULT);
    code.here(passed);
}

/// A binary search for the run that the number lies in.
fn choose(code: &mut Code, runs: &[(u32, usize)], targets: &[Label]) {
    let (low, high) = runs.split_at(runs.len() / 2);
    let Some((first, _)) = high.first() else { return };
    let ends_at = |part: &[(u32, usize)]| match part {
        [(_, count)] => targets.get(*count).copied(),
        _ => None,
    };
    let (below, above) = (ends_at(low), ends_at(high));
    let (to_low, to_high) = (below.unwrap_or_else(|| code.label()), above.unwrap_or_else(|| code.label()));
    if low.is_empty() {
        code.branch(JGE, 0, to_high, to_high);
        return;
    }
    code.branch(JGE, *first, to_high, to_low);
    for (part, end, to) in [(low, below, to_low), (high, above, to_high)] {
        if end.is_none() {
            code.here(to);
            choose(code, part, targets);
        }
    }
}

/// The rules of one architecture, by number; the accumulator holds the call's.
fn table(code: &mut Code, filter: &Filter, arch: Option<ScmpArch>) -> Result<()> {
    let Some(arch) = arch else {
        code.plain(RETURN, act::KILL_PROCESS);
        return Ok(());
    };
    let mut table = Table { default: filter.default, entries: Vec::new(), order: Vec::new() };
    for (position, rule) in filter.rules.iter().enumerate() {
        if let Some(number) = number(&rule.syscall, arch) {
            table.enter(number.cast_unsigned(), rule, None);
        } else if let Some(way) = way_through(&rule.syscall, arch) {
            if let Some(direct) = way.direct(&rule.syscall, arch)? {
                table.enter(direct, rule, None);
            }
            if let Some(selects) = way.selects(filter, position)? {
                table.enter(way.number, rule, Some(selects));
            }
        }
    }
    let spans = table.spans();
    table.search(code, &spans);
    Ok(())
}

struct Table<'a> {
    default: u32,
    entries: Vec<Entry<'a>>,
    /// By number, then by entry.
    order: Vec<u64>,
}

struct Entry<'a> {
    rule: &'a Rule,
    /// Instead of the rule's own comparisons.
    selects: Option<Compare>,
}

impl Entry<'_> {
    fn compares(&self) -> &[Compare] {
        self.selects.as_ref().map_or(&self.rule.compares, std::slice::from_ref)
    }
}

/// Numbers that all get the same, up to the next span's first.
struct Span {
    first: u32,
    /// Of the order: what decides. None: the action always.
    rules: (usize, usize),
    action: u32,
}

impl Span {
    fn is_plain(&self) -> bool {
        self.rules.0 == self.rules.1
    }
}

impl<'a> Table<'a> {
    fn enter(&mut self, number: u32, rule: &'a Rule, selects: Option<Compare>) {
        add(&mut self.order, key(number, self.entries.len()));
        self.entries.push(Entry { rule, selects });
    }

    fn entry(&self, key: u64) -> Option<&Entry<'a>> {
        self.entries.get(parts(key).1)
    }

    /// All numbers, from 0: an allowance of most calls is a few long spans.
    fn spans(&self) -> Vec<Span> {
        let mut spans = vec![Span { first: 0, rules: (0, 0), action: self.default }];
        let mut at = 0;
        while let Some(first) = self.order.get(at) {
            let (start, (number, _)) = (at, parts(*first));
            while self.order.get(at).is_some_and(|key| parts(*key).0 == number) {
                at += 1;
            }
            let always = self.entry(*first).filter(|entry| entry.compares().is_empty());
            let span = match always {
                Some(entry) => Span { first: number, rules: (0, 0), action: entry.rule.action },
                None => Span { first: number, rules: (start, at), action: 0 },
            };
            add_span(&mut spans, span);
            add_span(&mut spans, Span { first: number.saturating_add(1), rules: (0, 0), action: self.default });
        }
        spans
    }

    /// A binary search over the spans, then each call's rules in their order.
    fn search(&self, code: &mut Code, spans: &[Span]) {
        match spans {
            [] => code.plain(RETURN, self.default),
            [span] if span.is_plain() => code.plain(RETURN, span.action),
            [span] => self.rules_of_one(code, span.rules),
            _ => {
                let (low, high) = spans.split_at(spans.len() / 2);
                let (above, below) = (code.label(), code.label());
                code.branch(JGE, high.first().map_or(0, |span| span.first), above, below);
                code.here(below);
                self.search(code, low);
                code.here(above);
                self.search(code, high);
            }
        }
    }

    fn rules_of_one(&self, code: &mut Code, (from, to): (usize, usize)) {
        for key in self.order.get(from..to).unwrap_or(&[]) {
            let Some(entry) = self.entry(*key) else { continue };
            let next = code.label();
            for compare in entry.compares() {
                compare_one(code, compare, next);
            }
            code.plain(RETURN, entry.rule.action);
            code.here(next);
            if entry.compares().is_empty() {
                return; // nothing behind it is ever reached
            }
        }
        code.plain(RETURN, self.default);
    }
}

fn add_span(spans: &mut Vec<Span>, span: Span) {
    if spans.last().is_some_and(|last| last.first == span.first) {
        spans.pop();
    }
    let goes_on = |last: &Span| last.is_plain() && span.is_plain() && last.action == span.action;
    if !spans.last().is_some_and(goes_on) {
        spans.push(span);
    }
}

/// Goes on where the comparison holds, to `fails` where not. The halves of an argument lie low first: both
/// architectures of this library are little-endian.
fn compare_one(code: &mut Code, compare: &Compare, fails: Label) {
    let low_at = 16 + compare.index * 8;
    let [low, high] = [compare.value as u32, (compare.value >> 32) as u32];
    let (holds, equal) = (code.label(), code.label());
    match compare.op {
        Cmp::SANDBOX_CMP_EQ | Cmp::SANDBOX_CMP_MASKED_EQ => {
            let mask = if compare.op == Cmp::SANDBOX_CMP_EQ { u64::MAX } else { compare.mask };
            let [low_mask, high_mask] = [mask as u32, (mask >> 32) as u32];
            // A half of which nothing is looked at needs no instructions.
            if high_mask != 0 || high != 0 {
                half(code, low_at + 4, high_mask, high, equal, fails);
            }
            code.here(equal);
            if low_mask != 0 || low != 0 {
                half(code, low_at, low_mask, low, holds, fails);
            }
        }
        Cmp::SANDBOX_CMP_NE => {
            half(code, low_at + 4, u32::MAX, high, equal, holds);
            code.here(equal);
            half(code, low_at, u32::MAX, low, fails, holds);
        }
        Cmp::SANDBOX_CMP_GT => ordered(code, (low_at, JGT), (low, high), holds, fails),
        Cmp::SANDBOX_CMP_GE => ordered(code, (low_at, JGE), (low, high), holds, fails),
        Cmp::SANDBOX_CMP_LE => ordered(code, (low_at, JGT), (low, high), fails, holds),
        Cmp::SANDBOX_CMP_LT => ordered(code, (low_at, JGE), (low, high), fails, holds),
    }
    code.here(holds);
}

fn half(code: &mut Code, at: u32, mask: u32, value: u32, yes: Label, no: Label) {
    code.plain(LOAD, at);
    if mask != u32::MAX {
        code.plain(AND, mask);
    }
    code.branch(JEQ, value, yes, no);
}

fn ordered(code: &mut Code, (low_at, last): (u32, u16), (low, high): (u32, u32), yes: Label, no: Label) {
    let equal = code.label();
    code.plain(LOAD, low_at + 4);
    if high == 0 {
        code.branch(JEQ, 0, equal, yes);
    } else {
        code.otherwise(JGT, high, yes);
        code.branch(JEQ, high, equal, no);
    }
    code.here(equal);
    code.plain(LOAD, low_at);
    code.branch(last, low, yes, no);
}
