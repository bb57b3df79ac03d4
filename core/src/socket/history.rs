//! The last events, for those who subscribe later. No I/O here.

use super::dispatch::Change;
use std::collections::VecDeque;

/// Events are forgotten by segments of this size, in bytes.
const SEGMENT_BYTES: usize = 256 << 10;
/// Bytes an event takes beside its key and value.
const HEAD_BYTES: usize = 8 + 1 + 2 + 4;
/// Marks an event without a value.
const NO_VALUE: u32 = u32::MAX;

/// One event of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past<'a> {
    pub(super) seq: u64,
    pub(super) change: Change,
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
}

/// Events in order, the oldest forgotten first.
#[derive(Debug)]
pub(super) struct History {
    segments: VecDeque<Segment>,
    /// A forgotten segment's memory, for the next one.
    spare: Vec<u8>,
    bytes_max: usize,
    bytes: usize,
    /// Every event from this number on is here.
    first: u64,
}

#[derive(Debug)]
struct Segment {
    /// The number of its first event.
    first: u64,
    events: Vec<u8>,
}

/// Where a reader of the history stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The number of the next event it wants.
    pub(super) seq: u64,
    /// The segment it stands in, by its first number, and how far into it.
    at: Option<(u64, usize)>,
}

impl Cursor {
    pub(super) fn new(seq: u64) -> Cursor {
        Cursor { seq, at: None }
    }
}

impl History {
    /// Keeps about `bytes_max`, but at least the last event. What came before number `first` is
    /// unknown to it.
    pub(super) fn new(bytes_max: usize, first: u64) -> History {
        History { segments: VecDeque::new(), spare: Vec::new(), bytes_max, bytes: 0, first }
    }

    /// The number from which on every event is here.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Adds an event, whose number is above all before it.
    pub(super) fn push(&mut self, event: Past<'_>) {
        let size = HEAD_BYTES + event.key.len() + event.value.map_or(0, str::len);
        let fits = |segment: &Segment| segment.events.len() + size <= SEGMENT_BYTES;
        if !self.segments.back().is_some_and(fits) {
            self.begin_segment(event.seq, size);
        }
        let Some(segment) = self.segments.back_mut() else { return };
        // Keys and values are far below these bounds.
        let key_length = u16::try_from(event.key.len()).unwrap_or(u16::MAX);
        let value_length =
            event.value.map_or(NO_VALUE, |value| u32::try_from(value.len()).unwrap_or(NO_VALUE));
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&event.seq.to_le_bytes());
        head[8] = event.change.code();
        head[9..11].copy_from_slice(&key_length.to_le_bytes());
        head[11..].copy_from_slice(&value_length.to_le_bytes());
        segment.events.extend_from_slice(&head);
        segment.events.extend_from_slice(event.key.as_bytes());
        segment.events.extend_from_slice(event.value.unwrap_or_default().as_bytes());
        self.bytes += size;
    }

    #[cold]
    fn begin_segment(&mut self, first: u64, size: usize) {
        while self.segments.len() > 1 && self.bytes + size > self.bytes_max {
            self.forget_segment();
        }
        // Room for one large event; small ones fill a segment bit by bit.
        let mut events = std::mem::take(&mut self.spare);
        if size > SEGMENT_BYTES {
            events = Vec::with_capacity(size);
        }
        self.segments.push_back(Segment { first, events });
    }

    fn forget_segment(&mut self) {
        let Some(mut segment) = self.segments.pop_front() else { return };
        self.bytes -= segment.events.len();
        self.first = self.segments.front().map_or(self.first, |next| next.first);
        if segment.events.capacity() <= 2 * SEGMENT_BYTES {
            segment.events.clear();
            self.spare = segment.events;
        }
    }

    /// The first event at or behind `cursor`, which moves on behind it; `None` at the end.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<Past<'_>> {
        loop {
            let index = self.segments.partition_point(|segment| segment.first <= cursor.seq);
            let segment = self.segments.get(index.saturating_sub(1))?;
            let next = self.segments.get(index.max(1));
            let known = cursor.at.filter(|(first, _)| *first == segment.first);
            let mut at = known.map_or(0, |(_, at)| at);
            while let Some((event, size)) = read(&segment.events[at..]) {
                at += size;
                if event.seq >= cursor.seq {
                    *cursor = Cursor { seq: event.seq + 1, at: Some((segment.first, at)) };
                    return Some(event);
                }
            }
            // Numbers may be left out between segments.
            *cursor = Cursor::new(next?.first);
        }
    }
}

