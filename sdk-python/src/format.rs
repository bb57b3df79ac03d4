//! What one element is, in the two spellings: `struct`'s and memoryview's (PEP 3118), and numpy's,
//! which .npy files use.

/// An element type that both spellings have a word for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Simple {
    /// As memoryview spells it.
    pub(crate) format: String,
    /// As numpy spells it.
    pub(crate) dtype: String,
    pub(crate) size: usize,
}

/// The kinds of numpy that memoryview can index: kind and size, and the letter for it.
const KINDS: [(char, usize, &str); 16] = [
    ('b', 1, "?"),
    ('i', 1, "b"),
    ('u', 1, "B"),
    ('i', 2, "h"),
    ('u', 2, "H"),
    ('i', 4, "i"),
    ('u', 4, "I"),
    ('i', 8, "q"),
    ('u', 8, "Q"),
    ('f', 2, "e"),
    ('f', 4, "f"),
    ('f', 8, "d"),
    ('f', 16, "g"),
    ('c', 8, "Zf"),
    ('c', 16, "Zd"),
    ('c', 32, "Zg"),
];

/// Words of numpy, and what they are short for.
const WORDS: [(&str, &str); 5] =
    [("bool", "b1"), ("?", "b1"), ("int", "i8"), ("float", "f8"), ("complex", "c16")];

/// Size of what `struct` calls `code`: with the sizes of this machine's C, or the standard ones.
fn code_size(code: char, native: bool) -> Option<usize> {
    Some(match code {
        'c' | 'b' | 'B' | '?' => 1,
        'h' | 'H' | 'e' => 2,
        'i' | 'I' | 'f' | 'w' => 4,
        'l' | 'L' => [4, size_of::<std::ffi::c_long>()][usize::from(native)],
        'q' | 'Q' | 'd' => 8,
        'n' | 'N' | 'P' if native => size_of::<usize>(),
        'g' if native => 16,
        _ => return None,
    })
}

/// Byte order of a format, and the rest: `None` is this machine's, with its sizes.
fn order(format: &str) -> (Option<char>, &str) {
    match format.chars().next() {
        Some('@' | '^') => (None, &format[1..]),
        Some('<' | '=') => (Some('<'), &format[1..]),
        Some('>' | '!') => (Some('>'), &format[1..]),
        _ => (None, format),
    }
}

/// What memoryview takes an element to be when it indexes: the size of a format of one letter.
pub(crate) fn single_size(format: &str) -> Option<usize> {
    let (order, rest) = order(format);
    let mut letters = rest.chars();
    let code = letters.next()?;
    if letters.next().is_some() { None } else { code_size(code, order.is_none()) }
}

/// The type that `format` means, if elements of it have `size` bytes and numpy has it.
pub(crate) fn from_buffer(format: &str, size: usize) -> Option<Simple> {
    let (order, rest) = order(format);
    let native = order.is_none();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let kind = match (&rest[..digits], &rest[digits..]) {
        ("", "Zf" | "Zd" | "Zg") => 'c',
        ("", "?") => 'b',
        ("", "b" | "h" | "i" | "l" | "q" | "n") => 'i',
        ("", "B" | "H" | "I" | "L" | "Q" | "N") => 'u',
        ("", "e" | "f" | "d" | "g") => 'f',
        (_, "s") => 'S',
        ("", "c") => 'S',
        (_, "w") => 'U',
        // As ctypes spells it.
        ("", "u") => 'U',
        _ => return None,
    };
    let count = match &rest[..digits] {
        "" => 1,
        digits => digits.parse().ok().filter(|count| *count > 0)?,
    };
    let one = match &rest[digits..] {
        "s" => 1,
        "Zf" => 8,
        "Zd" => 16,
        "Zg" => 32,
        "g" => 16,
        "u" => 4,
        letter => code_size(letter.chars().next()?, native)?,
    };
    if usize::checked_mul(one, count)? != size {
        return None;
    }
    let number = if kind == 'U' { count } else { size };
    let order = match (kind, one) {
        ('S', _) | (_, 1) => '|',
        _ => order.unwrap_or('<'),
    };
    Some(Simple { format: format.to_owned(), dtype: format!("{order}{kind}{number}"), size })
}

/// The type that numpy calls `dtype`, such as `f8`, `>i4`, `float32` or `S5`; `None` where it takes
/// numpy itself to know.
pub(crate) fn from_numpy(dtype: &str) -> Option<Simple> {
    let dtype = WORDS.iter().find(|(word, _)| *word == dtype).map_or(dtype, |(_, short)| short);
    let big = dtype.starts_with('>');
    let rest = dtype.strip_prefix(['<', '>', '=', '|']).unwrap_or(dtype);
    let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let number: usize = rest[letters.len()..].parse().ok().filter(|number| *number > 0)?;
    let kind = letters.chars().next()?;
    // Words count bits, letters bytes.
    let number = match letters {
        "int" | "uint" | "float" | "complex" if number.is_multiple_of(8) => number / 8,
        _ if letters.len() == 1 => number,
        _ => return None,
    };
    let (letter, size) = match kind {
        'S' => (format!("{number}s"), number),
        'U' => (format!("{number}w"), number.checked_mul(4)?),
        _ => {
            let found = KINDS.iter().find(|(known, size, _)| (*known, *size) == (kind, number));
            found.map(|(_, size, letter)| ((*letter).to_owned(), *size))?
        }
    };
    let order = if big { ">" } else { "" };
    from_buffer(&format!("{order}{letter}"), size)
}

/// Whether elements of `format` are, or have in them, addresses in this process's memory.
pub(crate) fn holds_references(format: &str) -> bool {
    // Every other piece between colons is the name of a field.
    format.split(':').step_by(2).any(|codes| {
        let complex = codes.replace("Zf", "").replace("Zd", "").replace("Zg", "");
        complex.contains(['O', '&', 'X', 'z', 'Z', 'P'])
    })
}
