//! From rules to instructions. libseccomp compiles what it can express exactly: one rule a system call, one comparison
//! an argument. What it can't (several rules in order, ranges) is generated here, with the same meaning: the first rule
//! that applies decides, none of them the default.

use crate::error::{Error, Result, Stage};
use crate::seccomp::addresses::LEADING;
use crate::seccomp::{act, preset};
use crate::seccomp::bpf::{Instruction, LONGEST};
use crate::seccomp::filter::{Cmp, Compare, Filter, Rule, number};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;

fn bad(errno: i32, what: impl std::fmt::Display) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
}

/// Keeps `keys` in order; false where it is among them already. With its code shared by all that is to be in order
/// here, a list that is moved for each is much smaller than a tree, and for as many as a filter holds no slower.
fn add(keys: &mut Vec<u64>, key: u64) -> bool {
    let at = keys.partition_point(|before| *before < key);
    if keys.get(at) == Some(&key) {
        return false;
    }
    keys.insert(at, key);
    true
}

/// A key of `add`'s: in the order of `number`, then of `second`.
fn key(number: u32, second: usize) -> u64 {
    u64::from(number) << 32 | second as u64
}

fn parts(key: u64) -> (u32, usize) {
    ((key >> 32) as u32, key as u32 as usize)
}

pub fn compile(filter: &Filter) -> Result<Vec<Instruction>> {
    let instructions = match with_libseccomp(filter) {
        Some(instructions) => instructions,
        None => generate(filter)?,
    };
    if instructions.len() > LONGEST {
        return Err(bad(libc::E2BIG, format_args!("a filter of {} instructions, the most is {LONGEST}", instructions.len())));
    }
    Ok(instructions)
}

// libseccomp

/// `None` where libseccomp can't express the rules exactly, or refuses them (as where it can't probe the kernel).
pub fn with_libseccomp(filter: &Filter) -> Option<Vec<Instruction>> {
    if !is_expressible(filter) {
        return None;
    }
    let mut context = ScmpFilterContext::new(scmp_action(filter.default)?).ok()?;
    context.set_act_badarch(ScmpAction::KillProcess).ok()?;
    context.set_ctl_optimize(2).ok()?; // a tree, where the library is new enough to have it
    for arch in &filter.arches {
        context.add_arch(*arch).ok()?;
    }
    for rule in &filter.rules {
        let Ok(call) = ScmpSyscall::from_name(&rule.syscall) else { return None };
        let compares: Vec<ScmpArgCompare> = rule.compares.iter().map(scmp_compare).collect();
        context.add_rule_conditional(scmp_action(rule.action)?, call, &compares).ok()?;
    }
    export(&context)
}

fn is_expressible(filter: &Filter) -> bool {
    if filter.refuses_kernel_pointers {
        return false;
    }
    // It looks at the lower halves only where the architecture has 32 bits, of the value too, and for x32, whose
    // arguments have 64; and at no bit of a value outside its mask.
    let is_short = filter.arches.iter().any(|arch| matches!(arch, ScmpArch::X86 | ScmpArch::X32 | ScmpArch::Arm));
    let has_i386 = filter.arches.contains(&ScmpArch::X86);
    let mut calls = Vec::new();
    for rule in &filter.rules {
        let mut seen = 0;
        for compare in &rule.compares {
            let bit = 1u32.checked_shl(compare.index).unwrap_or(0);
            let is_distinct = compare.index < 6 && seen & bit == 0;
            if !is_distinct || is_short || compare.value & !compare.mask != 0 {
                return false;
            }
            seen |= bit;
        }
        // Of a call that has a way through socketcall or ipc it drops or misplaces the comparisons on that way, and looks at
        // more of ipc's selector than the kernel does.
        let is_direct = !(has_i386 && way_through(&rule.syscall, ScmpArch::X86).is_some());
        // A number names a call of the native architecture alone.
        if !is_direct || rule.action == filter.default || rule.syscall.parse::<i32>().is_ok() {
            return false;
        }
        // A second rule is merged into one tree with the first, and of some such trees libseccomp 2.5 loses branches:
        // only where nothing is compared is it left to do that.
        let Ok(call) = ScmpSyscall::from_name(&rule.syscall) else { return false };
        if !add(&mut calls, key(i32::from(call).cast_unsigned(), 0)) {
            return false;
        }
    }
    true
}

