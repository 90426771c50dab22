//! What is said of a program for any call holds for each call that is tried.

use super::*;

#[test]
fn what_is_said_to_pass_passes_whatever_its_arguments() {
    const KINDS: [Kind; 3] = [Kind::any(1), Kind::with(39, &[(0, 0)]), Kind::with(157, &[(0, 4), (1, 0xffff_ffff)])];
    let (mut passing, mut refused) = (0, 0);
    for seed in seeds(7, 30_000) {
        let mut chance = Chance(seed);
        let length = 1 + chance.below(30);
        let mut program = program(&mut chance, &[], length);
        // Mostly what lets pass, or hardly anything would be said to.
        for instruction in program.iter_mut().filter(|instruction| matches!(instruction.code, 0x06 | 0x16)) {
            *instruction = op(0x06, if chance.hits(90) { act::ALLOW } else { action(&mut chance) });
        }
        for kind in KINDS.into_iter().filter(|kind| kind.passes(&program)) {
            passing += 1;
            for _ in 0..20 {
                let mut call = Call { arch: audit_arch(ScmpArch::native()).0, nr: i32::try_from(kind.number).unwrap(), ip: chance.next() >> 16, args: [0; 6] };
                call.args = call.args.map(|_| if chance.hits(50) { chance.telling().into() } else { chance.next() >> 16 });
                kind.fixed.iter().for_each(|(index, value)| call.args[*index] = *value);
                let answer = run(&program, &call);
                assert!(matches!(answer & act::MASK, act::ALLOW | act::LOG), "seed {seed}: {call:x?} gives {answer:#x} in {program:x?}");
            }
        }
        refused += KINDS.into_iter().filter(|kind| !kind.passes(&program)).count();
    }
    assert!(passing > 10_000 && refused > 10_000, "{passing} passed, {refused} did not");
}

#[test]
fn what_is_returned_was_foreseen() {
    let mut precise = 0;
    for seed in seeds(3, 20_000) {
        let chance = &mut Chance(seed);
        let length = chance.below(60);
        let mut program = program(chance, &[], length);
        if chance.hits(30) {
            spoil(chance, &mut program);
        }
        let call = Call { ip: chance.next(), ..random_call(chance, std::slice::from_ref(&program), 0) };
        let result = run(&program, &call); // of a spoilt one: any result, and no panic
        if verify(&program).is_ok() {
            assert!(returns(&program, |value| value == result), "seed {seed}: {result:#x} of {program:x?}");
            precise += usize::from(!returns(&program, |_| false));
        }
    }
    assert!(precise > 100, "nearly every program returns the accumulator");
}
