//! Every writer gets its turn, however busy the others are.

use crate::{own_run, task};
use otto_core::region::{Document, SIZE_DEFAULT};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_writer_among_busy_ones_is_not_forgotten() {
    let own = own_run();
    let run = own.run.id();
    Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    let (done, text) = (AtomicBool::new(false), format!("\"{}\"", "x".repeat(20_000)));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut document = Document::open(run, &task("t")).unwrap();
                while !done.load(Ordering::Relaxed) {
                    document.write(text.as_bytes()).unwrap();
                }
            });
        }
        let mut document = Document::open(run, &task("t")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let turns = (0..300).take_while(|_| {
            document.write(b"1").unwrap();
            Instant::now() < deadline
        });
        let turns = turns.count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(turns, 300, "turns in half a minute");
    });
}
