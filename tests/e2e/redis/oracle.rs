//! Random commands to both servers: the replies are the same.

use super::Both;
use super::commands::{Command, Compared, Generator};
use super::wire::{Wire, elements, request, shown};
use otto_e2e::{Place, figures, seed, times};
use std::collections::BTreeSet;

/// Commands sent before any reply is read, at most.
const BATCH: usize = 40;

#[test]
fn random_commands_get_the_replies_of_redis() {
    let (seed, count) = (seed(), times(1_000_000).max(100_000) as usize);
    eprintln!("OTTO_SEED={seed}, {count} commands");
    let place = Place::new();
    let both = Both::start(&place);
    let mut run =
        Run { wires: both.connect(), generator: Generator::new(seed), seed, done: vec![] };
    while run.done.len() < count {
        match run.generator.below(12) {
            0 => run.transaction(),
            1 => run.subscribed(),
            2 => run.scan(),
            _ => run.batch(),
        }
    }
    figures(format_args!("redis oracle: {} commands, equal replies, seed {seed}", run.done.len()));
    both.ours.stop();
}

struct Run {
    wires: [Wire; 2],
    generator: Generator,
    seed: u64,
    done: Vec<Command>,
}

impl Run {
    fn batch(&mut self) {
        let count = 1 + self.generator.below(BATCH);
        let batch = (0..count).map(|_| self.generator.command()).collect();
        self.compare(batch);
    }

    /// What happens between MULTI and EXEC or DISCARD, mistakes included.
    fn transaction(&mut self) {
        let mut batch = vec![plain("MULTI")];
        for _ in 0..self.generator.below(8) {
            let (command, compared) = self.exact();
            // What ends the transaction comes at its end.
            if command[0] != b"EXEC" && command[0] != b"DISCARD" {
                batch.push((command, compared));
            }
            if self.generator.one_in(30) {
                batch.push(plain("MULTI"));
            }
        }
        batch.push(plain(["EXEC", "EXEC", "EXEC", "DISCARD"][self.generator.below(4)]));
        self.compare(batch);
    }

    /// What a client may do that has subscribed.
    fn subscribed(&mut self) {
        let what = [["SUBSCRIBE", "UNSUBSCRIBE"], ["PSUBSCRIBE", "PUNSUBSCRIBE"]];
        let [begin, end] = what[self.generator.below(2)];
        let mut batch = vec![words(&[begin, "news.*"])];
        for _ in 0..self.generator.below(4) {
            batch.push(self.exact());
        }
        batch.push(match self.generator.below(3) {
            0 => words(&[end, "news.*"]),
            1 => plain(end),
            _ => plain("RESET"),
        });
        // RESET and a transaction that was begun meanwhile have left nothing behind.
        batch.push(plain("RESET"));
        self.compare(batch);
    }

    fn exact(&mut self) -> (Command, Compared) {
        loop {
            let (command, compared) = self.generator.command();
            if compared == Compared::Exactly {
                return (command, compared);
            }
        }
    }

    /// A SCAN all the way round shows the same keys.
    fn scan(&mut self) {
        let options = self.generator.scan_options();
        let found = self.wires.each_mut().map(|wire| {
            let (mut found, mut cursor) = (BTreeSet::new(), b"0".to_vec());
            loop {
                let mut command = vec![b"SCAN".to_vec(), cursor];
                command.extend(options.iter().cloned());
                wire.send(&request(&command));
                let reply = wire.receive();
                let parts = elements(&reply);
                assert!(parts.len() == 2, "seed {}: {}", self.seed, shown(&reply));
                let keys = elements(&parts[1]);
                found.extend(keys);
                let line = parts[0].windows(2).position(|pair| pair == b"\r\n").expect("a line");
                cursor = parts[0][line + 2..parts[0].len() - 2].to_vec();
                if cursor == b"0" {
                    return found;
                }
            }
        });
        let options: Vec<_> = options.iter().map(|option| shown(option)).collect();
        assert_eq!(found[0], found[1], "seed {}: SCAN {}", self.seed, options.join(" "));
        self.done.push(vec![b"SCAN".to_vec()]);
    }

    fn compare(&mut self, batch: Vec<(Command, Compared)>) {
        let bytes: Vec<u8> = batch.iter().flat_map(|(command, _)| request(command)).collect();
        self.wires.iter_mut().for_each(|wire| wire.send(&bytes));
        for (command, compared) in batch {
            let [ours, theirs] = self.wires.each_mut().map(Wire::receive);
            self.done.push(command);
            if !equal(compared, &ours, &theirs) {
                let from = self.done.len().saturating_sub(25);
                for command in &self.done[from..] {
                    let words: Vec<_> = command.iter().map(|word| shown(word)).collect();
                    eprintln!("  {}", words.join(" "));
                }
                panic!(
                    "OTTO_SEED={} command {}:\nours   {}\nredis  {}",
                    self.seed,
                    self.done.len(),
                    shown(&ours),
                    shown(&theirs)
                );
            }
        }
    }
}

fn plain(word: &str) -> (Command, Compared) {
    words(&[word])
}

fn words(words: &[&str]) -> (Command, Compared) {
    (words.iter().map(|word| word.as_bytes().to_vec()).collect(), Compared::Exactly)
}

fn equal(compared: Compared, ours: &[u8], theirs: &[u8]) -> bool {
    if ours == theirs {
        return true;
    }
    let number = |reply: &[u8]| {
        let text = std::str::from_utf8(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?).ok()?;
        text.parse::<i64>().ok().filter(|number| *number >= 0)
    };
    match compared {
        Compared::Exactly => false,
        Compared::Unordered if ours.starts_with(b"*") && theirs.starts_with(b"*") => {
            let [mut ours, mut theirs] = [ours, theirs].map(elements);
            ours.sort();
            theirs.sort();
            ours == theirs
        }
        Compared::Unordered => false,
        Compared::Within(most) => match (number(ours), number(theirs)) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= most,
            _ => false,
        },
    }
}
