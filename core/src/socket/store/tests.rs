use super::*;

fn store() -> Store {
    Store::new(100, 1000)
}

fn json(store: &Store, key: &str) -> String {
    store.get(key).unwrap().value.json().into_owned()
}

#[test]
fn every_write_takes_the_next_number() {
    let mut store = store();
    assert_eq!(store.set("a", "1").unwrap(), 1);
    assert_eq!(store.set("b", "2").unwrap(), 2);
    assert_eq!(store.set("a", "3").unwrap(), 3);
    assert_eq!((store.revision("a"), store.revision("b"), store.revision("c")), (3, 2, 0));
    assert_eq!(store.delete("a"), Some(4));
    assert_eq!(store.delete("a"), None);
    assert_eq!(store.push("l", End::Last, &["1", "2"]).unwrap(), (5, 2));
    assert_eq!(store.sequence(), 5);
    assert_eq!(store.keys(&Pattern::all()), ["b", "l"]);
    assert_eq!(store.keys(&Pattern::parse("b").unwrap()), ["b"]);
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut store = store();
    store.set("s", "\"text\"").unwrap();
    assert!(store.set("s", &"1".repeat(101)).is_err());
    assert!(store.push("s", End::Last, &["1"]).is_err());
    assert!(store.push("l", End::Last, &["1", &"1".repeat(101)]).is_err());
    assert_eq!(json(&store, "s"), "\"text\"");
    assert_eq!((store.sequence(), store.len()), (1, 1));
}

#[test]
fn the_total_is_bounded_and_deleting_frees_it() {
    let mut store = store();
    let fill = |store: &mut Store| {
        let value = "1".repeat(90);
        let set = (0..100).take_while(|n| store.set(&format!("k{n}"), &value).is_ok()).count();
        let pushed = |store: &mut Store| store.push("list", End::First, &["1"]).is_ok();
        (set, (0..100).take_while(|_| pushed(store)).count())
    };
    let first = fill(&mut store);
    assert!(first.0 > 3 && first.0 < 12);
    for n in 0..first.0 {
        store.delete(&format!("k{n}")).unwrap();
    }
    store.delete("list");
    assert_eq!((store.bytes(), store.len()), (0, 0));
    assert_eq!(fill(&mut store), first);
}

