//! A table that grows leaves no holes behind. In a process of its own: others allocate too.
#![cfg(target_env = "gnu")]

#[cfg(test)]
mod tests {
    use std::fs;
    use std::hint::black_box;

    /// Anonymous resident memory of this process, in bytes.
    fn anonymous() -> Option<usize> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"))?;
        let kib: usize = line.trim_end_matches("kB").trim().parse().ok()?;
        Some(kib * 1024)
    }

    #[test]
    fn a_table_that_grows_by_a_sixteenth_takes_little_more_than_it_holds() {
        observer::memory::keep_large_apart();
        let before = anonymous().unwrap();
        let mut table: Vec<[u8; 128]> = Vec::new();
        let mut stays = Vec::new();
        while table.len() < 200_000 {
            if table.len() == table.capacity() {
                table.reserve_exact((table.len() / 16).max(64));
                stays.push(black_box(Box::new([1_u8; 200])));
            }
            table.push(black_box([1; 128]));
        }
        let holds = size_of_val(table.as_slice());
        let takes = anonymous().unwrap() - before;
        assert!(takes < holds + holds / 4, "{takes} bytes for {holds}");
        drop((table, stays));
    }
}
