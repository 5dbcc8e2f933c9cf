use super::*;
use serde_json::{Value, json};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;
const ALLOW: u32 = 0x7fff_0000;
const KILL_THREAD: u32 = 0;
const ENOSYS: u32 = 0x0005_0000 | 38;

const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

fn profile(json: Value) -> LinuxSeccomp {
    serde_json::from_value(json).unwrap()
}

fn refuse(json: Value, message: &str) {
    let error = compile(&profile(json)).expect_err(message);
    assert_eq!(error.to_string(), format!("config.json: linux.seccomp.{message}"));
}

/// struct seccomp_data.
#[derive(Clone, Copy, Debug)]
struct Call {
    number: u32,
    arch: u32,
    args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => 0,
            16..64 => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
            }
            _ => panic!("load from {offset}"),
        }
    }
}

/// The kernel's classic BPF, as far as seccomp(2) allows it.
fn run(program: &[u8], call: Call) -> u32 {
    let at = |place: usize| -> (u16, usize, usize, u32) {
        let code = &program[8 * place..8 * place + 8];
        let operation = u16::from_ne_bytes([code[0], code[1]]);
        let value = u32::from_ne_bytes([code[4], code[5], code[6], code[7]]);
        (operation, code[2].into(), code[3].into(), value)
    };
    let (mut accumulator, mut place) = (0_u32, 0);
    loop {
        let (operation, on_true, on_false, value) = at(place);
        place += 1;
        let condition = match operation {
            0x20 => {
                accumulator = call.word(value);
                continue;
            }
            0x54 => {
                accumulator &= value;
                continue;
            }
            0x05 => {
                place += value as usize;
                continue;
            }
            0x06 => return value,
            0x15 => accumulator == value,
            0x25 => accumulator > value,
            0x35 => accumulator >= value,
            0x45 => accumulator & value != 0,
            _ => panic!("instruction {operation:#x} at {place}"),
        };
        place += if condition { on_true } else { on_false };
    }
}

fn number(name: &str, arch: ScmpArch) -> u32 {
    ScmpSyscall::from_name_by_arch(name, arch).unwrap().as_raw_syscall() as u32
}

fn native(name: &str, args: &[u64]) -> Call {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    Call { number: number(name, ScmpArch::X8664), arch: X86_64, args: all }
}

fn verdict(compiled: &Seccomp, call: Call) -> u32 {
    run(&compiled.program.0, call)
}

/// What the profile says, read off its rules: the first that matches, for rules that do not contradict.
fn expected(profile: &LinuxSeccomp, name: &str, args: &[u64; 6]) -> u32 {
    let holds = |arg: &LinuxSeccompArg| {
        let given = args[arg.index()];
        match arg.op() {
            LinuxSeccompOperator::ScmpCmpNe => given != arg.value(),
            LinuxSeccompOperator::ScmpCmpLt => given < arg.value(),
            LinuxSeccompOperator::ScmpCmpLe => given <= arg.value(),
            LinuxSeccompOperator::ScmpCmpEq => given == arg.value(),
            LinuxSeccompOperator::ScmpCmpGe => given >= arg.value(),
            LinuxSeccompOperator::ScmpCmpGt => given > arg.value(),
            LinuxSeccompOperator::ScmpCmpMaskedEq => {
                given & arg.value() == arg.value_two().unwrap_or(0)
            }
        }
    };
    let rules = profile.syscalls().iter().flatten();
    rules
        .filter(|rule| rule.names().iter().any(|known| known == name))
        .find(|rule| rule.args().iter().flatten().all(holds))
        .map_or_else(
            || profile.default_action().as_u32(profile.default_errno_ret()),
            |rule| rule.action().as_u32(rule.errno_ret()),
        )
}