#[test]
fn arrays_are_lists_and_lists_are_arrays() {
    let mut store = store();
    store.set("l", r#"["b",{"x":[1]}]"#).unwrap();
    assert_eq!(store.push("l", End::First, &["\"a\"", "0"]).unwrap(), (2, 4));
    assert_eq!(json(&store, "l"), r#"[0,"a","b",{"x":[1]}]"#);
    let bytes = store.bytes();
    let popped = store.pop("l", End::Last, 2).unwrap().unwrap();
    assert_eq!(popped.elements.iter().map(|e| &**e).collect::<Vec<_>>(), [r#"{"x":[1]}"#, "\"b\""]);
    assert!(!popped.emptied && popped.revision == 3 && store.bytes() < bytes);
    assert_eq!(store.pop("none", End::Last, 1).unwrap(), None);
    assert_eq!(store.pop("l", End::Last, 0).unwrap(), None);
    let popped = store.pop("l", End::First, 9).unwrap().unwrap();
    assert!(popped.emptied && popped.elements.len() == 2);
    assert_eq!((store.len(), store.bytes(), store.sequence()), (0, 0, 5));
    store.set("e", "[]").unwrap();
    assert!(store.list("e").unwrap().unwrap().is_empty());
    assert_eq!(store.pop("e", End::Last, 1).unwrap(), None);
    assert!(store.contains("e"));
    assert_eq!(json(&store, "e"), "[]");
    store.set("e", "1").unwrap();
    assert!(store.list("e").is_err());
}

#[test]
fn keys_go_in_the_order_of_their_moments() {
    let mut store = store();
    store.set("a", "1").unwrap();
    store.set("b", "1").unwrap();
    assert!(store.expire("a", Some(20)) && store.expire("b", Some(10)));
    assert!(!store.expire("none", Some(1)));
    assert_eq!(store.next_expiry(), Some((10, "b")));
    assert!(store.expire("b", Some(30)));
    assert_eq!(store.next_expiry(), Some((20, "a")));
    store.delete("a");
    assert_eq!((store.next_expiry(), store.expiry("b")), (Some((30, "b")), Some(30)));
    assert!(store.expire("b", None) && !store.expire("b", None));
    assert_eq!(store.next_expiry(), None);
}

#[test]
fn a_scan_shows_every_key_that_stays_once() {
    let mut store = Store::new(100, 1 << 20);
    for n in 0..1000 {
        store.set(&format!("k{n}"), "1").unwrap();
    }
    let (mut cursor, mut seen, mut turns) = (0, Vec::new(), 0);
    loop {
        cursor = store.scan(cursor, 10, |key| seen.push(key.to_owned()));
        // Keys that come and go meanwhile change nothing for the others.
        store.set(&format!("new{turns}"), "1").unwrap();
        turns += 1;
        if cursor == 0 {
            break;
        }
    }
    seen.retain(|key| key.starts_with('k'));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1000);
    assert!(turns > 10);
    assert_eq!(store.scan(u64::MAX, 1, |_| panic!("beyond the end")), 0);
}

#[test]
fn a_snapshot_brings_everything_back() {
    let mut store = store();
    store.set("a.b", r#"{"x":1.10}"#).unwrap();
    store.set("é\"", "\"text\"").unwrap();
    store.push("l", End::Last, &["1", "\"two\""]).unwrap();
    store.expire("a.b", Some(1500));
    store.next_sequence();
    let text = store.snapshot(1000);
    let mut other = Store::new(100, 1000);
    other.restore(&text, 10_000).unwrap();
    assert_eq!(other.sequence(), 4);
    assert_eq!(json(&other, "a.b"), r#"{"x":1.10}"#);
    assert_eq!((json(&other, "l"), other.revision("l")), (r#"[1,"two"]"#.into(), 3));
    assert_eq!((other.expiry("a.b"), other.expiry("l")), (Some(10_500), None));
    assert_eq!(other.bytes(), {
        store.list("l").unwrap();
        store.set("l", r#"[1,"two"]"#).unwrap();
        store.bytes()
    });
    assert_eq!(text.lines().count(), 5, "{text}");
    // Whoever has edited it may have laid it out otherwise.
    let mut edited = Store::new(100, 1000);
    edited.restore(&text.replace(',', " ,\n  "), 10_000).unwrap();
    assert_eq!(edited.snapshot(0), other.snapshot(0));
    let empty = Store::new(100, 1000).snapshot(0);
    edited.restore(&empty, 0).unwrap();
    let last = format!("{{\"otto-store\":1,\"seq\":{},\"keys\":{{\n}}}}\n", u64::MAX);
    let cut = &text[..text.len() - 4];
    for bad in ["", "{}", "[]", r#"{"otto-store":2,"seq":1,"keys":{}}"#, cut, &last] {
        assert!(Store::new(100, 1000).restore(bad, 0).is_err(), "{bad}");
    }
}

/// Short elements take many times their text: reading must not cost that, nor changing go unnoticed.
#[test]
fn a_long_array_stays_text_until_it_is_changed() {
    let text = format!("[{}1]", "1,".repeat(50_000));
    let mut store = Store::new(1 << 20, 4 << 20);
    store.set("l", &text).unwrap();
    let bytes = store.bytes();
    let list = store.list("l").unwrap().unwrap();
    assert_eq!((list.len(), list.is_empty(), list.looked_through()), (50_001, false, text.len()));
    assert_eq!(list.from(49_999).collect::<Vec<_>>(), ["1", "1"]);
    assert_eq!(store.bytes(), bytes);
    store.push("l", End::Last, &["2"]).unwrap();
    assert!(store.bytes() > 20 * bytes);
    assert_eq!(store.list("l").unwrap().unwrap().from(50_000).collect::<Vec<_>>(), ["1", "2"]);

    let mut full = Store::new(1 << 20, 2 << 20);
    full.set("l", &text).unwrap();
    assert!(full.push("l", End::Last, &["2"]).is_err());
    assert!(full.pop("l", End::Last, 1).is_err());
    assert_eq!((full.bytes(), full.sequence(), json(&full, "l")), (bytes, 1, text));
    // One that is not long is read as text, too, where there is no room for its parts.
    let mut full = Store::new(1 << 20, 300);
    full.set("l", "[1,2,3,4,5,6]").unwrap();
    assert_eq!(full.list("l").unwrap().unwrap().len(), 6);
}

/// What was added bit by bit may be longer than what may come at once.
#[test]
fn a_list_that_has_grown_is_loaded_and_given_another_name() {
    let mut store = Store::new(20, 2000);
    for _ in 0..20 {
        store.push("l", End::Last, &["\"text\""]).unwrap();
    }
    let text = store.snapshot(0);
    let mut other = Store::new(20, 2000);
    other.restore(&text, 0).unwrap();
    assert_eq!(other.snapshot(0), text);
    assert_eq!(other.bytes(), store.bytes());
    let (length, bytes) = (json(&store, "l").len(), store.bytes());
    assert!(Store::new(20, bytes - 1).restore(&text, 0).is_err());
    // An element as long as none may be is refused as ever.
    let long = text.replacen("\"text\"", &format!("\"{}\"", "x".repeat(30)), 1);
    assert!(Store::new(20, 2000).restore(&long, 0).is_err());

    let mut full = Store::new(20, bytes + 1);
    full.restore(&text, 0).unwrap();
    assert!(full.take_list("l", "abc").is_err());
    assert_eq!((full.snapshot(0), full.bytes()), (text, bytes));
    let (seq, list) = full.take_list("l", "ab").unwrap().unwrap();
    assert_eq!((seq, full.len(), full.bytes()), (21, 0, 0));
    assert_eq!(full.put_list("ab", list), 22);
    assert_eq!((json(&full, "ab").len(), full.bytes()), (length, bytes + 1));
    full.set("a", "1").unwrap_err();
    assert!(full.take_list("none", "ab").unwrap().is_none());
}
