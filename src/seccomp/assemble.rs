//! Instructions with labels, put together: a branch is one instruction where it reaches, else three; equal returns stand
//! once for all that reach them.

use crate::seccomp::bpf::Instruction;

pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

#[derive(Clone, Copy)]
pub struct Label(usize);

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
pub struct Code {
    items: Vec<Item>,
    /// The item that each label stands before.
    labels: Vec<usize>,
}

impl Code {
    pub fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    pub fn here(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = self.items.len();
        }
    }

    pub fn plain(&mut self, code: u16, k: u32) {
        self.items.push(Item { code, k, to: None, is_long: false });
    }

    pub fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) {
        self.items.push(Item { code, k, to: Some([yes, no]), is_long: false });
    }

    /// Goes on at `yes` where the accumulator equals `k`, else right here.
    pub fn otherwise(&mut self, code: u16, k: u32, yes: Label) {
        let next = self.label();
        self.branch(code, k, yes, next);
        self.here(next);
    }

    /// A branch is one instruction while both distances fit, else three; making one long can only make others longer.
    pub fn assemble(&mut self) -> Vec<Instruction> {
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
pub fn share_returns(mut code: Vec<Instruction>) -> Vec<Instruction> {
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
