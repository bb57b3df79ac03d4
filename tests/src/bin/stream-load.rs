//! What streams under test carry: records that show their way, and that nothing else came.
//!
//! ```text
//! stream-load produce id=a count=N [end=open]  writes N records; `open`: the last has no newline
//! stream-load pass id=c                        puts its letter before every record
//! stream-load check count=N paths=P            reads to the end: N records on each of P paths
//! stream-load noise bytes=N                    writes N bytes of any value, in pieces of any size
//! stream-load hear bytes=N                     reads to the end: those bytes and no others
//! ```
//! All take `seed`, which has to be the same everywhere; `least` and `most`, the sizes of records
//! or pieces; and what reads `pace`, the bytes it takes in a second, and `quit`, the bytes after
//! which it has had enough.
//!
//! A record is the letters of its way, the last one its producer's, and characters that follow from
//! the seed, the producer and the record's number. So whoever reads knows what must come next on
//! each way, and sees at once what is lost, mixed or out of order.
#![allow(missing_docs)]

use otto_e2e::Random;
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Characters repeat after so many: a prime, so that what is shifted by any block is noticed.
const TILE: usize = 65521;
const BLOCK: usize = 64 << 10;

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let settings = Settings(
        words
            .filter_map(|word| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            .collect(),
    );
    let done = match verb.as_str() {
        "produce" => produce(&settings),
        "pass" => pass(&settings),
        "check" => check(&settings),
        "noise" => noise(&settings),
        "hear" => hear(&settings),
        _ => Err("see the source for the usage".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream-load {verb}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Without the buffers that standard input and output have.
fn input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

fn output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

struct Settings(HashMap<String, String>);

impl Settings {
    fn number(&self, name: &str, default: u64) -> u64 {
        let given = self.0.get(name).map(|text| text.parse());
        given.map_or(default, |number| number.unwrap_or_else(|_| panic!("{name}: a number")))
    }

    fn letter(&self) -> u8 {
        self.0.get("id").map_or(b'a', |id| id.as_bytes()[0])
    }
}

/// The characters of all records: nothing that could be a letter of a way or a newline.
fn characters(settings: &Settings) -> Vec<u8> {
    let mut random = Random(settings.number("seed", 0));
    let tile: Vec<u8> = (0..TILE).map(|_| b'!' + random.below(64) as u8).collect();
    let needed = TILE + settings.number("most", BLOCK as u64) as usize;
    tile.iter().copied().cycle().take(needed).collect()
}

/// What a producer's records hold, one after the other.
struct Records {
    random: Random,
    least: u64,
    most: u64,
    count: u64,
}

impl Records {
    fn new(settings: &Settings, producer: u8) -> Records {
        Records {
            random: Random(settings.number("seed", 0) ^ u64::from(producer) << 32),
            least: settings.number("least", 1),
            most: settings.number("most", BLOCK as u64),
            count: 0,
        }
    }

    /// Behind the producer's letter.
    fn next<'a>(&mut self, characters: &'a [u8]) -> &'a [u8] {
        self.count += 1;
        let size = self.random.sized(self.least, self.most) as usize;
        let start = self.random.below(TILE as u64) as usize;
        &characters[start..start + size - 1]
    }
}

fn produce(settings: &Settings) -> Done {
    let characters = characters(settings);
    let mut records = Records::new(settings, settings.letter());
    let count = settings.number("count", 1);
    let mut out = BufWriter::with_capacity(BLOCK, output()?);
    for number in 1..=count {
        out.write_all(&[settings.letter()])?;
        out.write_all(records.next(&characters))?;
        if number < count || !settings.0.contains_key("end") {
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

fn pass(settings: &Settings) -> Done {
    let mut from = BufReader::with_capacity(BLOCK, input()?);
    let mut out = BufWriter::with_capacity(BLOCK, output()?);
    let mut record = Vec::new();
    while from.read_until(b'\n', &mut record)? > 0 {
        out.write_all(&[settings.letter()])?;
        out.write_all(&record)?;
        record.clear();
        // Nothing waits here for what may come later.
        if from.buffer().is_empty() {
            out.flush()?;
        }
    }
    Ok(out.flush()?)
}

fn check(settings: &Settings) -> Done {
    let characters = characters(settings);
    let mut from = BufReader::with_capacity(BLOCK, input()?);
    let mut paths: HashMap<Vec<u8>, Records> = HashMap::new();
    let mut record = Vec::new();
    let mut pace = Pace::new(settings);
    while !pace.has_enough() && from.read_until(b'\n', &mut record)? > 0 {
        pace.take(record.len());
        let line = record.strip_suffix(b"\n").unwrap_or(&record);
        let letters = line.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        let (path, found) = line.split_at(letters);
        if !paths.contains_key(path) {
            let producer = *path.last().ok_or("a record without a producer")?;
            paths.insert(path.to_vec(), Records::new(settings, producer));
        }
        let records = paths.get_mut(path).ok_or("just inserted")?;
        if records.next(&characters) != found {
            let (path, number) = (String::from_utf8_lossy(path), records.count);
            let found = String::from_utf8_lossy(&found[..found.len().min(60)]);
            return Err(format!("record {number} of {path} is not what it was: {found}").into());
        }
        record.clear();
    }
    let count = settings.number("count", 1);
    let whole = paths.values().filter(|records| records.count == count).count() as u64;
    let records: u64 = paths.values().map(|records| records.count).sum();
    if pace.has_enough() {
        println!("had enough");
    } else if whole == settings.number("paths", 1) && whole == paths.len() as u64 {
        println!("whole: {records} records");
    } else {
        let of = paths.len();
        return Err(format!("the end after {records} records; {whole} of {of} whole").into());
    }
    Ok(())
}

/// Bytes of any value from a position on, as many as there are in one piece.
struct Noise(Vec<u8>);

impl Noise {
    fn new(settings: &Settings) -> Noise {
        let mut random = Random(settings.number("seed", 0));
        let tile: Vec<u8> = (0..TILE).map(|_| random.next() as u8).collect();
        Noise(tile.iter().copied().cycle().take(TILE + (1 << 20)).collect())
    }

    fn from(&self, position: u64, size: usize) -> &[u8] {
        &self.0[(position % TILE as u64) as usize..][..size]
    }
}

fn noise(settings: &Settings) -> Done {
    let noise = Noise::new(settings);
    let mut random = Random(settings.number("seed", 0));
    let (mut out, mut at) = (output()?, 0);
    let total = settings.number("bytes", 1);
    let most = settings.number("most", 1 << 20);
    while at < total {
        let size = random.sized(1, most).min(total - at) as usize;
        out.write_all(noise.from(at, size))?;
        at += size as u64;
    }
    Ok(())
}

fn hear(settings: &Settings) -> Done {
    let noise = Noise::new(settings);
    let mut pace = Pace::new(settings);
    let mut from = input()?;
    let (mut buffer, mut at) = (vec![0; BLOCK], 0);
    let total = settings.number("bytes", 1);
    while !pace.has_enough() {
        let size = from.read(&mut buffer)?;
        if size == 0 && at == total {
            println!("whole: {total} bytes");
            return Ok(());
        }
        if size == 0 {
            return Err(format!("the end after {at} bytes of {total}").into());
        }
        if buffer[..size] != *noise.from(at, size) {
            return Err(format!("not what it was in the {size} bytes behind {at}").into());
        }
        at += size as u64;
        pace.take(size);
    }
    println!("had enough");
    Ok(())
}

/// How fast to read, and how much.
struct Pace {
    begin: Instant,
    taken: u64,
    a_second: u64,
    enough: u64,
}

impl Pace {
    fn new(settings: &Settings) -> Pace {
        Pace {
            begin: Instant::now(),
            taken: 0,
            a_second: settings.number("pace", u64::MAX),
            enough: settings.number("quit", u64::MAX),
        }
    }

    fn has_enough(&self) -> bool {
        self.taken >= self.enough
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        if self.a_second < u64::MAX {
            let due = Duration::from_secs_f64(self.taken as f64 / self.a_second as f64);
            thread::sleep(due.saturating_sub(self.begin.elapsed()));
        }
    }
}
