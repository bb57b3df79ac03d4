//! Figures about the server and its clients, in Redis's words.

use super::super::waits::ClientId;
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, SYNTAX};
use super::server_commands::VERSION;
use super::session::Known;
use super::{Call, Done, Flow};
use std::fmt::Write as _;

/// The parts of INFO, in order.
const SECTIONS: [&str; 10] = [
    "Server",
    "Clients",
    "Memory",
    "Persistence",
    "Stats",
    "Replication",
    "CPU",
    "Modules",
    "Cluster",
    "Keyspace",
];

impl Call<'_> {
    pub(super) fn info(&mut self, args: &Args<'_>) -> Done {
        let everything = |word: &[u8]| {
            ["all", "default", "everything"]
                .iter()
                .any(|all| word.eq_ignore_ascii_case(all.as_bytes()))
        };
        let all = args.len() == 1 || args.from(1).any(everything);
        let requests = self.dispatch.count_request();
        let mut text = String::new();
        for section in SECTIONS {
            let asked = |word: &[u8]| word.eq_ignore_ascii_case(section.as_bytes());
            if all || args.from(1).any(asked) {
                if !text.is_empty() {
                    text.push_str("\r\n");
                }
                let _ = write!(text, "# {section}\r\n");
                self.section(section, requests, &mut text);
            }
        }
        reply::bulk(self.out, text.as_bytes());
        Ok(Flow::Done)
    }

    fn section(&self, section: &str, requests: u64, text: &mut String) {
        let dispatch = &*self.dispatch;
        let mut say = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a String can't fail.
            let _ = write!(text, "{name}:{value}\r\n");
        };
        match section {
            "Server" => {
                say("redis_version", &VERSION);
                say("redis_mode", &"standalone");
                say("server_name", &"otto");
                say("otto_version", &env!("CARGO_PKG_VERSION"));
                say("os", &"Linux");
                say("arch_bits", &usize::BITS);
                say("process_id", &std::process::id());
                say("tcp_port", &0);
                let uptime = dispatch.now / 1000;
                say("uptime_in_seconds", &uptime);
                say("uptime_in_days", &(uptime / 86_400));
            }
            "Clients" => {
                say("connected_clients", &dispatch.clients);
                say("maxclients", &crate::limits::CLIENTS_MAX);
                say("blocked_clients", &dispatch.resp.blocked.len());
            }
            "Memory" => {
                say("used_memory", &dispatch.store.bytes());
                say("used_memory_human", &format_args!("{}B", dispatch.store.bytes()));
                say("maxmemory", &0);
                say("maxmemory_policy", &"noeviction");
            }
            "Persistence" => {
                say("loading", &0);
                say("rdb_bgsave_in_progress", &0);
                say("aof_enabled", &0);
            }
            "Stats" => {
                say("total_commands_processed", &requests);
                let (channels, patterns) = dispatch.resp.channels.counts();
                say("pubsub_channels", &channels);
                say("pubsub_patterns", &patterns);
            }
            "Replication" => {
                say("role", &"master");
                say("connected_slaves", &0);
            }
            "Cluster" => say("cluster_enabled", &0),
            "Keyspace" if dispatch.store.len() > 0 => {
                let (keys, expires) = (dispatch.store.len(), dispatch.store.expiring());
                say("db0", &format_args!("keys={keys},expires={expires},avg_ttl=0"));
            }
            _ => {}
        }
    }

    pub(super) fn client_info(&mut self) -> Done {
        self.dispatch.resp.known(self.client);
        let line = match self.dispatch.resp.known.get(&self.client) {
            Some(known) => self.line(self.client, known),
            None => Vec::new(),
        };
        reply::bulk(self.out, &line);
        Ok(Flow::Done)
    }

    pub(super) fn list_clients(&mut self, args: &Args<'_>) -> Done {
        self.dispatch.resp.known(self.client);
        let wanted = Wanted::parse(args)?;
        let mut lines = Vec::new();
        for (client, known) in &self.dispatch.resp.known {
            let (channels, patterns) = self.dispatch.resp.channels.counts_of(*client);
            let chosen = match &wanted {
                Wanted::All => true,
                Wanted::Normal => channels + patterns == 0,
                Wanted::Subscribed => channels + patterns > 0,
                Wanted::Nobody => false,
                Wanted::Ids(ids) => ids.contains(&known.id),
            };
            if chosen {
                lines.append(&mut self.line(*client, known));
            }
        }
        reply::bulk(self.out, &lines);
        Ok(Flow::Done)
    }

    fn line(&self, client: ClientId, known: &Known) -> Vec<u8> {
        let (channels, patterns) = self.dispatch.resp.channels.counts_of(client);
        let own = self.client == client;
        let multi = match &self.session.queue {
            Some(queue) if own => i64::try_from(queue.len()).unwrap_or(i64::MAX),
            _ => -1,
        };
        let flags = if channels + patterns > 0 { "PU" } else { "U" };
        let name = String::from_utf8_lossy(&known.name);
        let (id, age) = (known.id, known.since.elapsed().as_secs());
        format!(
            "id={id} addr=unix:0 laddr=unix:0 fd={client} name={name} age={age} idle=0 \
             flags={flags} db=0 sub={channels} psub={patterns} ssub=0 multi={multi} qbuf=0 \
             qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r \
             cmd=client user=default redir=-1 resp=2\n"
        )
        .into_bytes()
    }
}

/// Which clients CLIENT LIST shows.
enum Wanted {
    All,
    Normal,
    Subscribed,
    Nobody,
    Ids(Vec<i64>),
}

impl Wanted {
    fn parse(args: &Args<'_>) -> Result<Wanted, Failure> {
        if args.len() == 2 {
            return Ok(Wanted::All);
        }
        let (what, kind) = (args.get(2), args.get(3));
        if what.eq_ignore_ascii_case(b"type") && args.len() == 4 {
            return match kind.to_ascii_lowercase().as_slice() {
                b"normal" => Ok(Wanted::Normal),
                b"pubsub" => Ok(Wanted::Subscribed),
                b"master" | b"replica" | b"slave" => Ok(Wanted::Nobody),
                _ => {
                    let kind = String::from_utf8_lossy(kind);
                    Err(Failure::Text(format!("ERR Unknown client type '{kind}'")))
                }
            };
        }
        if what.eq_ignore_ascii_case(b"id") && args.len() > 3 {
            let ids: Option<Vec<i64>> = args.from(3).map(number::integer).collect();
            return ids.map(Wanted::Ids).ok_or(Failure::Known("ERR Invalid client ID"));
        }
        Err(SYNTAX)
    }
}