/// Docker's default profile for a container without added capabilities on a recent kernel.
fn docker() -> LinuxSeccomp {
    let text = include_str!("../../tests/data/docker-seccomp-default.json");
    let template: Value = serde_json::from_str(text).unwrap();
    let caps = ["CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_NET_RAW"];
    let listed = |rule: &Value, list: &str, field: &str, with: &[&str]| {
        rule[list][field]
            .as_array()
            .map(|names| names.iter().any(|name| with.contains(&name.as_str().unwrap_or_default())))
    };
    let rules: Vec<Value> = template["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| {
            listed(rule, "includes", "caps", &caps) != Some(false)
                && listed(rule, "excludes", "caps", &caps) != Some(true)
                && listed(rule, "includes", "arches", &["amd64", "x32", "x86"]) != Some(false)
                && listed(rule, "excludes", "arches", &["amd64"]) != Some(true)
        })
        .cloned()
        .collect();
    profile(json!({
        "defaultAction": template["defaultAction"], "defaultErrnoRet": template["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }))
}

#[test]
fn dockers_profile_says_what_its_rules_say() {
    let profile = docker();
    let compiled = compile(&profile).unwrap();
    assert!(compiled.program.0.len() / 8 > 300, "this is the whole profile");
    let last = seccomp_last(&profile);
    let values = [0, 1, 2, 8, 0x2_0000, 0x2_0008, 0x1000_0000, 0x7e02_0000, 0xffff_ffff, 1 << 40];
    let mut refused = 0;
    for number in 0..600_u32 {
        let Ok(name) =
            ScmpSyscall::from_raw_syscall(number as i32).get_name_by_arch(ScmpArch::X8664)
        else {
            continue;
        };
        for first in values {
            for second in values {
                let args = [first, second, 0, 0, 0, 0];
                let found = verdict(&compiled, Call { number, arch: X86_64, args });
                let wanted = if number > last { ENOSYS } else { expected(&profile, &name, &args) };
                assert_eq!(found, wanted, "{name} {args:x?}");
                refused += u32::from(found != ALLOW);
            }
        }
    }
    assert!(refused > 1000, "the comparison saw both verdicts");
    // Other architectures of the machine, and one that is not in the profile.
    for (arch, audit) in [(ScmpArch::X86, X86), (ScmpArch::X32, X86_64)] {
        let call = |name: &str| Call { number: number(name, arch), arch: audit, args: [0; 6] };
        assert_eq!(verdict(&compiled, call("read")), ALLOW, "{arch:?}");
        assert_eq!(verdict(&compiled, call("reboot")), errno(1), "{arch:?}");
    }
    let foreign = Call { number: 0, arch: 0xc000_00b7, args: [0; 6] };
    assert_eq!(verdict(&compiled, foreign), KILL_THREAD);
}

fn seccomp_last(profile: &LinuxSeccomp) -> u32 {
    let names = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
    names
        .filter_map(|name| ScmpSyscall::from_name_by_arch(name, ScmpArch::X8664).ok())
        .filter_map(|call| u32::try_from(call.as_raw_syscall()).ok())
        .max()
        .unwrap()
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let rules = json!([{"names": ["read", "clone3"], "action": "SCMP_ACT_ALLOW"}]);
    let strict = compile(&profile(json!({"defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": rules})))
    .unwrap();
    let at = |number, arch| verdict(&strict, Call { number, arch, args: [0; 6] });
    for (arch, base) in [(X86_64, 0), (X86, 0), (X86_64, X32_BIT)] {
        assert_eq!(at(base + 435, arch), ALLOW, "clone3");
        assert_eq!(at(base + 436, arch), ENOSYS, "close_range is newer");
        assert_eq!(at(base + 400, arch), errno(1), "older than the newest, and not allowed");
    }
    let lax = compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO"}]})))
    .unwrap();
    assert_eq!(verdict(&lax, native("close_range", &[])), ALLOW, "the kernel itself knows best");
}

#[test]
fn actions_and_their_numbers() {
    for (action, number, verdict_wanted) in [
        ("SCMP_ACT_KILL", None, KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", None, KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", None, 0x8000_0000),
        ("SCMP_ACT_TRAP", None, 0x0003_0000),
        ("SCMP_ACT_ERRNO", None, errno(1)),
        ("SCMP_ACT_ERRNO", Some(0), errno(0)),
        ("SCMP_ACT_ERRNO", Some(4094), errno(4094)),
        ("SCMP_ACT_TRACE", Some(9), 0x7ff0_0009),
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
    ] {
        let compiled = compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getcwd"], "action": action, "errnoRet": number}]})))
        .unwrap();
        assert_eq!(
            verdict(&compiled, native("getcwd", &[])),
            verdict_wanted,
            "{action} {number:?}"
        );
        assert_eq!(verdict(&compiled, native("read", &[])), ALLOW);
    }
    let rule = |action: &str, number: u32| {
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": action, "errnoRet": number}]})
    };
    refuse(rule("SCMP_ACT_ALLOW", 1), "syscalls[0].errnoRet: SCMP_ACT_ALLOW returns no number");
    refuse(rule("SCMP_ACT_KILL", 0), "syscalls[0].errnoRet: SCMP_ACT_KILL returns no number");
    refuse(rule("SCMP_ACT_ERRNO", 4095), "syscalls[0].errnoRet: 4095 is more than 4094");
    refuse(rule("SCMP_ACT_TRACE", 65536), "syscalls[0].errnoRet: 65536 is more than 65535");
    refuse(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}),
        "defaultErrnoRet: SCMP_ACT_ALLOW returns no number",
    );
}

#[test]
fn operators_and_several_conditions() {
    let with = |args: Value| {
        compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "args": args}]})))
        .unwrap()
    };
    let hits =
        |compiled: &Seccomp, args: &[u64]| verdict(compiled, native("ioctl", args)) == errno(1);
    let big = 1_u64 << 33;
    for (operator, value, below, equal, above) in [
        ("SCMP_CMP_NE", big, true, false, true),
        ("SCMP_CMP_LT", big, true, false, false),
        ("SCMP_CMP_LE", big, true, true, false),
        ("SCMP_CMP_EQ", big, false, true, false),
        ("SCMP_CMP_GE", big, false, true, true),
        ("SCMP_CMP_GT", big, false, false, true),
    ] {
        let compiled = with(json!([{"index": 1, "value": value, "op": operator}]));
        let found = [big - 1, big, big + 1].map(|given| hits(&compiled, &[0, given]));
        assert_eq!(found, [below, equal, above], "{operator}");
    }
    let masked =
        with(json!([{"index": 1, "value": 0xf0, "valueTwo": 0x30, "op": "SCMP_CMP_MASKED_EQ"}]));
    assert!(hits(&masked, &[0, 0x13f]) && !hits(&masked, &[0, 0x1f]));
    let both = with(json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]));
    assert!(hits(&both, &[1, 2]) && !hits(&both, &[1, 3]), "different arguments: all of them");
    let either = with(json!([{"index": 1, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]));
    assert!(hits(&either, &[0, 1]) && hits(&either, &[0, 2]) && !hits(&either, &[0, 3]));
    refuse(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}),
        "syscalls[0].args[0].index: 6: a system call has the arguments 0 to 5",
    );
}

