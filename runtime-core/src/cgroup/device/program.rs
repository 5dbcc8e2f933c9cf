//! Device rules as a program of type `BPF_PROG_TYPE_CGROUP_DEVICE` (linux/bpf.h). Pure.
//!
//! The kernel asks once for a set of accesses. Register 3 holds those that no rule has decided yet; the
//! rules are tried from the last to the first, an allowing one takes its accesses out and says yes when
//! none are left, a denying one says no as soon as it meets one of them. So reading and writing are
//! judged apart and `O_RDWR` cannot slip past a rule that denies writing only.

use super::{Access, DeviceKind, DeviceRule};

/// One instruction, with the members of `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    /// Destination register in one half, source in the other.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

impl Insn {
    /// Its bytes as the kernel reads them.
    pub(crate) fn bytes(self) -> [u8; 8] {
        let [a, b] = self.offset.to_ne_bytes();
        let [c, d, e, f] = self.immediate.to_ne_bytes();
        [self.code, self.registers, a, b, c, d, e, f]
    }
}

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
const MOVE_NUMBER: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const SHIFT_RIGHT: u8 = 0x77; // BPF_ALU64 | BPF_RSH | BPF_K
const AND: u8 = 0x57; // BPF_ALU64 | BPF_AND | BPF_K
const JUMP_IF_NOT: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const JUMP_IF: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const ASKED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 1;

const DEV_BLOCK: i32 = 1;
const DEV_CHAR: i32 = 2;

fn insn(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Insn {
    // The two bit fields of struct bpf_insn lie the other way round on big-endian machines.
    let registers = if cfg!(target_endian = "little") {
        destination | source << 4
    } else {
        destination << 4 | source
    };
    Insn { code, registers, offset, immediate }
}

/// The program for these rules.
pub(crate) fn assemble(rules: &[DeviceRule]) -> Vec<Insn> {
    // struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }, access in the upper half.
    let mut program = vec![
        insn(LOAD_WORD, TYPE, CONTEXT, 0, 0),
        insn(MOVE, ASKED, TYPE, 0, 0),
        insn(AND, TYPE, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ASKED, 0, 0, 16),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        append(&mut program, rule);
        if rule.covers_everything() {
            // The verifier refuses a program with instructions that nothing reaches.
            return program;
        }
    }
    program.push(insn(MOVE_NUMBER, RESULT, 0, 0, 0));
    program.push(insn(EXIT, 0, 0, 0, 0));
    program
}

fn append(program: &mut Vec<Insn>, rule: &DeviceRule) {
    let start = program.len();
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Block => program.push(insn(JUMP_IF_NOT, TYPE, 0, 0, DEV_BLOCK)),
        DeviceKind::Char => program.push(insn(JUMP_IF_NOT, TYPE, 0, 0, DEV_CHAR)),
    }
    for (register, wanted) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = wanted {
            program.push(insn(JUMP_IF_NOT, register, 0, 0, number as i32));
        }
    }
    let mut access_jump = None;
    if rule.access != Access::ALL {
        if rule.allow {
            program.push(insn(AND, ASKED, 0, 0, i32::from(!rule.access.0 & Access::ALL.0)));
            access_jump = Some(program.len());
            program.push(insn(JUMP_IF_NOT, ASKED, 0, 0, 0));
        } else {
            program.push(insn(MOVE, SCRATCH, ASKED, 0, 0));
            program.push(insn(AND, SCRATCH, 0, 0, i32::from(rule.access.0)));
            access_jump = Some(program.len());
            program.push(insn(JUMP_IF, SCRATCH, 0, 0, 0));
        }
    }
    program.push(insn(MOVE_NUMBER, RESULT, 0, 0, i32::from(rule.allow)));
    program.push(insn(EXIT, 0, 0, 0, 0));
    // Every jump of this rule leads to the next one.
    let end = program.len();
    for (index, insn) in program.iter_mut().enumerate().skip(start) {
        if insn.code == JUMP_IF_NOT || Some(index) == access_jump {
            insn.offset = (end - index - 1) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random_rules, universe, verdict};
    use super::*;

    /// Runs the subset of instructions that `assemble` emits, on the layout of this machine.
    fn run(program: &[Insn], (kind, major, minor): (DeviceKind, u32, u32), asked: u8) -> bool {
        let kind = if kind == DeviceKind::Block { 1 } else { 2 };
        let context = [u32::from(asked) << 16 | kind, major, minor];
        let mut register = [0_u64; 11];
        let mut at = 0;
        loop {
            let insn = program[at];
            at += 1;
            let (low, high) = (insn.registers & 15, insn.registers >> 4);
            let (to, from) = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
            let (to, from) = (usize::from(to), usize::from(from));
            let number = insn.immediate as i64 as u64;
            let jump = match insn.code {
                LOAD_WORD => {
                    assert_eq!(from, usize::from(CONTEXT));
                    register[to] = u64::from(context[insn.offset as usize / 4]);
                    false
                }
                MOVE => {
                    register[to] = register[from];
                    false
                }
                MOVE_NUMBER => {
                    register[to] = number;
                    false
                }
                SHIFT_RIGHT => {
                    register[to] >>= number;
                    false
                }
                AND => {
                    register[to] &= number;
                    false
                }
                JUMP_IF_NOT => register[to] != number,
                JUMP_IF => register[to] == number,
                EXIT => return register[0] != 0,
                other => panic!("instruction {other:#x}"),
            };
            if jump {
                at = at.checked_add_signed(isize::from(insn.offset)).unwrap();
            }
        }
    }

    #[test]
    fn program_and_rules_agree() {
        let mut allowed = 0;
        for rules in random_rules(4000) {
            let program = assemble(&rules);
            for device in universe() {
                for asked in 1..8 {
                    let expected = verdict(&rules, device, asked);
                    allowed += usize::from(expected);
                    assert_eq!(
                        run(&program, device, asked),
                        expected,
                        "{rules:?} {device:?} {asked}"
                    );
                }
            }
        }
        assert!(allowed > 10_000);
    }

    #[test]
    fn nothing_follows_a_rule_about_everything() {
        let mut rules = super::super::rules(&[]).unwrap();
        rules.push(DeviceRule {
            allow: false,
            kind: DeviceKind::All,
            major: None,
            minor: None,
            access: Access::ALL,
            field: String::new(),
        });
        assert_eq!(assemble(&rules).len(), 8);
    }
}
