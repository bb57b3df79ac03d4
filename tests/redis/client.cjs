// Ordinary use of ioredis on the socket given: the same lines come from our server and from Redis.
"use strict";
const Redis = require("ioredis");

const path = process.argv[2];
const db = new Redis({ path });
const show = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);
const fails = async (what, promise) => {
  try {
    show(what, await promise);
  } catch (error) {
    console.log(`${what}: ${error.name}: ${error.message}`);
  }
};

async function main() {
  show("ping", await db.ping());
  show("set", await db.set("build.version", "1.2.3"));
  show("get", [await db.get("build.version"), await db.get("none")]);
  show("nx", await db.set("build.version", "x", "EX", 100, "NX"));
  show("unicode", [await db.set("ключ", "é\n😀"), await db.get("ключ")]);
  const binary = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  show("binary", [await db.set("binary", binary), binary.equals(await db.getBuffer("binary"))]);
  show("mset", await db.mset({ a: 1, b: "two" }));
  show("mget", await db.mget("a", "none", "b"));
  show("numbers", [await db.incr("a"), await db.incrby("a", 5), await db.incrbyfloat("a", 0.5)]);
  await fails("not a number", db.incr("b"));
  show("keys", [(await db.keys("*")).sort(), await db.exists("a", "none"), await db.type("a")]);
  show("time", [await db.expire("a", 1000), (await db.ttl("a")) > 990, await db.persist("a")]);

  show("push", [await db.rpush("queue", "one", "two", "three"), await db.lpush("queue", "zero")]);
  show("range", await db.lrange("queue", 0, -1));
  show("pop", [await db.lpop("queue"), await db.rpop("queue", 2), await db.llen("queue")]);
  show("blpop", [await db.blpop("none", "queue", 1), await db.blpop("queue", 0.01)]);
  await fails("wrong type", db.lpush("a", 1));
  await fails("unknown", db.call("NOTHING", "x"));

  // All of one turn of the event loop goes out at once.
  show("at once", await Promise.all(Array.from({ length: 50 }, (_, n) => db.incrby("sum", n))));
  show("transaction", await db.multi().set("t", 1).incr("t").lpush("t", 1).get("t").exec());
  show("pipeline", await db.pipeline().set("p", "x").get("p").strlen("p").exec());
  const seen = [];
  for await (const keys of db.scanStream({ match: "*u*", count: 2 })) seen.push(...keys);
  show("scan", seen.sort());

  const listener = new Redis({ path });
  const messages = [];
  const both = new Promise((resolve) => {
    const note = (...message) => messages.push(message) === 2 && resolve();
    listener.on("message", (...message) => note("message", ...message));
    listener.on("pmessage", (...message) => note("pmessage", ...message));
  });
  show("subscribe", [await listener.subscribe("news", "other"), await listener.psubscribe("n*")]);
  show("receivers", await db.publish("news", "hello"));
  await both;
  show("messages", messages);
  show("unsubscribe", [await listener.unsubscribe("other"), await listener.punsubscribe("n*")]);
  show("listener", await listener.quit());

  const waiter = new Redis({ path });
  const woken = waiter.blpop("later", 10);
  while (!/blocked_clients:1/.test(await db.info("clients")));
  show("woken", [await db.rpush("later", "now"), await woken]);
  await waiter.quit();
  show("flush", [await db.flushall(), await db.dbsize()]);
  show("quit", await db.quit());
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
