//! The network namespace: loopback on demand. Address and route come by themselves once the interface is up.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

const STAGE: Stage = Stage::SANDBOX_STAGE_NETWORK;
const SIOCSIFFLAGS: u64 = 0x8914;

pub fn loopback(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if !cmd.options.is_on(Opt::SANDBOX_OPT_LOOPBACK) {
        return Ok(());
    }
    if !cmd.has(Ns::SANDBOX_NS_NET) {
        return Err(Error::new(STAGE, 0, libc::EINVAL, "LOOPBACK without a network namespace of its own")
            .hint("sandbox_cmd_unshare with SANDBOX_NS_NET makes one"));
    }
    // struct ifreq: 16 bytes of name, then the flags.
    let up = u16::try_from(libc::IFF_UP).unwrap_or(1).to_ne_bytes();
    let request = plan.data(&[b"lo".as_slice(), &[0; 14], &up, &[0; 22]].concat());
    let socket = plan.op_slot()?;
    let args = [Arg::Value(libc::AF_INET as u64), Arg::Value((libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64), Arg::Value(0)];
    plan.call(STAGE, 0, libc::SYS_socket, &args, "a socket to reach the interface through").out = socket;
    let args = [Arg::Slot(socket), Arg::Value(SIOCSIFFLAGS), Arg::Data(request)];
    plan.call(STAGE, 0, libc::SYS_ioctl, &args, "loopback up");
    plan.call(STAGE, 0, libc::SYS_close, &[Arg::Slot(socket)], "close it");
    plan.op(STAGE, 0, Code::Forget, [socket.into(), 0, 0], "forget it");
    Ok(())
}
