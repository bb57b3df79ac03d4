//! Graphs of any shape.

use super::MEMORY_KIB_MAX;
use otto_e2e::{DEADLINE, Place, Random, Tasks, Watched, figures, seed, times};

const TASKS_MAX: u64 = 20;
/// Ways that lead to one task: each is a copy of everything its producer writes.
const PATHS_MAX: u64 = 60;

/// Tasks by number; whatever one reads has a smaller one.
struct Graph {
    upstreams: Vec<Vec<usize>>,
    /// On how many ways records come to each.
    paths: Vec<u64>,
}

impl Graph {
    fn random(random: &mut Random) -> Graph {
        let tasks = 2 + random.below(TASKS_MAX - 1) as usize;
        let mut graph = Graph { upstreams: vec![Vec::new()], paths: vec![1] };
        for task in 1..tasks {
            let mut upstreams = Vec::new();
            let wanted = [0, 1, 1, 2, 3][random.below(5) as usize];
            for _ in 0..wanted {
                // Mostly the newest: long chains with short cuts.
                let back = random.sized(1, task as u64) as usize;
                if !upstreams.contains(&(task - back)) {
                    upstreams.push(task - back);
                }
            }
            graph.add(upstreams);
        }
        // Nobody writes for nobody.
        let unread: Vec<usize> = (0..tasks)
            .filter(|task| graph.upstreams[*task].is_empty() && !graph.is_read(*task))
            .collect();
        if !unread.is_empty() {
            graph.add(unread);
        }
        graph
    }

    fn add(&mut self, mut upstreams: Vec<usize>) {
        let paths = |upstreams: &[usize]| upstreams.iter().map(|task| self.paths[*task]).sum();
        while upstreams.len() > 1 && paths(&upstreams) > PATHS_MAX {
            upstreams.pop();
        }
        self.paths.push(if upstreams.is_empty() { 1 } else { paths(&upstreams) });
        self.upstreams.push(upstreams);
    }

    fn is_read(&self, task: usize) -> bool {
        self.upstreams.iter().any(|upstreams| upstreams.contains(&task))
    }

    /// What all edges carry together, when each producer writes one.
    fn moved(&self) -> u64 {
        self.upstreams.iter().flatten().map(|upstream| self.paths[*upstream]).sum()
    }

    /// The file, and which tasks read all that comes.
    fn tasks(&self, random: &mut Random, bytes: u64) -> (Tasks, Vec<String>) {
        let most = [4 << 10, 64 << 10, 1 << 20][random.below(3) as usize];
        let mean = most / u64::from(u64::ilog2(most)) * 3 / 2;
        let count = (bytes / self.moved() / mean).max(1);
        let settings = format!("seed={} count={count} most={most}", random.below(1 << 30));
        let (mut tasks, mut readers, mut ended) = (Tasks::new(), Vec::new(), Vec::new());
        let name = |task: usize| format!("t{task}");
        let to = "> \"$OTTO_OUTPUT_PIPE\"";
        let ends = (0..self.paths.len()).filter(|task| !self.is_read(*task)).count();
        for (task, upstreams) in self.upstreams.iter().enumerate() {
            let letter = char::from(b'a' + task as u8);
            let script = if upstreams.is_empty() {
                format!("produce id={letter} {settings} {to}")
            } else if self.is_read(task) {
                format!("pass id={letter} {to}")
            } else if ends > 1 && random.below(6) == 0 {
                format!("check {settings} quit={}", 1 + random.below(count * mean))
            } else {
                readers.push(name(task));
                format!("check {settings} paths={}", self.paths[task])
            };
            let before: Vec<String> = upstreams.iter().map(|task| name(*task)).collect();
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            // Who waits for the end of a reader that is not below it can hold up a whole graph, which
            // only keeping what others leave unread on the disk gets moving again.
            let waits = match ended.last() {
                Some(other) if random.below(3) == 0 => {
                    format!("otto-get --wait {other}.done > /dev/null; ")
                }
                _ => String::new(),
            };
            let is_end = !self.is_read(task);
            let then = if is_end { "otto-set done yes" } else { "" };
            let script = format!("{waits}\"$LOAD\" {script}\n{then}");
            tasks = tasks.stream(&name(task), &before, &script);
            if is_end {
                ended.push(name(task));
            }
        }
        (tasks, readers)
    }
}

/// Chains, fan-outs, joins and diamonds of up to 20 tasks; readers know what must come and in which
/// order on each way; some leave in the middle, some wait until others have read everything.
#[test]
fn graphs_of_any_shape_carry_everything() {
    let bytes = u64::from(times(1024)) << 20;
    let (mut most_memory, mut slowest) = (0, std::time::Duration::ZERO);
    let graphs = times(100);
    for number in 0..graphs {
        let seed = seed().wrapping_add(u64::from(number));
        let mut random = Random(seed);
        let (tasks, readers) = Graph::random(&mut random).tasks(&mut random, bytes);
        let place = Place::new();
        // Parts that don't stream to each other, but wait for each other, have to run together.
        let job = place.otto_run(&tasks.to_string()).args(["-j", "30"]).within(DEADLINE * 5);
        let (finished, memory) = Watched::of(job).finish();
        let told = format!("OTTO_SEED={seed}\n{tasks}\n{}\n{}", finished.stdout, finished.stderr);
        assert_eq!(finished.status, 0, "{told}");
        for reader in readers {
            assert!(finished.stdout.contains(&format!("[{reader}] whole: ")), "{reader}: {told}");
        }
        assert!(memory <= MEMORY_KIB_MAX, "{memory} KiB: {told}");
        most_memory = most_memory.max(memory);
        slowest = slowest.max(finished.took);
    }
    figures(format_args!(
        "streams: {graphs} graphs, {} MiB moved in each: the slowest {slowest:.1?}, otto-run {most_memory} KiB",
        bytes >> 20
    ));
}
