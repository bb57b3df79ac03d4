//! redis-benchmark works on our server as it is.

use otto_e2e::{Place, Server};

const TESTS: &str = "ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,lrange_300,mset";

#[test]
fn redis_benchmark() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    for depth in ["1", "16"] {
        let job = place.job("redis-benchmark");
        let job = job.args(["-s", &socket, "-t", TESTS, "-n", "2000", "-c", "20", "-P", depth]);
        // Keys, too, that differ.
        let finished = job.args(["-r", "100", "-q", "--csv"]).run().ok();
        let lines: Vec<&str> = finished.stdout.lines().collect();
        // A heading, and LRANGE's list is pushed once more before it is read.
        assert!(lines.len() > TESTS.split(',').count(), "{}", finished.stdout);
        assert!(!finished.stderr.contains("Error"), "{}", finished.stderr);
    }
    server.stop();
}
