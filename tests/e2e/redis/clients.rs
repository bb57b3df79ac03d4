//! Scripts in three client libraries, each a few dozen lines of ordinary use: the same output from
//! our server as from redis-server.

use super::Both;
use otto_e2e::{Job, Place, repository};
use std::path::Path;

fn same_output(job: impl Fn(&Place, &Path) -> Job) {
    let place = Place::new();
    let both = Both::start(&place);
    let [ours, theirs] = both.sockets().map(|socket| {
        let finished = job(&place, &socket).run().ok();
        finished.stdout
    });
    assert!(theirs.lines().count() > 20, "{theirs}");
    assert_eq!(ours, theirs);
    both.ours.stop();
}

#[test]
fn redis_cli() {
    same_output(|place, socket| {
        place.job("bash").arg(repository().join("tests/redis/cli.sh")).arg(socket)
    });
}

#[test]
fn redis_py() {
    same_output(|place, socket| {
        let script = repository().join("tests/redis/client.py");
        place.job("python").args(["-W", "ignore"]).arg(script).arg(socket)
    });
}

#[test]
fn ioredis() {
    let modules = repository().join("target/redis-clients/node_modules");
    assert!(modules.join("ioredis").exists(), "no ioredis: run `make test-tools` first");
    same_output(|place, socket| {
        let script = repository().join("tests/redis/client.cjs");
        place.job("node").env("NODE_PATH", &modules).arg(script).arg(socket)
    });
}