fn scmp_action(action: u32) -> Option<ScmpAction> {
    let data = action & !act::MASK;
    Some(match action & act::MASK {
        act::KILL_PROCESS => ScmpAction::KillProcess,
        act::KILL_THREAD => ScmpAction::KillThread,
        act::TRAP => ScmpAction::Trap,
        act::NOTIFY => ScmpAction::Notify,
        act::LOG => ScmpAction::Log,
        act::ALLOW => ScmpAction::Allow,
        act::ERRNO => ScmpAction::Errno(data.cast_signed()),
        act::TRACE => ScmpAction::Trace(u16::try_from(data).ok()?),
        _ => return None,
    })
}

fn scmp_compare(compare: &Compare) -> ScmpArgCompare {
    let op = match compare.op {
        Cmp::SANDBOX_CMP_EQ => ScmpCompareOp::Equal,
        Cmp::SANDBOX_CMP_NE => ScmpCompareOp::NotEqual,
        Cmp::SANDBOX_CMP_LT => ScmpCompareOp::Less,
        Cmp::SANDBOX_CMP_LE => ScmpCompareOp::LessOrEqual,
        Cmp::SANDBOX_CMP_GE => ScmpCompareOp::GreaterEqual,
        Cmp::SANDBOX_CMP_GT => ScmpCompareOp::Greater,
        Cmp::SANDBOX_CMP_MASKED_EQ => ScmpCompareOp::MaskedEqual(compare.mask),
    };
    ScmpArgCompare::new(compare.index, op, compare.value)
}

fn export(context: &ScmpFilterContext) -> Option<Vec<Instruction>> {
    let memory = crate::trampoline::memory(0).ok()?;
    context.export_bpf(memory.as_fd()).ok()?;
    let mut file = File::from(memory);
    let mut bytes = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some(instructions(&bytes))
}

/// From the kernel's own form, 8 bytes each; a rest of fewer is dropped.
pub fn instructions(bytes: &[u8]) -> Vec<Instruction> {
    let (whole, _) = bytes.as_chunks::<8>();
    whole.iter().map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| Instruction {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    }).collect()
}

// The own generator

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const NR: u32 = 0;
const ARCH: u32 = 4;
const X32_BIT: u32 = 0x4000_0000;
/// Of an AUDIT_ARCH_*: its arguments have 64 bits. The others can't name an address of a 64-bit kernel's.
const WIDE: u32 = 0x8000_0000;

#[derive(Clone, Copy)]
struct Label(usize);

#[derive(Clone, Copy)]
struct Item {
    code: u16,
    k: u32,
    /// Of a conditional jump, which goes forwards: where to, by its answer.
    to: Option<[Label; 2]>,
    /// A distance does not fit its byte.
    is_long: bool,
}

#[derive(Default)]
struct Code {
    items: Vec<Item>,
    /// The item that each label stands before.
    labels: Vec<usize>,
}

impl Code {
    fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    fn here(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = self.items.len();
        }
    }

    fn plain(&mut self, code: u16, k: u32) {
        self.items.push(Item { code, k, to: None, is_long: false });
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) {
        self.items.push(Item { code, k, to: Some([yes, no]), is_long: false });
    }

    /// Goes on at `yes` where the accumulator equals `k`, else right here.
    fn otherwise(&mut self, code: u16, k: u32, yes: Label) {
        let next = self.label();
        self.branch(code, k, yes, next);
        self.here(next);
    }

    /// A branch is one instruction while both distances fit, else three; making one long can only make others longer.
    fn assemble(&mut self) -> Vec<Instruction> {
        loop {
            let places = self.places();
            let Code { items, labels } = self;
            let mut is_settled = true;
            for (item, at) in items.iter_mut().zip(&places) {
                let Some([yes, no]) = item.to else { continue };
                if !item.is_long && distance(labels, &places, yes, *at).max(distance(labels, &places, no, *at)) > 255 {
                    item.is_long = true;
                    is_settled = false;
                }
            }
            if is_settled {
                return self.emit(&places);
            }
        }
    }

    /// Where each item comes to lie, and the end.
    fn places(&self) -> Vec<u32> {
        let mut places = Vec::with_capacity(self.items.len() + 1);
        let mut at = 0;
        for item in &self.items {
            places.push(at);
            at += if item.is_long { 3 } else { 1 };
        }
        places.push(at);
        places
    }

    fn emit(&self, places: &[u32]) -> Vec<Instruction> {
        let mut out = Vec::with_capacity(places.len());
        for (item, at) in self.items.iter().zip(places) {
            let mut one = Instruction { code: item.code, jt: 0, jf: 0, k: item.k };
            let Some([yes, no]) = item.to else {
                out.push(one);
                continue;
            };
            if item.is_long {
                one.jf = 1;
                out.push(one);
                for (label, step) in [(yes, 1), (no, 2)] {
                    out.push(Instruction { code: JUMP, jt: 0, jf: 0, k: distance(&self.labels, places, label, at + step) });
                }
            } else {
                one.jt = byte(distance(&self.labels, places, yes, *at));
                one.jf = byte(distance(&self.labels, places, no, *at));
                out.push(one);
            }
        }
        out
    }
}

