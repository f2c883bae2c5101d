//! What is told of this very process.

use super::{Answer, Mapping, Question, code, looked_up, resolve, started, symbolizer};
use crate::clock::Clock;

fn ask(pid: u32, at_ns: u64, frames: &[u64]) -> Answer {
    let question = Question {
        pid,
        at_ns,
        frames: frames.to_vec(),
    };
    resolve(&symbolizer(), &question)
}

#[inline(never)]
fn opens_a_connection() -> u64 {
    std::hint::black_box(std::process::id().into())
}

#[test]
fn functions_of_a_process_that_lives_have_names_and_files() {
    let address = opens_a_connection as fn() -> u64 as usize as u64;
    let now = Clock::new().now().0;
    let told = ask(std::process::id(), now, &[address + 1, address + 2]);
    assert_eq!((told.why_not, told.frames.len()), (None, 2));
    for (frame, offset) in told.frames.iter().zip(["+0x1 (/", "+0x2 (/"]) {
        let (function, place) = frame.split_at(frame.find('+').unwrap());
        assert!(function.ends_with("opens_a_connection"), "{frame}");
        assert!(place.starts_with(offset) && place.ends_with(')'), "{frame}");
    }
}

/// What a runtime does that compiles while it runs.
#[test]
fn code_that_no_file_has_is_named_by_a_perf_map() {
    const AT: usize = 0x100;
    let code = memmap2::MmapMut::map_anon(4096).unwrap();
    let code = code.make_exec().unwrap();
    let address = (code.as_ptr() as usize + AT) as u64;
    let map = format!("/tmp/perf-{}.map", std::process::id());
    std::fs::write(
        &map,
        format!("{address:x} 40 LazyCompile:*connect pool.js:12\n"),
    )
    .unwrap();
    let told = ask(std::process::id(), Clock::new().now().0, &[address + 8]);
    std::fs::remove_file(&map).unwrap();
    assert_eq!(told.why_not, None);
    let [frame] = &told.frames[..] else {
        panic!("{told:?}")
    };
    assert!(
        frame.starts_with("LazyCompile:*connect pool.js:12+0x8"),
        "{frame}"
    );
}

#[test]
fn a_process_that_began_later_has_another_ones_pid() {
    let told = ask(std::process::id(), 0, &[0x1234, 0x5678]);
    assert_eq!(told.frames, ["0x1234", "0x5678"]);
    let why_not = told.why_not.unwrap();
    assert!(why_not.contains("another has its pid"), "{why_not}");
}

#[test]
fn a_process_that_has_ended_leaves_addresses() {
    let mut child = std::process::Command::new("/proc/self/exe")
        .arg("--list")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let told = ask(pid, u64::MAX, &[0x1234]);
    assert_eq!(told.frames, ["0x1234"]);
    assert_eq!(told.why_not.unwrap(), format!("process {pid} has ended"));
}

#[test]
fn what_is_no_code_and_all_behind_it_is_left_out() {
    let maps = [Mapping::parse("1000-2000 r-xp 00000000 00:00 0 ").unwrap()];
    assert_eq!(
        code(&[0x1500, 0x1600, 0x9, 0x1700], &maps),
        [0x1500, 0x1600]
    );
    assert_eq!(code(&[0x9, 0x1600], &maps), [0x9]);
    assert_eq!(code(&[0x1500], &maps), [0x1500]);
}

#[test]
fn a_return_address_is_looked_up_at_its_call() {
    assert_eq!(looked_up(&[0x10, 0x20, 0]), [0x10, 0x1f, 0]);
}

#[test]
fn mappings_tell_the_place_in_their_file() {
    let line = "55d0c000-55d0f000 r-xp 00002000 fe:01 123456    /opt/my app/bin (deleted)";
    let mapping = Mapping::parse(line).unwrap();
    assert_eq!(
        mapping.tells(0x55d0_c010),
        "+0x2010 (/opt/my app/bin (deleted))"
    );
    let anonymous = Mapping::parse("7f00-7fff rwxp 00000000 00:00 0 ").unwrap();
    assert_eq!(anonymous.tells(0x7f01), "0x7f01");
    assert_eq!(Mapping::parse("7f00-7fff rw-p 00000000 00:00 0 "), None);
    assert_eq!(Mapping::parse("nothing"), None);
}

#[test]
fn the_start_is_read_behind_any_name() {
    let fields = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 250 99";
    let stat = format!("42 (a ) b) {fields}");
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    assert_eq!(started(stat.as_bytes()).unwrap().0, 250 * tick);
    assert_eq!(started(b"42 (a) S 1"), None);
    assert_eq!(started(b""), None);
}
