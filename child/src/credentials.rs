//! Credentials: capability sets, user and group ids. They are the task's own, whoever shares its memory; but a change
//! of user or group id makes that memory non-dumpable, so the plan changes them only in memory of the child's own.

use crate::arch::nr;
use crate::plan::{Block, identity};
use crate::sys;
use core::mem::MaybeUninit;

type Done = Result<isize, i32>;

fn done(result: isize) -> Done {
    if result < 0 { Err(-result as i32) } else { Ok(result) }
}

const PR_CAPBSET_READ: usize = 23;
const PR_CAPBSET_DROP: usize = 24;
const PR_GET_SECUREBITS: usize = 27;
const PR_GET_NO_NEW_PRIVS: usize = 39;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
const SECBIT_NOROOT: isize = 1;

/// What the kernel calls version 3: two words a set.
pub struct Sets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

impl Sets {
    const HEADER: [u32; 2] = [0x2008_0522, 0];

    pub fn get() -> Result<Sets, i32> {
        let mut words = [0u32; 6];
        done(sys::call(nr::CAPGET, [Self::HEADER.as_ptr() as usize, words.as_mut_ptr() as usize, 0, 0, 0, 0]))?;
        let [effective, permitted, inheritable, effective_high, permitted_high, inheritable_high] = words.map(u64::from);
        Ok(Sets {
            effective: effective | effective_high << 32,
            permitted: permitted | permitted_high << 32,
            inheritable: inheritable | inheritable_high << 32,
        })
    }

    pub fn set(&self) -> Done {
        let sets = [self.effective, self.permitted, self.inheritable];
        let [effective, permitted, inheritable] = sets.map(|set| set as u32);
        let [effective_high, permitted_high, inheritable_high] = sets.map(|set| (set >> 32) as u32);
        let words = [effective, permitted, inheritable, effective_high, permitted_high, inheritable_high];
        done(sys::call(nr::CAPSET, [Self::HEADER.as_ptr() as usize, words.as_ptr() as usize, 0, 0, 0, 0]))
    }
}

/// Whether the permitted set has `capability`.
pub fn holds(capability: u64) -> Done {
    let held = Sets::get()?.permitted;
    if capability < 64 && held >> capability & 1 == 1 { Ok(0) } else { Err(sys::EPERM) }
}

/// Drops from the bounding set what is not in `keep`, up to the last capability that the kernel knows. A process
/// without CAP_SETPCAP can't: with `may_stay`, or no_new_privs from before, its bounding set stays, else that must hold
/// no more than `keep` already.
pub fn bound(keep: u64, may_stay: bool) -> Done {
    for capability in 0..64 {
        if keep >> capability & 1 == 1 {
            continue;
        }
        match sys::prctl(PR_CAPBSET_DROP, capability, 0) as i32 {
            0.. => {}
            error if error == -sys::EINVAL => break,
            error if error == -sys::EPERM => {
                let may_stay = may_stay || sys::prctl(PR_GET_NO_NEW_PRIVS, 0, 0) == 1;
                return if may_stay { Ok(0) } else { is_bounded(keep) };
            }
            error => return Err(-error),
        }
    }
    Ok(0)
}

fn is_bounded(keep: u64) -> Done {
    for capability in 0..64 {
        match sys::prctl(PR_CAPBSET_READ, capability, 0) {
            0 => {}
            1.. if keep >> capability & 1 == 1 => {}
            1.. => return Err(sys::EPERM),
            _ => break,
        }
    }
    Ok(0)
}

/// Effective, permitted and inheritable become `keep` (all bits: what is permitted now). Of `longer` what is held
/// stays effective and permitted, but not inheritable, so that exec takes it. `is_bare`: nothing is inheritable. The kernel lowers the ambient set along.
pub fn keep(keep: u64, longer: u64, is_bare: bool) -> Done {
    let now = Sets::get()?;
    let keep = if keep == u64::MAX { now.permitted } else { keep };
    let permitted = keep | (now.permitted & longer);
    let sets = |inheritable| Sets { effective: permitted, permitted, inheritable };
    match sets(if is_bare { 0 } else { keep }).set() {
        // More than the bounding set has, which another has lowered.
        Err(sys::EPERM) if keep & !now.inheritable != 0 => sets(now.inheritable & keep).set(),
        result => result,
    }
}

