//! A plan in words: what `sandbox_cmd_explain` gives.

use super::Plan;
use crate::cmd::Cmd;
use crate::confine::{cgroup, namespace};
use crate::error::{list, quoted};
use sandbox_child::plan::Code;

impl Plan {
    /// What would be done, in order: one line an op, in the words of its messages.
    pub fn explain(&self, cmd: &Cmd) -> String {
        let mut text = format!("run {}", quoted(&cmd.program));
        for arg in &cmd.args {
            text += &format!(" {}", quoted(arg));
        }
        text += "\n";
        if let Some(preset) = cmd.preset {
            text += &format!("  preset: {}; sockets of unix, IPv4, IPv6 and netlink alone\n", preset.name());
        }
        text += &self.environment_text();
        text += &self.cgroup.as_ref().map(|home| cgroup::explain(cmd, home)).unwrap_or_default();
        text += &format!("  host: clone3 {}\n", self.clone_text());
        let mut place = if self.copies_memory { "a copy of the host's memory" } else { "the host's memory, on its own stack" };
        for (position, (op, what)) in self.ops.iter().zip(&self.texts).enumerate() {
            if !place.is_empty() {
                text += &format!("  child, in {place}:\n");
                place = "";
            }
            let step = format!("{}[{}]", stage_name(op.stage), op.index);
            text += &format!("  {position:>4}  {step:<14}  {what}\n");
            match op.code {
                Code::Enter => place = "memory of its own",
                Code::Init if op.args.first() == Some(&1) => place = "a process of its own",
                Code::Init => place = "a process of its own, under the init",
                _ => {}
            }
        }
        text
    }

    /// The names alone: values may be secrets.
    fn environment_text(&self) -> String {
        let exec = &self.exec;
        let (mut set, mut unset) = (String::new(), String::new());
        for (name, value) in &exec.env {
            list(if value.is_some() { &mut set } else { &mut unset }, &name.to_string_lossy());
        }
        let begin = if exec.env_clear { "none of the host's" } else { "the host's" };
        let with = if set.is_empty() { set } else { format!(", with {set}") };
        let without = if unset.is_empty() { unset } else { format!(", without {unset}") };
        format!("  environment: {begin}{with}{without}\n")
    }

    fn clone_text(&self) -> String {
        let memory = if self.copies_memory { "" } else { "CLONE_VM, CLONE_CHILD_CLEARTID, " };
        let namespaces = if self.namespaces == 0 { String::new() } else { format!(", new namespaces: {}", namespace::names(self.namespaces)) };
        format!("{memory}CLONE_PIDFD, CLONE_CLEAR_SIGHAND, all signals blocked{namespaces}")
    }
}

fn stage_name(stage: u32) -> &'static str {
    crate::error::stage_name(stage).to_str().unwrap_or("unknown")
}
