//! A value of a profile that knows where it stands, so that each refusal names its path.

use crate::error::{Error, Result, Stage};
use crate::seccomp::json::Value;
use crate::seccomp::{act, constants, quoted};

#[cold]
#[inline(never)]
pub fn wrong(errno: i32, what: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
}

/// A value and where it stands: below a key of the parent, in an array one of many.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub parent: Option<&'a Node<'a>>,
    pub key: &'a str,
    pub index: usize,
    pub value: &'a Value,
}

pub(super) const NO_INDEX: usize = usize::MAX;

impl<'a> Node<'a> {
    #[cold]
    #[inline(never)]
    pub fn wrong(&self, what: &str) -> Error {
        self.failed(libc::EINVAL, what)
    }

    #[cold]
    #[inline(never)]
    pub fn failed(&self, errno: i32, what: &str) -> Error {
        let path = self.path();
        wrong(errno, &format!("{}: {what}", if path.is_empty() { "the profile" } else { &path }))
    }

    /// `text` is not `what` it should be.
    #[cold]
    #[inline(never)]
    pub fn is_no(&self, text: &str, what: &str) -> Error {
        self.wrong(&format!("{} is no {what}", quoted(text.as_bytes())))
    }

    #[cold]
    #[inline(never)]
    pub fn missing(&self, key: &str) -> Error {
        Node { parent: Some(self), key, index: NO_INDEX, value: self.value }.wrong("missing")
    }

    pub fn path(&self) -> String {
        let Some(parent) = self.parent else { return String::new() };
        let above = parent.path();
        let mut path = if above.is_empty() { self.key.to_owned() } else { format!("{above}.{}", self.key) };
        if self.index != NO_INDEX {
            path += &format!("[{}]", self.index);
        }
        path
    }

    /// Keys and values by turns.
    pub fn object(&self) -> Result<&'a [Value]> {
        match self.value {
            Value::Object(pairs) => Ok(pairs),
            _ => Err(self.wrong("not an object")),
        }
    }

    pub fn get(&'a self, key: &'a str) -> Result<Option<Node<'a>>> {
        let mut found = None;
        for pair in self.object()?.chunks_exact(2) {
            if let [Value::String(name), value] = pair && name == key {
                found = Some(value);
            }
        }
        Ok(match found {
            None | Some(Value::Null) => None,
            Some(value) => Some(Node { parent: Some(self), key, index: NO_INDEX, value }),
        })
    }

    /// The same, passed over where it is an empty string too.
    pub fn get_filled(&'a self, key: &'a str) -> Result<Option<Node<'a>>> {
        let node = self.get(key)?;
        Ok(if node.is_some_and(|node| node.value.string() == Some("")) { None } else { node })
    }

    pub fn need(&'a self, key: &'a str) -> Result<Node<'a>> {
        self.get(key)?.ok_or_else(|| self.missing(key))
    }

    /// The elements of the array `key`; none where it is absent.
    pub fn items(&'a self, key: &'a str) -> Result<Vec<Node<'a>>> {
        let mut items = Vec::new();
        if let Some(array) = self.get(key)? {
            let Value::Array(values) = array.value else { return Err(array.wrong("not an array")) };
            for value in values {
                items.push(Node { index: items.len(), value, ..array });
            }
        }
        Ok(items)
    }

    pub fn string(&self) -> Result<&'a str> {
        self.value.string().ok_or_else(|| self.wrong("not a string"))
    }

    pub fn unsigned(&self, most: u64) -> Result<u64> {
        match self.value {
            Value::Number(Some(number)) if *number <= most => Ok(*number),
            _ => Err(self.wrong(&format!("not a whole number from 0 to {most}"))),
        }
    }

    /// `known`: the keys, each between spaces.
    pub fn only(&self, known: &str) -> Result<()> {
        for key in self.object()?.iter().step_by(2).filter_map(Value::string) {
            if !known.split(' ').any(|known| known == key) {
                return Err(self.is_no(key, "key of this"));
            }
        }
        Ok(())
    }

    /// Runtimes written in Go take "Syscalls" for "syscalls". Here it would be passed over, with all it says.
    pub fn spelt_right(&self) -> Result<()> {
        const KEYS: &str =
            "defaultAction defaultErrnoRet defaultErrno architectures archMap flags listenerPath listenerMetadata syscalls";
        for key in self.object()?.iter().step_by(2).filter_map(Value::string) {
            if KEYS.split(' ').any(|known| known.eq_ignore_ascii_case(key) && known != key) {
                return Err(self.wrong(&format!("the key {} is spelt otherwise", quoted(key.as_bytes()))));
            }
        }
        Ok(())
    }

    /// An action with its data: the errno of that name or number, or EPERM.
    pub fn action(&self, key: &str, number: &str, name: &str) -> Result<u32> {
        let action = self.need(key)?;
        let (number, name) = (self.get(number)?, self.get_filled(name)?);
        let (base, most) = match action.string()? {
            "SCMP_ACT_ERRNO" => (act::ERRNO, 4095),
            "SCMP_ACT_TRACE" => (act::TRACE, u16::MAX.into()),
            other => {
                let Some(known) = plain_action(other) else { return Err(action.is_no(other, "action")) };
                // The spec: what can't return an errno must not be given one.
                return number.or(name).map_or(Ok(known), |extra| Err(extra.wrong(&format!("{other} takes none"))));
            }
        };
        let mut data = libc::EPERM.unsigned_abs();
        if let Some(number) = number {
            data = u32::try_from(number.unsigned(most)?).unwrap_or(0);
        }
        // Podman writes both, for older runtimes; the name holds on every architecture.
        if let Some(name) = name {
            let text = name.string()?;
            data = constants::errno(text).ok_or_else(|| name.is_no(text, "errno"))?.into();
        }
        Ok(base | data)
    }
}

pub fn plain_action(name: &str) -> Option<u32> {
    Some(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => act::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => act::KILL_PROCESS,
        "SCMP_ACT_TRAP" => act::TRAP,
        "SCMP_ACT_NOTIFY" => act::NOTIFY,
        "SCMP_ACT_LOG" => act::LOG,
        "SCMP_ACT_ALLOW" => act::ALLOW,
        _ => return None,
    })
}
