//! Pages that hold nothing go back to the kernel. In a process of its own: others allocate too.
#![cfg(target_env = "gnu")]

#[cfg(test)]
mod tests {
    use std::fs;
    use std::hint::black_box;

    /// Anonymous resident memory of this process, in KiB.
    fn anonymous() -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
        line?.trim_end_matches("kB").trim().parse().ok()
    }

    #[test]
    fn what_was_freed_below_something_that_stays_is_given_back() {
        let many: Vec<Box<[u8; 200]>> = (0..100_000)
            .map(|_| black_box(Box::new([1; 200])))
            .collect();
        let stays = black_box(Box::new([1_u8; 200]));
        drop(many);
        let kept = anonymous().unwrap();
        observer::memory::give_back();
        let left = anonymous().unwrap();
        assert!(left + 10_000 < kept, "{kept} KiB before, {left} KiB after");
        drop(stays);
    }
}
