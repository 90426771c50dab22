//! The caller's memory. What is read is a copy, and the copy is what to judge and to act on: another of the program's
//! threads may change the original at any time.

use crate::notify::Notify;
use nix::errno::Errno;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// No page is smaller.
const PAGE: u64 = 4096;

impl Notify {
    /// All of `buffer`, or EFAULT. On failure it holds zeros: nobody is to use what a stranger's memory held.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut result = Ok(());
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_some(address.wrapping_add(done as u64), rest) {
                Ok(count) => done += count,
                Err(errno) => {
                    result = Err(errno);
                    break;
                }
            }
        }
        let result = self.checked(result);
        if result.is_err() {
            buffer.fill(0);
        }
        result
    }

    /// By number, so only what `checked` lets pass is the caller's.
    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let start = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(start), iov_len: buffer.len() };
        // SAFETY: fills our buffer alone; the other address is looked at in the other process only.
        let count = unsafe { libc::process_vm_readv(self.tid()?, &raw const local, 1, &raw const remote, 1, 0) };
        match usize::try_from(count) {
            Ok(0) => Err(Errno::EFAULT),
            Ok(count) => Ok(count),
            // A range that wraps around, say.
            Err(_) if Errno::last() == Errno::EINVAL => Err(Errno::EFAULT),
            Err(_) => Err(Errno::last()),
        }
    }

    /// A string of the caller's with its NUL, of which `buffer` must hold both: else ENAMETOOLONG. Gives its length.
    pub fn string(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let found = self.find_string(address, buffer);
        let found = self.checked(found);
        if found.is_err() {
            buffer.fill(0);
        }
        found
    }

    /// Page by page: the next one need not exist where the string ends before it.
    fn find_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(rest.len()).min(rest.len());
            let count = self.read_some(at, rest.get_mut(..in_page).unwrap_or_default())?;
            if let Some(end) = rest.iter().take(count).position(|byte| *byte == 0) {
                return Ok(done + end);
            }
            done += count;
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// All of `bytes`, or an error; then some may have been written.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return self.check();
        }
        // An open mem file is bound to the memory, not to the number: no stranger's can be written. But it writes where
        // the program itself may not, into its code for one, so the mappings are asked first. (A program that changes
        // them in between changes only itself.)
        let memory = self.caller_file("mem", libc::O_RDWR)?;
        let end = address.checked_add(bytes.len() as u64).ok_or(Errno::EFAULT)?;
        if !self.is_writable(address, end)? {
            return Err(Errno::EFAULT);
        }
        self.check()?;
        let written = File::from(memory).write_all_at(bytes, address);
        self.checked(written.map_err(|error| match error.raw_os_error() {
            Some(libc::EIO) | None => Errno::EFAULT,
            Some(errno) => Errno::from_raw(errno),
        }))
    }

    fn is_writable(&self, address: u64, end: u64) -> Result<bool, Errno> {
        let maps = BufReader::new(File::from(self.caller_file("maps", libc::O_RDONLY)?));
        let mut next = address;
        for line in maps.split(b'\n') {
            let line = line.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
            let Some((from, to, is_writable)) = mapping(&line) else { continue };
            if to <= next {
                continue;
            }
            if from > next || !is_writable {
                return Ok(false);
            }
            next = to;
            if next >= end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A socket address as connect and bind take it, `length` bytes long. Gives the length.
    pub fn sockaddr(&self, address: u64, length: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let length = length as u32; // an int in the kernel, whatever the rest of the register holds
        let length = usize::try_from(length).ok().filter(|length| *length <= size_of::<libc::sockaddr_storage>()).ok_or(Errno::EINVAL)?;
        buffer.fill(0);
        let place = buffer.get_mut(..length).ok_or(Errno::ENOBUFS)?;
        self.read(address, place).map(|()| length)
    }
}

/// Of a line of /proc/PID/maps: start, end, whether it may be written. They take 38 bytes at most.
fn mapping(line: &[u8]) -> Option<(u64, u64, bool)> {
    let text = std::str::from_utf8(line.get(..line.len().min(38))?).ok()?;
    let (range, rest) = text.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((number(from)?, number(to)?, rest.as_bytes().get(1) == Some(&b'w')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_gives_range_and_right() {
        assert_eq!(mapping(b"00400000-0040b000 r-xp 00000000 fe:00 12  /bin/cat"), Some((0x40_0000, 0x40_b000, false)));
        assert_eq!(mapping(b"7ffe1000-7fff0000 rw-p 00000000 00:00 0   [stack]"), Some((0x7ffe_1000, 0x7fff_0000, true)));
        assert_eq!(mapping(b""), None);
    }
}
