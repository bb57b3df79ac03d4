//! Documents of ours beside LMDB through heed, from Rust: bytes in and bytes out on both sides.
//!
//! `otto-bench-heed FOLDER FIRST SECOND [FIRST SECOND ...]` takes files with JSON text in pairs of
//! one size, which the writes take turns with, and keeps LMDB's files in FOLDER. For each pair it
//! prints a line of JSON with the median nanoseconds of one read and one write of either side.
//!
//! LMDB has its fastest settings: `WRITE_MAP`, `NO_SYNC`, `NO_META_SYNC`, one transaction each. It
//! takes any bytes, so its write is measured once more with the check that ours includes.
//! `heed::EnvOpenOptions` is unsafe to use: this is the one file of `benches/` with such code.

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};
use otto_core::TaskName;
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::run::{Descendants, Run};
use serde_json::value::RawValue;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Room for LMDB's pages, in bytes.
const MAP_BYTES: usize = 64 << 20;
const ROUNDS: usize = 61;
/// How long one sample of one side should take, roughly: nanoseconds.
const SAMPLE_NANOSECONDS: u128 = 2_000_000;
const KEY: &[u8] = b"bench";

type Outcome<T> = Result<T, Box<dyn Error>>;
type Pair = [Vec<u8>; 2];
/// Does the thing once; takes the number of the round to choose the text by.
type Work<'a> = Box<dyn FnMut(usize) -> Outcome<()> + 'a>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, files) = arguments.split_first().ok_or("give a folder and pairs of files")?;
    let env = open(Path::new(folder))?;
    let run = Run::create(Descendants::Left)?;
    for names in files.chunks_exact(2) {
        let texts: Pair = [std::fs::read(&names[0])?, std::fs::read(&names[1])?];
        println!("{}", compare(&env, &run, &texts)?);
    }
    Ok(())
}

fn open(folder: &Path) -> Outcome<Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    // SAFETY: the folder is new and this process's alone; nobody maps, cuts or locks its files.
    unsafe {
        options.flags(EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC);
        Ok(options.open(folder)?)
    }
}

/// One pair of texts, as a line of JSON.
fn compare(env: &Env, run: &Run, texts: &Pair) -> Outcome<String> {
    let task = TaskName::parse("bench")?;
    let mut reader = Document::create(run.id(), &task, SIZE_DEFAULT)?;
    let mut writer = Document::open(run.id(), &task)?;
    let mut transaction = env.write_txn()?;
    let database: Database<Bytes, Bytes> = env.create_database(&mut transaction, None)?;
    database.put(&mut transaction, KEY, &texts[0])?;
    transaction.commit()?;
    writer.write(&texts[0])?;

    let put = |text: &[u8]| -> Outcome<()> {
        let mut transaction = env.write_txn()?;
        database.put(&mut transaction, KEY, text)?;
        Ok(transaction.commit()?)
    };
    let sides: [(&str, Work<'_>); 5] = [
        (
            "read",
            Box::new(|_| {
                black_box(reader.read()?);
                Ok(())
            }),
        ),
        (
            "heed_read",
            Box::new(|_| {
                let transaction = env.read_txn()?;
                black_box(database.get(&transaction, KEY)?.map(<[u8]>::to_vec));
                Ok(())
            }),
        ),
        ("write", Box::new(|round| Ok(writer.write(black_box(&texts[round % 2]))?))),
        ("heed_write", Box::new(|round| put(black_box(&texts[round % 2])))),
        (
            "heed_checked_write",
            Box::new(|round| {
                let text = black_box(&texts[round % 2]);
                serde_json::from_slice::<&RawValue>(text)?;
                put(text)
            }),
        ),
    ];
    let medians = interleaved(sides)?;
    let fields: Vec<String> =
        medians.iter().map(|(name, cost)| format!("\"{name}\":{cost:.1}")).collect();
    Ok(format!("{{\"bytes\":{},{}}}", texts[0].len(), fields.join(",")))
}

/// The median nanoseconds of each side; every round takes one sample of each, in rotating order.
fn interleaved<const N: usize>(
    mut sides: [(&'static str, Work<'_>); N],
) -> Outcome<Vec<(&'static str, f64)>> {
    let mut counts = [0; N];
    for (count, (_, work)) in counts.iter_mut().zip(&mut sides) {
        let begin = Instant::now();
        while begin.elapsed().as_nanos() < SAMPLE_NANOSECONDS {
            work(*count)?;
            *count += 1;
        }
    }
    let mut costs: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        for turn in 0..N {
            let side = (round + turn) % N;
            let begin = Instant::now();
            for number in 0..counts[side] {
                (sides[side].1)(number)?;
            }
            costs[side].push(begin.elapsed().as_nanos() as f64 / counts[side] as f64);
        }
    }
    let names = sides.iter().map(|(name, _)| *name);
    Ok(names.zip(costs.iter_mut().map(|costs| median(costs))).collect())
}

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_unstable_by(f64::total_cmp);
    costs[costs.len() / 2]
}
