//! Commands chosen by chance, right and wrong ones.

use otto_e2e::Random;

pub(super) type Command = Vec<Vec<u8>>;

/// How the replies of both servers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// Byte for byte.
    Exactly,
    /// The elements, in any order.
    Unordered,
    /// Integers that may differ by so much; what is negative is exact.
    Within(i64),
}

pub(super) struct Generator {
    random: Random,
}

const KEYS: [&str; 12] =
    ["a", "b", "c", "task.x", "task.y", "n", "m", "list", "list2", "l", "ключ", "*[?"];

const VALUES: [&[u8]; 24] = [
    b"",
    b"0",
    b"1",
    b"-1",
    b"42",
    b"007",
    b" 5",
    b"+3",
    b"-0",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"3.25",
    b"1e3",
    b"0.1",
    b"nan",
    b"text",
    b"[1,2]",
    b"{\"$bytes\":\"/w==\"}",
    b"\"quoted\" \\ and\r\nlines\t\x00\x01\x1f",
    b"\xff\xfe\x00binary\xc3",
    "äöü \u{1f600} \u{2028}".as_bytes(),
    b"null",
    b"\xed\xa0\x80",
];

const INTEGERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "2",
    "-2",
    "10",
    "100",
    "-100",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "x",
    "1.5",
    "",
];

const FLOATS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "-0.3",
    "3.14159",
    "1e3",
    "-2.5e-3",
    "1e17",
    "1e-17",
    "1e-18",
    "123456789.123456789",
    "0x10",
    "inf",
    "nan",
    "x",
    "",
    " 1",
    "5.",
    ".5",
    "1e4000",
];

impl Generator {
    pub(super) fn new(seed: u64) -> Generator {
        Generator { random: Random(seed) }
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn key(&mut self) -> String {
        self.pick(&KEYS).to_owned()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => (self.random.next() as i64 >> self.below(64)).to_string().into(),
            1 => (0..self.below(40)).map(|_| self.random.next() as u8).collect(),
            2 if self.one_in(10) => vec![b'v'; self.random.sized(1, 5000) as usize],
            _ => self.pick(&VALUES).to_vec(),
        }
    }

    fn integer(&mut self) -> String {
        match self.below(3) {
            0 => (self.below(10) as i64 - 5).to_string(),
            _ => self.pick(&INTEGERS).to_owned(),
        }
    }

    fn float(&mut self) -> String {
        match self.below(4) {
            0 => {
                let (whole, decimals) = (self.random.next() as i64 >> 40, self.below(12));
                format!("{:.decimals$}", whole as f64 / 977.0)
            }
            1 => format!("{}e{}", self.random.next() as i64, self.below(60) as i64 - 40),
            _ => self.pick(&FLOATS).to_owned(),
        }
    }

    /// Far enough from all others that it makes no difference which server is asked first.
    fn seconds(&mut self) -> String {
        match self.below(8) {
            0 => "-1".into(),
            1 => {
                self.pick(&["0", "x", "9223372036854775807", "-9223372036854775808", "10.5"]).into()
            }
            _ => (1000 + self.below(100_000_000)).to_string(),
        }
    }

    fn keys(&mut self, most: usize) -> Vec<Vec<u8>> {
        (0..=self.below(most)).map(|_| self.key().into()).collect()
    }

    fn words(&mut self, from: &[&str], most: usize) -> Vec<Vec<u8>> {
        (0..self.below(most + 1)).map(|_| self.pick(from).into()).collect()
    }

    /// One command, sometimes with too few or too many arguments.
    pub(super) fn command(&mut self) -> (Command, Compared) {
        let (name, mut args, compared) = self.well_formed();
        // With another number of words some of these tell what only one server is like.
        if !matches!(name, "INFO" | "COMMAND" | "CLIENT" | "HELLO" | "SUBSCRIBE") {
            if self.one_in(40) {
                args.pop();
            } else if self.one_in(40) {
                args.push(self.key().into());
            }
        }
        let name = match self.below(3) {
            0 => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        };
        let mut command = vec![name.into_bytes()];
        command.append(&mut args);
        (command, compared)
    }