#[test]
fn unknown_calls_and_foreign_architectures_are_left_out() {
    let compiled = compile(&profile(json!({"defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_S390X", "SCMP_ARCH_AARCH64", "SCMP_ARCH_LOONGARCH64"],
        "syscalls": [{"names": ["teleport", "read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]})))
    .unwrap();
    assert_eq!(verdict(&compiled, native("read", &[])), ALLOW);
    assert_eq!(verdict(&compiled, native("getcwd", &[])), errno(1), "a rule like the default");
}

#[test]
fn flags() {
    let of = |flags: Value, action: &str| {
        compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags,
            "listenerPath": "/run/agent", "syscalls": [{"names": ["mkdir"], "action": action}]})))
        .unwrap()
        .flags
    };
    assert_eq!(of(Value::Null, "SCMP_ACT_ERRNO"), SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    assert_eq!(of(json!([]), "SCMP_ACT_ERRNO"), 0);
    let all = json!([
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    ]);
    assert_eq!(of(all.clone(), "SCMP_ACT_ERRNO"), 0b110);
    assert_eq!(of(all, "SCMP_ACT_NOTIFY"), 0b10_1110);
}

#[test]
fn notification() {
    let rule = |name: &str, path: Value| {
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path,
            "syscalls": [{"names": [name], "action": "SCMP_ACT_NOTIFY"}]})
    };
    let compiled = compile(&profile(rule("mkdir", json!("/run/agent")))).unwrap();
    assert!(compiled.notify);
    assert_eq!(verdict(&compiled, native("mkdir", &[])), 0x7fc0_0000);
    refuse(
        rule("mkdir", Value::Null),
        "listenerPath: missing; SCMP_ACT_NOTIFY needs somebody to answer",
    );
    for own in ["write", "sendmsg"] {
        refuse(
            rule(own, json!("/run/agent")),
            &format!("syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the {own} syscall"),
        );
    }
    refuse(
        json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/agent"}),
        "defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
    );
    refuse(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}),
        "listenerMetadata: needs listenerPath",
    );
}

#[test]
fn the_second_container_takes_the_program_of_the_first() {
    let root = tempfile::tempdir().unwrap();
    let first = compile_cached(&docker(), true, root.path()).unwrap().unwrap();
    assert_eq!(first, compile(&docker()).unwrap());
    let directory = root.path().join(".cache/seccomp");
    let file = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(compile_cached(&docker(), true, root.path()).unwrap(), Some(first));
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), before, "not written again");
}
