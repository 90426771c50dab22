//! The image: the child's code as a static program without libc, which the library embeds, once, and enters in two ways:
//! in its own memory, and as the trampoline, the same interpreter in an address space of its own. That is run from a
//! sealed memfd, and is handed the block as the fd that its argument names.
#![no_std]
#![no_main]

use sandbox_child::plan::{Block, MAGIC, TRAMPOLINE_ADDRESS};
use sandbox_child::{arch::nr, keeper, run, sys};

sandbox_child::define_entries!(main, run::child, keeper::keep);

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel laid argc and argv there.
    let (argc, text) = unsafe { (*stack, *stack.add(2) as *const u8) };
    if argc == 2
        && let Some(block) = block(text)
    {
        run::entered(block)
    }
    sys::exit_group(run::DIED)
}

fn block(text: *const u8) -> Option<&'static Block> {
    let mut digits = [0u8; 11];
    for (position, digit) in digits.iter_mut().enumerate() {
        // SAFETY: the string ends with a NUL, where this loop ends too.
        *digit = unsafe { *text.add(position) };
        if *digit == 0 {
            break;
        }
    }
    let fd = run::decimal(&digits)?;
    let length = sys::call(nr::LSEEK, [fd, 0, 2, 0, 0, 0]);
    if length < size_of::<Block>() as isize {
        return None;
    }
    const PROT_READ_WRITE: usize = 3;
    const MAP_SHARED_FIXED_NOREPLACE: usize = 0x10_0001;
    let address = sys::call(nr::MMAP, [TRAMPOLINE_ADDRESS, length as usize, PROT_READ_WRITE, MAP_SHARED_FIXED_NOREPLACE, fd, 0]);
    if address != TRAMPOLINE_ADDRESS as isize {
        return None;
    }
    // SAFETY: a mapping of at least a Block's size, made by the library, for as long as this program lives.
    let block = unsafe { &*(address as *const Block) };
    (block.magic == MAGIC).then_some(block)
}

// A path to a panic must not exist: this function does, and what it calls does not, so that one fails the link.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn the_child_must_hold_no_path_to_a_panic() -> !;
    }
    // SAFETY: never linked.
    unsafe { the_child_must_hold_no_path_to_a_panic() }
}
