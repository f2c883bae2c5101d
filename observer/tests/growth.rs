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
    fn tables_that_grow_by_a_sixteenth_take_little_more_than_they_hold() {
        observer::memory::keep_large_apart();
        // As the kernel's BTF, read at the start: by itself the allocator takes all that is smaller
        // for small after this.
        drop(black_box(vec![1_u8; 31 << 20]));
        let before = anonymous().unwrap();
        // Two, for one alone is always the last, with room to grow where it is.
        let mut tables = [const { Vec::<[u8; 128]>::new() }; 2];
        for _ in 0..100_000 {
            for table in &mut tables {
                if table.len() == table.capacity() {
                    table.reserve_exact((table.len() / 16).max(64));
                }
                table.push(black_box([1; 128]));
            }
        }
        let holds: usize = tables.iter().map(|it| size_of_val(it.as_slice())).sum();
        let takes = anonymous().unwrap() - before;
        assert!(takes < holds + holds / 4, "{takes} bytes for {holds}");
        drop(tables);
    }
}