    fn well_formed(&mut self) -> (&'static str, Command, Compared) {
        let exactly = |name, args| (name, args, Compared::Exactly);
        let key = self.key().into_bytes();
        match self.below(46) {
            0..3 => exactly("GET", vec![key]),
            3..6 => exactly("SET", vec![key, self.value()]),
            6..9 => {
                let mut args = vec![key, self.value()];
                args.extend(self.words(&["NX", "XX", "GET", "KEEPTTL", "nx", "get", "no"], 2));
                if self.one_in(2) {
                    args.push(self.pick(&["EX", "px"]).into());
                    args.push(self.seconds().into());
                } else if self.one_in(8) {
                    args.push(self.pick(&["EXAT", "PXAT"]).into());
                    args.push(self.pick(&["0", "-7", "99999999999999", "x"]).into());
                }
                exactly("SET", args)
            }
            9 => exactly("GETDEL", vec![key]),
            10 => exactly("SETNX", vec![key, self.value()]),
            11 => exactly("SETEX", vec![key, self.seconds().into(), self.value()]),
            12 => exactly("MGET", self.keys(4)),
            13 => {
                let pairs = (0..=self.below(3)).flat_map(|_| [self.key().into(), self.value()]);
                exactly("MSET", pairs.collect())
            }
            14 => exactly("APPEND", vec![key, self.value()]),
            15 => exactly("STRLEN", vec![key]),
            16 => exactly("INCR", vec![key]),
            17 => exactly("DECR", vec![key]),
            18 => exactly("INCRBY", vec![key, self.integer().into()]),
            19 => exactly("DECRBY", vec![key, self.integer().into()]),
            20..22 => exactly("INCRBYFLOAT", vec![key, self.float().into()]),
            22 => exactly(self.pick(&["DEL", "UNLINK"]), self.keys(3)),
            23 => exactly("EXISTS", self.keys(4)),
            24 => exactly("TYPE", vec![key]),
            25 => {
                let pattern =
                    self.pick(&["*", "task.*", "[a-c]", "l?st", "[^l]*", "\\*[[]?", "кл*", "x"]);
                ("KEYS", vec![pattern.into()], Compared::Unordered)
            }
            26 => ("TTL", vec![key], Compared::Within(2)),
            27 => ("PTTL", vec![key], Compared::Within(2000)),
            28..30 => {
                let name = self.pick(&["EXPIRE", "PEXPIRE"]);
                let mut seconds = self.seconds();
                // In milliseconds, too, what is to come has to be far away.
                if name == "PEXPIRE" && seconds.len() > 3 && !seconds.starts_with('-') {
                    seconds.push_str("000");
                }
                let mut args = vec![key, seconds.into()];
                args.extend(self.words(&["NX", "XX", "GT", "LT", "gt", "no"], 2));
                exactly(name, args)
            }
            30 => exactly("PERSIST", vec![key]),
            31 => exactly("RENAME", vec![key, self.key().into()]),
            32 if self.one_in(8) => exactly("FLUSHALL", self.words(&["SYNC", "async", "no"], 1)),
            32 => exactly("DBSIZE", vec![]),
            33..36 => {
                let mut args = vec![self.pick(&["list", "list2", "l", "a"]).into()];
                args.extend((0..=self.below(3)).map(|_| self.value()));
                exactly(self.pick(&["LPUSH", "RPUSH"]), args)
            }
            36 => exactly(self.pick(&["LPOP", "RPOP"]), vec![key]),
            37 => exactly(self.pick(&["LPOP", "RPOP"]), vec![key, self.integer().into()]),
            38 => exactly("LLEN", vec![key]),
            39 => exactly("LRANGE", vec![key, self.integer().into(), self.integer().into()]),
            40 => exactly("LINDEX", vec![key, self.integer().into()]),
            41 if self.one_in(4) => {
                let mut args = self.keys(3);
                args.push(self.pick(&["0.001", "0.002", "-1", "x", "1e30"]).into());
                exactly(self.pick(&["BLPOP", "BRPOP"]), args)
            }
            41 => exactly("ECHO", vec![self.value()]),
            42 => exactly("PING", if self.one_in(2) { vec![self.value()] } else { vec![] }),
            43 => exactly("PUBLISH", vec![key, self.value()]),
            44 => self.about_the_server(),
            _ => match self.below(4) {
                0 => exactly("EXEC", vec![]),
                1 => exactly("DISCARD", vec![]),
                2 => exactly("NONSENSE", vec![self.value(), key]),
                _ => exactly("GETT", vec![]),
            },
        }
    }

    fn about_the_server(&mut self) -> (&'static str, Command, Compared) {
        let (name, words) = self.pick(&[
            ("SELECT", "0"),
            ("SELECT", "1"),
            ("SELECT", "x"),
            ("SELECT", "-1"),
            ("CLIENT", "GETNAME"),
            ("CLIENT", "SETNAME me"),
            ("CLIENT", "SETNAME m\u{e9}"),
            ("CLIENT", "setname other-me"),
            ("CLIENT", "NO-EVICT on"),
            ("CLIENT", "NO-EVICT x"),
            ("CLIENT", "SETINFO LIB-NAME x"),
            ("CLIENT", "LIST TYPE nobody"),
            ("CLIENT", "LIST ID x"),
            ("CLIENT", "LIST x"),
            ("CLIENT", "nothing"),
            ("CLIENT", ""),
            ("CONFIG", "GET save"),
            ("CONFIG", "GET Appendonly"),
            ("CONFIG", "GET nothing-like-it"),
            ("CONFIG", ""),
            ("CONFIG", "nothing"),
            ("COMMAND", "nothing"),
            ("COMMAND", "COUNT x"),
            ("COMMAND", "DOCS nothing"),
            ("COMMAND", "INFO nothing"),
            ("INFO", "nothing"),
            ("HELLO", "3x"),
            ("HELLO", "1"),
            ("HELLO", "2 NOTHING"),
            ("HELLO", "2 SETNAME"),
            ("HELLO", "2 AUTH someone x"),
            ("RESET", "x"),
            ("SUBSCRIBE", ""),
        ]);
        let args = words.split_whitespace().map(|word| word.as_bytes().to_vec());
        (name, args.collect(), Compared::Exactly)
    }

    /// Options of a SCAN that goes all the way round.
    pub(super) fn scan_options(&mut self) -> Vec<Vec<u8>> {
        let mut options: Vec<&str> = Vec::new();
        if self.one_in(2) {
            options.extend(["MATCH", self.pick(&["*", "task.*", "[a-n]", "l*"])]);
        }
        if self.one_in(2) {
            options.extend(["COUNT", self.pick(&["1", "3", "1000"])]);
        }
        if self.one_in(3) {
            options.extend(["TYPE", self.pick(&["string", "list", "hash", "LIST"])]);
        }
        options.into_iter().map(|word| word.as_bytes().to_vec()).collect()
    }
}
