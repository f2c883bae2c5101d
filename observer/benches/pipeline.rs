//! What an event costs from the ring's bytes to the counts: decode, track, classify, count.
//!
//! `cargo bench -p observer --bench pipeline` tells elements (events) a second. Beside a churn
//! alone there is one beside many connections that stay open, so that tables do not fit into
//! caches.

#[path = "churn/mod.rs"]
mod churn;

#[path = "churn/path.rs"]
mod path;

use std::cell::RefCell;
use std::hint::black_box;
use std::io::Write as _;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use observer::event::{Decoder, Vocabulary};

use churn::{Churn, opened};
use path::Path;

/// Connections in a round.
const ROUND: u32 = 2048;

/// Records that open both ends.
const OPENING: usize = 4;

/// Rounds until every table is as large as it gets.
const ROUNDS: u32 = 8;

/// Says how often a round allocates in the steady state: `allocations: 0 of 26624 events`.
fn allocations(_: &mut Criterion) {
    let Ok(mut path) = Path::new() else { return };
    let mut churn = Churn::new(ROUND);
    for _ in 0..ROUNDS {
        churn.advance();
        path.run(&churn);
    }
    churn.advance();
    let taken = allocation_counter::measure(|| path.run(&churn));
    let (count, events) = (taken.count_total, churn.len());
    let line = writeln!(std::io::stdout(), "allocations: {count} of {events} events");
    line.unwrap_or_default();
}

fn pipeline(criterion: &mut Criterion) {
    for beside in [0, 100_000] {
        let Ok(path) = Path::new() else { continue };
        let path = RefCell::new(path);
        for record in opened(ROUND..ROUND + beside / 2, OPENING) {
            path.borrow_mut().take(&record);
        }
        let churn = RefCell::new(Churn::new(ROUND));
        let mut group = criterion.benchmark_group("pipeline");
        group.throughput(Throughput::Elements(churn.borrow().len() as u64));
        group.bench_function(format!("churn_beside_{beside}"), |bencher| {
            bencher.iter_batched(
                || churn.borrow_mut().advance(),
                |()| {
                    let mut path = path.borrow_mut();
                    path.run(&churn.borrow());
                    black_box((path.ended(), path.tracked()))
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

/// Decoding alone.
fn decode(criterion: &mut Criterion) {
    let decoder = Decoder::new(Vocabulary::mainline());
    let churn = Churn::new(ROUND);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(churn.len() as u64));
    let decodes = |record: &&[u8]| black_box(decoder.decode(record)).is_ok();
    group.bench_function("churn", |bencher| {
        bencher.iter(|| churn.records().filter(decodes).count());
    });
    group.finish();
}

criterion_group!(benches, allocations, pipeline, decode);
criterion_main!(benches);
