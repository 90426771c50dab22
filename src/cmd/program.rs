//! What is run: the program, its arguments, environment and working directory.

use crate::cmd::check::{LONGEST_STRING, path, room, string};
use crate::cmd::{Cmd, duplicate};
use crate::error::{Error, Result, Stage, quoted};
use std::ffi::CStr;
use std::os::fd::RawFd;

impl Cmd {
    pub fn arg(&mut self, arg: &CStr) -> Result<()> {
        let what = format!("argument {}", self.args.len() + 1);
        let arg = string(arg, &what)?;
        room(&mut self.args, &what)?;
        self.args.push(arg);
        Ok(())
    }

    pub fn arg0(&mut self, arg0: &CStr) -> Result<()> {
        self.arg0 = Some(string(arg0, "argument 0")?);
        Ok(())
    }

    pub fn env(&mut self, name: &CStr, value: Option<&CStr>) -> Result<()> {
        if name.is_empty() || name.to_bytes().contains(&b'=') {
            return Err(Error::setup(libc::EINVAL, format_args!("environment name {}", quoted(name))));
        }
        let what = format!("environment variable {}", quoted(name));
        let value = value.map(|value| string(value, &what)).transpose()?;
        if name.count_bytes() + value.as_ref().map_or(0, |value| value.count_bytes()) + 2 > LONGEST_STRING {
            return Err(Error::setup(libc::E2BIG, what));
        }
        let name = string(name, &what)?;
        self.env.retain(|(other, _)| *other != name);
        room(&mut self.env, &what)?;
        self.env.push((name, value));
        Ok(())
    }

    pub fn env_clear(&mut self) -> Result<()> {
        self.env_clear = true;
        self.env.clear();
        Ok(())
    }

    pub fn cwd(&mut self, directory: &CStr) -> Result<()> {
        self.cwd = Some(path(directory, "working directory")?);
        self.cwds.clear();
        Ok(())
    }

    pub fn cwd_first(&mut self, directories: &[&CStr]) -> Result<()> {
        if directories.is_empty() {
            return Err(Error::setup(libc::EINVAL, "no working directory"));
        }
        self.cwds = directories.iter().map(|directory| path(directory, "working directory")).collect::<Result<_>>()?;
        self.cwd = None;
        Ok(())
    }

    pub fn exec_fd(&mut self, fd: RawFd) -> Result<()> {
        self.exec_fd = Some(duplicate(fd, Stage::SANDBOX_STAGE_EXEC, 0, &format!("fd {fd} to execute"))?);
        Ok(())
    }
}