fn read(bytes: &[u8]) -> Option<(Past<'_>, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let seq = u64::from_le_bytes(*head.first_chunk()?);
    let key_length = usize::from(u16::from_le_bytes([head[9], head[10]]));
    let value_length = u32::from_le_bytes([head[11], head[12], head[13], head[14]]);
    let (key, rest) = rest.split_at_checked(key_length)?;
    let has_value = value_length != NO_VALUE;
    let value = rest.get(..if has_value { value_length as usize } else { 0 })?;
    let event = Past {
        seq,
        change: Change::of_code(head[8])?,
        key: std::str::from_utf8(key).ok()?,
        value: if has_value { Some(std::str::from_utf8(value).ok()?) } else { None },
    };
    Some((event, HEAD_BYTES + key_length + value.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, value: &str) -> Past<'_> {
        Past { seq, change: Change::Set, key: "k", value: Some(value) }
    }

    fn all(history: &History, from: u64) -> Vec<u64> {
        let mut cursor = Cursor::new(from);
        std::iter::from_fn(|| history.next(&mut cursor)).map(|event| event.seq).collect()
    }

    #[test]
    fn events_come_back_in_order_from_anywhere() {
        let mut history = History::new(1 << 20, 1);
        assert_eq!(all(&history, 1), Vec::<u64>::new());
        let value = "x".repeat(100_000);
        for seq in [1, 2, 3, 5, 8, 9] {
            history.push(event(seq, &value));
        }
        let deleted = Past { seq: 10, change: Change::Delete, key: "é", value: None };
        history.push(deleted);
        assert_eq!(all(&history, 0), [1, 2, 3, 5, 8, 9, 10]);
        assert_eq!(all(&history, 3), [3, 5, 8, 9, 10]);
        assert_eq!(all(&history, 4), [5, 8, 9, 10]);
        assert_eq!(all(&history, 6), [8, 9, 10]);
        assert_eq!(all(&history, 11), Vec::<u64>::new());
        assert_eq!(history.next(&mut Cursor::new(10)), Some(deleted));
    }

    #[test]
    fn a_reader_at_the_end_goes_on_with_what_comes() {
        let mut history = History::new(1 << 20, 1);
        let value = "x".repeat(100_000);
        let mut cursor = Cursor::new(1);
        for seq in 1..50 {
            assert_eq!(history.next(&mut cursor), None);
            history.push(event(seq, &value));
            assert_eq!(history.next(&mut cursor).map(|event| event.seq), Some(seq));
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_known() {
        let mut history = History::new(1 << 20, 1);
        let value = "x".repeat(1000);
        for seq in 1..10_000 {
            history.push(event(seq, &value));
            assert!(history.bytes <= (1 << 20) + SEGMENT_BYTES);
        }
        let kept = all(&history, 0);
        assert_eq!(kept[0], history.first());
        assert!(kept.len() > 700 && kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        // One that is larger than all of it displaces the rest, and only that.
        let large = "x".repeat(2 << 20);
        history.push(event(10_000, &large));
        history.push(event(10_001, "1"));
        assert_eq!(all(&history, 10_000), [10_000, 10_001]);
        for seq in 10_002..20_000 {
            history.push(event(seq, &value));
        }
        assert!(history.bytes <= (1 << 20) + SEGMENT_BYTES);
    }
}