/// What a jump at `from` skips to arrive at `label`.
fn distance(labels: &[usize], places: &[u32], label: Label, from: u32) -> u32 {
    let place = labels.get(label.0).and_then(|item| places.get(*item)).copied().unwrap_or(0);
    place.saturating_sub(from + 1)
}

/// Of a distance that was found to fit.
fn byte(distance: u32) -> u8 {
    u8::try_from(distance).unwrap_or(u8::MAX)
}

fn is_branch(code: u16) -> bool {
    code & 7 == 5 && code != JUMP
}

/// The last of the returns equal to the one `distance` behind `at` that a jump from there reaches.
fn furthest(code: &[Instruction], at: usize, distance: u8) -> u8 {
    let behind = code.get(at + 1..).unwrap_or(&[]);
    let Some(target) = behind.get(usize::from(distance)).filter(|target| target.code == RETURN) else { return distance };
    let mut furthest = u8::MAX;
    while furthest > distance && behind.get(usize::from(furthest)) != Some(target) {
        furthest -= 1;
    }
    furthest
}

/// A jump to a return goes to the last equal one that it reaches; the others, which nothing reaches any more, go. The
/// kernel translates every instruction anew for each program that is started. No jump gets longer by it.
fn share_returns(mut code: Vec<Instruction>) -> Vec<Instruction> {
    // By place: whether something goes there, which is known once all before it are seen.
    let mut is_reached = vec![false; code.len()];
    if let Some(first) = is_reached.first_mut() {
        *first = true;
    }
    let mut places = Vec::with_capacity(code.len());
    let mut place = 0u32;
    for at in 0..code.len() {
        let Some(mut one) = code.get(at).copied() else { break };
        places.push(place);
        if is_reached.get(at) != Some(&true) {
            continue;
        }
        place += 1;
        let targets = match one.code {
            RETURN => continue,
            JUMP => [one.k; 2],
            other if is_branch(other) => {
                (one.jt, one.jf) = (furthest(&code, at, one.jt), furthest(&code, at, one.jf));
                [one.jt.into(), one.jf.into()]
            }
            _ => [0; 2],
        };
        for target in targets {
            if let Some(reached) = is_reached.get_mut(at + 1 + target as usize) {
                *reached = true;
            }
        }
        if let Some(changed) = code.get_mut(at) {
            *changed = one;
        }
    }
    let moved = |at: usize, distance: u32| {
        let (to, from) = (places.get(at + 1 + distance as usize), places.get(at));
        to.zip(from).map_or(0, |(to, from)| to.saturating_sub(from + 1))
    };
    let mut out = Vec::with_capacity(code.len());
    for (at, one) in code.iter().enumerate() {
        let mut one = *one;
        if is_reached.get(at) != Some(&true) {
            continue;
        }
        if one.code == JUMP {
            one.k = moved(at, one.k);
        } else if is_branch(one.code) {
            (one.jt, one.jf) = (byte(moved(at, one.jt.into())), byte(moved(at, one.jf.into())));
        }
        out.push(one);
    }
    out
}

/// AUDIT_ARCH_*, and whether its calls carry the x32 bit.
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

/// A call's way through another: a selector in the first argument, the call's own arguments behind it, or in memory.
struct Way {
    through: &'static str,
    number: u32,
    selector: u32,
    /// What of the first argument the kernel looks at.
    mask: u64,
}

