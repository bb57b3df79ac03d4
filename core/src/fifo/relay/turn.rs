//! What a relay does between two waits.

use super::control::Request;
use super::pages::{self, Paged};
use super::stall::Watch;
use super::tap::Tap;
use super::{Event, Relay, SinkId, SourceId};
use std::time::Instant;

/// Rounds of reading and writing before others are looked after: taps, requests, the end.
const ROUNDS: usize = 8;

impl Relay {
    /// Moves what can be moved without waiting; whether that was anything.
    pub(super) fn turn(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..ROUNDS {
            let mut progress = false;
            for place in 0..self.sources.len() {
                progress |= self.take_in(place);
            }
            progress |= self.feed_spills();
            progress |= self.hand_out();
            self.forget_taken();
            moved |= progress;
            if !progress {
                break;
            }
        }
        for tap in &mut self.taps {
            tap.write();
        }
        self.taps.retain(|tap| !tap.is_over(&self.sources));
        moved
    }

    /// Takes what a source has, as pages straight to its sinks if that will do.
    fn take_in(&mut self, place: usize) -> bool {
        if self.is_paged(place)
            && let Some(nowhere) = &self.nowhere
        {
            let source = &mut self.sources[place];
            if source.is_dry || source.has_ended() {
                return false;
            }
            match pages::pass(source, &mut self.sinks, &self.routes[place], nowhere) {
                Paged::Moved => return true,
                Paged::Still => return false,
                Paged::Unable => {}
            }
        }
        let source = &mut self.sources[place];
        if !source.is_readable() {
            return false;
        }
        let Some(begin) = source.read() else { return source.has_ended() };
        let new = source.window.bytes(begin, source.end());
        for tap in &mut self.taps {
            tap.feed(place, new);
        }
        true
    }

    /// Whether nobody has to see what comes from a source.
    fn is_paged(&self, place: usize) -> bool {
        let source = &self.sources[place];
        let mut open = self.routes[place].iter().map(|sink| &self.sinks[*sink]);
        source.window.is_empty()
            && !source.is_sharded()
            && !self.taps.iter().any(|tap| tap.sources.contains(&place))
            && open.all(|sink| !sink.is_open() || sink.is_paged())
    }

    /// Appends to the spills what their edges have not got yet; whether that was anything, since it
    /// makes room for more.
    fn feed_spills(&mut self) -> bool {
        let mut moved = false;
        for edge in self.sinks.iter_mut().flat_map(|sink| &mut sink.edges) {
            let Some(spill) = &mut edge.spill else { continue };
            let window = &self.sources[edge.source].window;
            if spill.end() < window.end() {
                moved |= spill.append(window.bytes(spill.end(), window.end())) > 0;
            }
        }
        moved
    }

    /// Writes to every sink what it has room for, first to the one behind the last that took any.
    fn hand_out(&mut self) -> bool {
        let count = self.sinks.len();
        let first = self.first;
        let mut moved = false;
        for place in (first..count).chain(0..first) {
            if self.sinks[place].write(&mut self.sources, &mut self.scratch) {
                moved = true;
                self.first = (place + 1) % count;
            }
        }
        moved
    }

    /// Makes room for what all sinks have taken.
    fn forget_taken(&mut self) {
        for edge in self.sinks.iter_mut().flat_map(|sink| &mut sink.edges) {
            // What has caught up with its spill takes the rest from memory. Where the disk was full
            // from the start nothing was caught up with: that edge is as full as before.
            let (position, end) = (edge.position, self.sources[edge.source].end());
            edge.spill.take_if(|spill| {
                position > spill.end()
                    || position == spill.end() && !(spill.is_unused() && position < end)
            });
        }
        for (place, source) in self.sources.iter_mut().enumerate() {
            if source.is_drained() || source.window.is_empty() {
                continue;
            }
            let routes = self.routes[place].iter();
            let edges = routes.filter_map(|sink| self.sinks[*sink].edge_from(place));
            let lowest = edges.filter_map(|edge| edge.floor(source)).min();
            source.forget(lowest);
        }
    }

    /// Draws the consequences of what was read and written; whether there were any.
    pub(super) fn settle(&mut self, on_event: &mut impl FnMut(Event)) -> bool {
        let mut events = Vec::new();
        for (place, sink) in self.sinks.iter_mut().enumerate() {
            sink.close_at_end(place, &self.sources);
            match sink.take_end() {
                Some(Ok(())) => events.push(Event::Gone(SinkId(place))),
                Some(Err(error)) => {
                    let sources = sink.edges.iter().map(|edge| SourceId(edge.source)).collect();
                    events.push(Event::Failed(sources, error));
                }
                None => {}
            }
        }
        let mut any = !events.is_empty();
        // Why, before a producer learns that nobody reads it, and ends.
        events.drain(..).for_each(&mut *on_event);
        for (place, source) in self.sources.iter_mut().enumerate() {
            let routes = self.routes[place].iter();
            let mut edges = routes.filter_map(|sink| self.sinks[*sink].edge_from(place));
            // Also when there is no sink left.
            let drained = !source.is_drained() && edges.all(|edge| edge.is_over(source));
            if drained {
                source.finish();
            }
            if source.take_closed() {
                events.push(Event::Closed(SourceId(place)));
            }
            if drained {
                events.push(Event::Drained(SourceId(place)));
            }
        }
        any |= !events.is_empty();
        events.into_iter().for_each(on_event);
        any
    }

    /// Looks for streams that wait for each other; whether something was done about it.
    pub(super) fn look(
        &mut self,
        watch: &mut Watch,
        now: Instant,
        on_event: &mut impl FnMut(Event),
    ) -> bool {
        let seen = watch.look(now, &self.sources, &self.sinks, self.spill.as_ref());
        let mut done = false;
        for (sink, place) in seen.spill {
            let Some(spill) = &self.spill else { continue };
            let edge = &mut self.sinks[sink].edges[place];
            // Without a file it stays as it is, and is reported in its time.
            if let Ok(file) = spill.open(edge.position) {
                edge.spill = Some(file);
                on_event(Event::Spilling(SourceId(edge.source), SinkId(sink)));
                done = true;
            }
        }
        if let Some(stall) = seen.stall {
            on_event(Event::Stalled(stall));
        }
        done
    }

    /// Does what other threads have asked for.
    pub(super) fn answer(&mut self, watch: &mut Watch) {
        let Some(shared) = &self.shared else { return };
        for request in shared.take() {
            match request {
                Request::Edges(answer) => {
                    let _ = answer.send(self.states());
                }
                Request::Fail { source, told } => self.sources[source].fail(told),
                Request::Leave(sink) if self.sinks[sink].is_open() => {
                    self.sinks[sink].leave(Ok(()), &mut self.sources);
                }
                Request::Leave(_) => {}
                Request::Tap { sources, sampling, to } => {
                    if super::nonblocking(&to).is_ok() {
                        let mut tap = Tap::new(sources, sampling, to);
                        tap.begin(&self.sources, &self.sinks);
                        self.taps.push(tap);
                    }
                }
                Request::WaitedFor(waited_for) => watch.waited_for = waited_for,
            }
        }
    }
}