/// The ambient set becomes `ambient` (all bits: all that is both permitted and inheritable).
pub fn ambient(ambient: u64) -> Done {
    done(sys::call(nr::PRCTL, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0]))?;
    let now = Sets::get()?;
    raise(if ambient == u64::MAX { now.permitted & now.inheritable } else { ambient })
}

fn raise(ambient: u64) -> Done {
    for capability in 0..64 {
        if ambient >> capability & 1 == 1 {
            done(sys::call(nr::PRCTL, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0, 0]))?;
        }
    }
    Ok(0)
}

/// Has every capability cross the exec of the trampoline, whose steps need them: exec gives them to uid 0, and to
/// others what is ambient. What can't be carried, a later step will miss and say so.
pub fn carry() -> Done {
    let now = Sets::get()?;
    if now.permitted == 0 {
        return Ok(0);
    }
    let mut ids = [0u32; 3];
    read_ids(nr::GETRESUID, &mut ids)?;
    let [uid, effective, _] = ids;
    if uid == 0 && effective == 0 && sys::prctl(PR_GET_SECUREBITS, 0, 0) & SECBIT_NOROOT == 0 {
        return Ok(0);
    }
    if (Sets { inheritable: now.permitted, ..now }).set().is_ok() {
        let _ = raise(now.permitted);
    }
    Ok(0)
}

fn read_ids(number: usize, ids: &mut [u32; 3]) -> Done {
    let at = ids.as_mut_ptr() as usize;
    done(sys::call(number, [at, at + 4, at + 8, 0, 0, 0]))
}

fn is(number: usize, id: u32) -> Result<(), i32> {
    let mut ids = [0u32; 3];
    read_ids(number, &mut ids)?;
    if ids == [id; 3] { Ok(()) } else { Err(sys::EPERM) }
}

/// Supplementary groups, group, user, in this order: each change takes the right to the one before. Then all are read
/// back, real, effective and saved: a change that went halfway is a failure.
pub fn change(block: &Block, wish: u64, count: u64, flags: u64) -> Done {
    let at = block.address(wish);
    // SAFETY: the host laid uid, gid, `count` groups and room for as many at the offset.
    let (ids, groups, room) = unsafe {
        let first = at as *const u32;
        (
            &*first.cast::<[u32; 2]>(),
            core::slice::from_raw_parts(first.add(2), count as usize),
            core::slice::from_raw_parts_mut(first.add(2 + count as usize).cast_mut().cast::<MaybeUninit<u32>>(), count as usize),
        )
    };
    let &[uid, gid] = ids;
    if flags & identity::GROUPS != 0 {
        match done(sys::call(nr::SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0])) {
            Err(sys::EPERM) if flags & identity::GROUPS_MAY_STAY != 0 => {}
            result => {
                result?;
                have_groups(groups, room)?;
            }
        }
    }
    if flags & identity::IDS == 0 {
        return Ok(0);
    }
    if flags & identity::VERIFY_ONLY == 0 {
        let three = |id: u32| [id as usize, id as usize, id as usize, 0, 0, 0];
        done(sys::call(nr::SETRESGID, three(gid)))?;
        done(sys::call(nr::SETRESUID, three(uid)))?;
    }
    is(nr::GETRESGID, gid)?;
    is(nr::GETRESUID, uid)?;
    Ok(0)
}

/// The kernel gives them in an order of its own.
fn have_groups(groups: &[u32], room: &mut [MaybeUninit<u32>]) -> Result<(), i32> {
    let count = done(sys::call(nr::GETGROUPS, [0; 6]))?;
    if count as usize != groups.len() {
        return Err(sys::EPERM);
    }
    if count == 0 {
        return Ok(());
    }
    done(sys::call(nr::GETGROUPS, [room.len(), room.as_mut_ptr() as usize, 0, 0, 0, 0]))?;
    // SAFETY: the kernel filled as many as it said there are, which is the length of both.
    let now = unsafe { core::slice::from_raw_parts(room.as_ptr().cast::<u32>(), groups.len()) };
    let is_whole = now.iter().eq(groups) || (now.iter().all(|group| groups.contains(group)) && groups.iter().all(|group| now.contains(group)));
    if is_whole { Ok(()) } else { Err(sys::EPERM) }
}
