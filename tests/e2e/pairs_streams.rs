//! Every language sends, every language receives, through a stream.

use crate::pairs::{LANGUAGES, client, compare, fill};
use otto_e2e::Place;

fn streams(place: &Place) {
    let values = place.path().join("values");
    fill(&values);
    for sender in LANGUAGES {
        for receiver in LANGUAGES {
            let out = format!("{sender}-{receiver}");
            let _ = place.folder(&out);
            let file = format!(
                "tasks:\n  \
                   producer:\n    streaming: true\n    bash: '{} values'\n  \
                   consumer:\n    streaming: true\n    before: [producer]\n    bash: '{} {out}'\n",
                client(sender, "send"),
                client(receiver, "receive"),
            );
            let _ = place.otto_run(&file).run().ok();
            compare(&values, &place.path().join(&out), &format!("stream, {out}"));
        }
    }
}

#[test]
fn every_language_pair_through_a_stream() {
    streams(&Place::new());
}

#[test]
fn every_language_pair_through_a_stream_as_an_ordinary_user() {
    streams(&Place::ordinary());
}