/// libseccomp has negative numbers for such calls, in which the selector stands; also where there is no such way.
fn way_through(name: &str, arch: ScmpArch) -> Option<Way> {
    if matches!(arch, ScmpArch::X8664 | ScmpArch::X32 | ScmpArch::Aarch64 | ScmpArch::Arm | ScmpArch::Riscv64) {
        return None;
    }
    let pseudo = i32::from(ScmpSyscall::from_name_by_arch(name, arch).ok()?);
    match pseudo {
        -120..=-101 => Some(Way { through: "socketcall", number: 102, selector: pseudo.unsigned_abs() - 100, mask: 0xffff_ffff }),
        -299..=-201 => Some(Way { through: "ipc", number: 117, selector: pseudo.unsigned_abs() - 200, mask: 0xffff }),
        _ => None,
    }
}

impl Way {
    /// The number that the call has besides, since Linux 4.3 and 5.1: only i386's are known here.
    fn direct(&self, name: &str, arch: ScmpArch) -> Result<Option<u32>> {
        const SOCKET: [u16; 21] =
            [0, 359, 361, 362, 363, 0, 367, 368, 360, 0, 0, 369, 371, 373, 366, 365, 370, 372, 364, 337, 345];
        const IPC: [u16; 25] = [0, 0, 393, 394, 0, 0, 0, 0, 0, 0, 0, 400, 401, 399, 402, 0, 0, 0, 0, 0, 0, 397, 398, 395, 396];
        if arch != ScmpArch::X86 {
            let arch = if arch == ScmpArch::S390X { "s390x" } else { "ppc64le" };
            return Err(bad(libc::EOPNOTSUPP, format_args!("rules of different actions, or several comparisons of one argument, for {name} on {arch}")));
        }
        let direct = if self.number == 102 { SOCKET.get(self.selector as usize) } else { IPC.get(self.selector as usize) };
        Ok(direct.filter(|number| **number != 0).map(|number| (*number).into()))
    }

    /// For the rule at `position` the comparison that stands for it on the way. There no filter sees what it compares, so
    /// it may apply or not: it always does where nothing that may decide in its place is stricter, else never, and the
    /// stricter one does. So nothing is allowed that the rules forbid.
    fn selects(&self, filter: &Filter, position: usize) -> Result<Option<Compare>> {
        let Some((rule, behind)) = filter.rules.get(position..).and_then(<[Rule]>::split_first) else { return Ok(None) };
        let always = Some(Compare::masked(0, self.mask, self.selector.into()));
        if rule.compares.is_empty() {
            return Ok(always);
        }
        let strictness = act::precedence(rule.action);
        for other in behind {
            if other.syscall == self.through && !other.compares.is_empty() {
                return Err(bad(libc::EOPNOTSUPP, format_args!("comparisons both of {} and of {}", self.through, rule.syscall)));
            }
            if other.syscall != rule.syscall && other.syscall != self.through {
                continue;
            }
            if act::precedence(other.action) < strictness {
                return Ok(None);
            }
            if other.compares.is_empty() {
                return Ok(always);
            }
        }
        Ok(if act::precedence(filter.default) >= strictness { always } else { None })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::bpf::{self, Call};
    use crate::seccomp::filter::is_known;

    /// Deterministic: the seed is the test's, printed where it fails.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mixed = self.0 ^ (self.0 >> 29);
            mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (mixed >> 32)
        }

        fn below(&mut self, limit: u64) -> u64 {
            self.next() % limit
        }

