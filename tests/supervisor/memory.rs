//! The memory of the caller.

use super::*;

#[test]
fn memory_is_read_and_written_up_to_the_end_of_a_mapping_and_no_further() {
    const PAGE: u64 = 4096;
    let page = leaked_page();
    // Two pages that the program may write, one that it may read, one that it has not; the same in this process.
    let base = unsafe { libc::mmap(ptr::null_mut(), 4 * PAGE as usize, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let at = base as u64;
    let mut target = Target::start(0, &[ASK], || unsafe {
        libc::memset(base, b'a'.into(), 3 * PAGE as usize);
        ((at + PAGE + 10) as *mut u8).write(0);
        ((at + 3 * PAGE - 1) as *mut u8).write(0);
        libc::mprotect((at + 2 * PAGE) as *mut c_void, PAGE as usize, libc::PROT_READ);
        libc::munmap((at + 3 * PAGE) as *mut c_void, PAGE as usize);
    }, || {
        page[0].store(ask(0), SeqCst);
        let bytes = unsafe { std::slice::from_raw_parts(base.cast::<u8>(), 3 * PAGE as usize) };
        page[1].store(bytes.iter().filter(|byte| **byte == b'b').count() as i64, SeqCst);
        page[2].store(bytes[2 * PAGE as usize - 1].into(), SeqCst);
    });
    let sup = target.supervisor();
    sup.on("getppid", move |n| {
        let (fault, too_long) = (-libc::EFAULT, -libc::ENAMETOOLONG);
        let end = at + 3 * PAGE;
        // Across a page's end, up to the mapping's end, across it, outside it.
        assert_eq!(n.read(at + PAGE - 2, 4), (0, vec![b'a'; 4]));
        assert_eq!(n.read(end - 3, 3), (0, b"aa\0".to_vec()));
        assert_eq!(n.read(at, 3 * PAGE as usize).0, 0);
        assert_eq!(n.read(end - 3, 4), (fault, vec![0; 4]), "what could be read is not to be used");
        for address in [end, 0, 8, u64::MAX - 2, 1 << 63] {
            assert_eq!(n.read(address, 4), (fault, vec![0; 4]), "{address:#x}");
            assert_eq!(n.write(address, b"bbbb"), fault, "{address:#x}");
            assert_eq!(n.string(address, 4), (fault, vec![0; 4]), "{address:#x}");
        }
        assert_eq!((n.read(0, 0).0, n.write(0, b"")), (0, 0));
        // Strings: within a page, over its end, with the NUL as the mapping's last byte, cut, without one.
        assert_eq!(n.string(at + PAGE + 7, 4), (3, b"aaa\0".to_vec()));
        assert_eq!(n.string(at + PAGE + 10, 1), (0, vec![0]));
        let (length, bytes) = n.string(at, 2 * PAGE as usize);
        assert_eq!((length as u64, bytes[length as usize - 1]), (PAGE + 10, b'a'));
        assert_eq!(n.string(end - 4, 100).0, 3);
        assert_eq!(n.string(at + PAGE + 7, 3), (too_long, vec![0; 3]));
        assert_eq!(n.string(at, 0).0, too_long);
        // Written where the program may write, and only there.
        assert_eq!(n.write(at + PAGE - 2, b"bbbb"), 0);
        assert_eq!(n.write(at + 2 * PAGE - 1, b"c"), 0);
        assert_eq!(n.write(at + 2 * PAGE, b"b"), fault, "read-only");
        assert_eq!(n.write(at + 2 * PAGE - 1, b"bb"), fault);
        assert_eq!(n.write(trampoline as *const () as u64, b"b"), fault, "code");
        n.give(0)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!([0, 1, 2].map(|n| page[n].load(SeqCst)), [0, 4, b'c'.into()]);
    assert_eq!(target.end(), 0);
    unsafe { libc::munmap(base, 4 * PAGE as usize) };
}

#[test]
fn a_string_that_ends_with_its_mapping_is_read_without_the_next_page() {
    let base = unsafe { libc::mmap(ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let at = base as u64;
    let mut target = Target::start(0, &[ASK], || unsafe {
        libc::memset(base, b'a'.into(), 4096);
        libc::munmap((at + 4096) as *mut c_void, 4096);
    }, || assert_eq!(ask(0), 1));
    let sup = target.supervisor();
    sup.on("getppid", move |n| {
        assert_eq!(n.string(at + 4090, 100).0, -libc::EFAULT, "no NUL before the end");
        assert_eq!(n.string(at + 4090, 6).0, -libc::ENAMETOOLONG, "the end was not looked at");
        assert_eq!(n.write(at + 4095, b"\0"), 0);
        assert_eq!(n.string(at + 4090, 100).0, 5);
        n.give(1)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(target.end(), 0);
    unsafe { libc::munmap(base, 8192) };
}

#[test]
fn a_socket_address_is_copied_as_the_kernel_takes_it() {
    let page = leaked_page();
    let mut address = [0u8; 256];
    address[..4].copy_from_slice(&[libc::AF_INET as u8, 0, 1, 187]);
    let lengths = [16i64, 0, 128, 129, -1, 16 | 1 << 32];
    let mut target = Target::new(&[libc::SYS_connect], || {
        for (n, length) in lengths.into_iter().enumerate() {
            page[n].store(call(libc::SYS_connect, [-1, address.as_ptr() as i64, length, 0, 0, 0]), SeqCst);
        }
    });
    let sup = target.supervisor();
    sup.on("connect", move |n| {
        let [_, at, length, ..] = n.args();
        let mut buffer = [0x55u8; 128];
        let got = sandbox_notify_sockaddr(n.0, at, length, buffer.as_mut_ptr().cast(), 128);
        if got == 16 {
            assert_eq!((&buffer[..4], &buffer[16..]), (&[2, 0, 1, 187][..], &[0u8; 112][..]));
            assert_eq!(sandbox_notify_sockaddr(n.0, at, length, buffer.as_mut_ptr().cast(), 15), -libc::ENOBUFS);
        }
        n.result(got)
    });
    assert_eq!(sup.run(), 0);
    let invalid = -i64::from(libc::EINVAL);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|n| page[n].load(SeqCst)), [16, 0, 128, invalid, invalid, 16]);
    assert_eq!(target.end(), 0);
}