        /// Values that comparisons stumble over.
        fn value(&mut self) -> u64 {
            let edges = [0, 1, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, u64::MAX - 1, u64::MAX];
            edges[self.below(edges.len() as u64) as usize]
        }
    }

    const CALLS: [&str; 12] = ["read", "write", "openat", "close", "ioctl", "clone", "socket", "connect", "execve", "mmap", "prctl", "futex"];
    const ACTIONS: [u32; 5] = [act::ALLOW, act::KILL_PROCESS, act::ERRNO | 1, act::ERRNO | 38, act::TRAP];

    fn random_filter(random: &mut Random, is_simple: bool) -> Filter {
        let mut filter = Filter::new(ACTIONS[random.below(2) as usize]);
        let action = act::ERRNO | 13;
        for _ in 0..random.below(20) {
            let call = CALLS[random.below(12) as usize];
            if is_simple && filter.rules.iter().any(|rule| rule.syscall == call) {
                continue;
            }
            let mut compares = Vec::new();
            for index in 0..6 {
                if random.below(4) == 0 {
                    let op = [Cmp::SANDBOX_CMP_EQ, Cmp::SANDBOX_CMP_NE, Cmp::SANDBOX_CMP_LT, Cmp::SANDBOX_CMP_LE, Cmp::SANDBOX_CMP_GE,
                        Cmp::SANDBOX_CMP_GT, Cmp::SANDBOX_CMP_MASKED_EQ][random.below(7) as usize];
                    let mask = if op == Cmp::SANDBOX_CMP_MASKED_EQ { random.value() } else { u64::MAX };
                    compares.push(Compare { index, op, value: random.value() & mask, mask });
                    if !is_simple && random.below(3) == 0 {
                        compares.push(Compare::new(index, Cmp::SANDBOX_CMP_LE, random.value()));
                    }
                }
            }
            let action = if is_simple { action } else { ACTIONS[random.below(5) as usize] };
            filter.rule(action, call, &compares).unwrap();
        }
        filter
    }

    fn random_call(random: &mut Random) -> Call {
        let name = CALLS[random.below(12) as usize];
        let nr = number(name, ScmpArch::native()).unwrap();
        Call { arch: native_audit_arch(), nr, ip: random.next(), args: std::array::from_fn(|_| random.value()) }
    }

    /// What the rules say, read as a person would.
    fn meant(filter: &Filter, call: &Call) -> u32 {
        let holds = |compare: &Compare| {
            let (argument, value) = (call.args[compare.index as usize], compare.value);
            match compare.op {
                Cmp::SANDBOX_CMP_EQ => argument == value,
                Cmp::SANDBOX_CMP_NE => argument != value,
                Cmp::SANDBOX_CMP_LT => argument < value,
                Cmp::SANDBOX_CMP_LE => argument <= value,
                Cmp::SANDBOX_CMP_GE => argument >= value,
                Cmp::SANDBOX_CMP_GT => argument > value,
                Cmp::SANDBOX_CMP_MASKED_EQ => argument & compare.mask == value,
            }
        };
        let applies = |rule: &&Rule| number(&rule.syscall, ScmpArch::native()) == Some(call.nr) && rule.compares.iter().all(holds);
        filter.rules.iter().find(applies).map_or(filter.default, |rule| rule.action)
    }

    #[test]
    fn the_generator_says_what_the_rules_say() {
        for seed in 0..400 {
            let mut random = Random(seed);
            let filter = random_filter(&mut random, false);
            let instructions = generate(&filter).unwrap();
            bpf::verify(&instructions).unwrap();
            for _ in 0..100 {
                let call = random_call(&mut random);
                assert_eq!(bpf::run(&instructions, &call), meant(&filter, &call), "seed {seed}, {call:?}");
            }
        }
    }

    #[test]
    fn libseccomp_and_the_generator_agree_where_both_can() {
        let mut compared = 0;
        for seed in 1000..1400 {
            let mut random = Random(seed);
            let filter = random_filter(&mut random, true);
            let Some(theirs) = with_libseccomp(&filter) else { continue };
            let ours = generate(&filter).unwrap();
            for _ in 0..100 {
                let call = random_call(&mut random);
                assert_eq!(bpf::run(&theirs, &call), bpf::run(&ours, &call), "seed {seed}, {call:?}");
                compared += 1;
            }
        }
        assert!(compared > 10_000, "{compared}");
    }

    #[test]
    fn foreign_architectures_and_x32_end_the_program_unless_added() {
        let mut filter = Filter::new(act::ALLOW);
        filter.rule(act::ERRNO | 1, "read", &[Compare::new(0, Cmp::SANDBOX_CMP_GE, 3), Compare::new(0, Cmp::SANDBOX_CMP_LE, 9)]).unwrap();
        for instructions in [generate(&filter).unwrap(), with_libseccomp(&Filter::new(act::ALLOW)).unwrap()] {
            let call = |arch, nr| bpf::run(&instructions, &Call { arch, nr, ..Call::default() });
            assert_eq!(call(0x4000_0003, 3), act::KILL_PROCESS);
            if cfg!(target_arch = "x86_64") {
                assert_eq!(call(0xc000_003e, 0x4000_0000), act::KILL_PROCESS);
                assert_eq!(call(0xc000_003e, -1), act::ALLOW);
            }
        }
        if cfg!(target_arch = "x86_64") {
            filter.set(|filter| filter.arch("x86")).unwrap();
            let instructions = generate(&filter).unwrap();
            let read = Call { arch: 0x4000_0003, nr: 3, args: [4, 0, 0, 0, 0, 0], ..Call::default() };
            assert_eq!(bpf::run(&instructions, &read), act::ERRNO | 1);
        }
    }

    #[test]
    fn no_half_of_a_comparison_is_dropped() {
        let mut cases = vec![
            (None, native_audit_arch(), Compare::masked(0, 1, 5), 1),
            (None, native_audit_arch(), Compare::new(0, Cmp::SANDBOX_CMP_EQ, 5), 0x1_0000_0005),
        ];
        if cfg!(target_arch = "x86_64") {
            cases.extend([
                (Some("x32"), 0xc000_003e, Compare::new(0, Cmp::SANDBOX_CMP_EQ, 5), 0x1_0000_0005),
                (Some("x32"), 0xc000_003e, Compare::new(0, Cmp::SANDBOX_CMP_GE, 0x1_0000_0005), 6),
                (Some("x86"), 0x4000_0003, Compare::new(0, Cmp::SANDBOX_CMP_EQ, 0x1_0000_0005), 5),
            ]);
        }
        for (name, audit, compare, argument) in cases {
            let mut filter = Filter::new(act::KILL_PROCESS);
            if let Some(name) = name {
                filter.arch(name).unwrap();
            }
            filter.rule(act::ALLOW, "personality", &[compare]).unwrap();
            let nr = number("personality", name.map_or(ScmpArch::native(), |name| crate::seccomp::filter::arch(name).unwrap())).unwrap();
            let call = Call { arch: audit, nr, ip: 0, args: [argument, 0, 0, 0, 0, 0] };
            let instructions = compile(&filter).unwrap();
            assert_eq!(bpf::run(&instructions, &call), act::KILL_PROCESS, "{name:?} {compare:?} {argument:#x}");
        }
    }

    #[test]
    fn i386s_ways_through_socketcall_and_ipc_allow_nothing_that_the_rules_forbid() {
        if cfg!(not(target_arch = "x86_64")) {
            return;
        }
        let eperm = act::ERRNO | 1;
        let compiled = |default, rules: &[(u32, &str, &[Compare])]| {
            let mut filter = Filter::new(default);
            filter.set(|filter| filter.arch("x86")).unwrap();
            for (action, call, compares) in rules {
                filter.set(|filter| filter.rule(*action, call, compares)).unwrap();
            }
            let program = filter.program().unwrap();
            move |nr, args: [u64; 2]| {
                bpf::run(&program.instructions, &Call { arch: 0x4000_0003, nr, ip: 0, args: [args[0], args[1], 0, 0, 0, 0] })
            }
        };
        let unix = [Compare::new(0, Cmp::SANDBOX_CMP_EQ, 1)];
        // One rule, which libseccomp would compile to "any socket" on this way.
        let allows = compiled(eperm, &[(act::ALLOW, "socket", &unix), (act::ALLOW, "bind", &[])]);
        assert_eq!((allows(359, [1, 0]), allows(359, [2, 0])), (act::ALLOW, eperm));
        assert_eq!((allows(102, [1, 0]), allows(102, [2, 0]), allows(361, [9, 9])), (eperm, act::ALLOW, act::ALLOW));
        let denies = compiled(act::ALLOW, &[(eperm, "socket", &unix), (eperm, "shmget", &[])]);
        assert_eq!((denies(359, [1, 0]), denies(359, [2, 0]), denies(102, [1, 0])), (eperm, act::ALLOW, eperm));
        assert_eq!((denies(395, [0, 0]), denies(117, [23, 0]), denies(117, [0x1_0017, 0])), (eperm, eperm, eperm));
        assert_eq!(denies(117, [22, 0]), act::ALLOW);
        // The strictest of what may decide, up to the first that always does.
        let mixed = compiled(act::KILL_PROCESS, &[
            (act::ALLOW, "socket", &unix),
            (eperm, "socket", &[Compare::new(0, Cmp::SANDBOX_CMP_EQ, 2)]),
            (act::LOG, "socket", &[]),
        ]);
        assert_eq!(mixed(102, [1, 0]), eperm);
        let open = compiled(eperm, &[(act::ALLOW, "socketcall", &[]), (act::ALLOW, "socket", &unix)]);
        assert_eq!((open(102, [1, 0]), open(102, [2, 0]), open(359, [2, 0])), (act::ALLOW, act::ALLOW, eperm));
    }

    #[test]
    fn a_filter_of_every_call_needs_long_jumps_and_is_right() {
        let mut filter = Filter::new(act::KILL_PROCESS);
        let names: Vec<String> = (0..450).map(|nr| nr.to_string()).collect();
        for name in &names {
            assert!(is_known(name));
            filter.rule(act::ALLOW, name, &[Compare::new(5, Cmp::SANDBOX_CMP_NE, 7)]).unwrap();
        }
        let instructions = generate(&filter).unwrap();
        bpf::verify(&instructions).unwrap();
        for nr in 0..450 {
            let call = |last| bpf::run(&instructions, &Call { arch: native_audit_arch(), nr, ip: 0, args: [0, 0, 0, 0, 0, last] });
            assert_eq!((call(7), call(8)), (act::KILL_PROCESS, act::ALLOW), "{nr}");
        }
    }

    #[test]
    fn denials_come_before_rules_and_see_32_bits() {
        let mut filter = Filter::new(act::ALLOW);
        filter.rule(act::ALLOW, "ioctl", &[]).unwrap();
        filter.deny(511).unwrap();
        filter.deny_ioctl(0x1234);
        filter.deny_setsockopt(1, 26);
        let program = filter.program().unwrap();
        bpf::verify(&program.instructions).unwrap();
        let call = |name: &str, args: [u64; 6]| {
            bpf::run(&program.instructions, &Call { arch: native_audit_arch(), nr: number(name, ScmpArch::native()).unwrap(), ip: 0, args })
        };
        let (eperm, enosys, efault) = (act::ERRNO | 1, act::ERRNO | 38, act::ERRNO | 14);
        assert_eq!(call("ioctl", [0, 0x5412, 0, 0, 0, 0]), eperm);
        assert_eq!(call("ioctl", [0, 0x1_0000_5412, 0, 0, 0, 0]), eperm, "a high half is the program's to fill");
        assert_eq!(call("ioctl", [0, 0x1234, 0, 0, 0, 0]), eperm);
        assert_eq!(call("ioctl", [0, 0x5401, 0, 0, 0, 0]), act::ALLOW);
        assert_eq!(call("setsockopt", [0, 1, 26, 0, 0, 0]), eperm);
        assert_eq!(call("setsockopt", [0, 1, 27, 0, 0, 0]), act::ALLOW);
        assert_eq!(call("clone", [0x1000_0000, 0, 0, 0, 0, 0]), eperm);
        assert_eq!(call("clone", [0x0001_0000, 0, 0, 0, 0, 0]), act::ALLOW);
        assert_eq!((call("clone3", [0; 6]), call("io_uring_setup", [0; 6]), call("seccomp", [0; 6])), (enosys, enosys, enosys));
        assert_eq!((call("ptrace", [0; 6]), call("bpf", [0; 6]), call("keyctl", [0; 6])), (eperm, eperm, eperm));
        for index in 0..6 {
            let with = |name: &str, value| call(name, std::array::from_fn(|at| if at == index { value } else { 0 }));
            assert_eq!(with("recvfrom", 0xffff_8880_0000_1000), efault);
            let takes = usize::from(index < 2);
            assert_eq!(with("write", 0xffff_8880_0000_1000), [act::ALLOW, efault][takes], "{index}");
            for name in ["getppid", "close", "lseek", "fcntl"] {
                assert_eq!(with(name, 0xffff_8880_0000_1000), act::ALLOW, "{name} takes no address");
            }
            for small in [-1i64, -100, -4096, 0, 0x7fff_ffff_ffff, -(1 << 39)] {
                assert_eq!(with("recvfrom", small.cast_unsigned()), act::ALLOW, "{small}");
            }
        }
        if cfg!(target_arch = "x86_64") {
            assert_eq!(call("write", [0, 0xffff_ffff_8100_0000, 0, 0, 0, 0]), efault);
        }
    }
}
