//! Every limit of Sockeye, with its reason. A queue, a buffer, a name, a time-out: if it has a bound, the bound is here.
//!
//! Constants are what the program enforces; where an operator may choose another value, the constant is the default and the
//! configuration (`sockeye config`) names its range.

use std::time::Duration;

/// One binary kilobyte.
pub const KIB: usize = 1024;
/// One binary megabyte.
pub const MIB: usize = 1024 * KIB;

// ---------------------------------------------------------------------------------------------- names

/// Longest name of an application, in bytes: it is one DNS label (RFC 1035 section 2.3.4), as Drogue Cloud demands a host name.
pub const APPLICATION_NAME: usize = 63;
/// Longest name of a device, in bytes (compat/drogue.md 4.2: 255).
pub const DEVICE_NAME: usize = 255;
/// Longest channel, in bytes. It is the CloudEvents `subject`; as long as a device name, so that an MQTT topic fits.
pub const CHANNEL_NAME: usize = 255;
/// Longest user name, in bytes (an e-mail address is at most 254).
pub const USER_NAME: usize = 254;
/// Longest `group_id`, in bytes: together with the application and a hash it fits into a Kafka group name of 255.
pub const GROUP_ID: usize = 128;
/// Names that are routes on the shared port and thus no application's (compat/README.md).
pub const RESERVED_APPLICATION_NAMES: &[&str] = &[
    "session",
    "api",
    "v1",
    "v5.0",
    "kafka-ws",
    "console",
    "metrics",
    "healthz",
    "readyz",
    "auth",
    ".well-known",
];

// ---------------------------------------------------------------------------------------------- events

/// Largest payload of one event, in bytes (compat/drogue.md 5.1: a body over 64 KiB is refused with 413).
pub const EVENT_PAYLOAD: usize = 64 * KIB;
/// Largest batch (`application/cloudevents-batch+json`), in bytes: one group commit's worth.
pub const EVENT_BATCH: usize = MIB;
/// Most events in one batch: bounds the work done for one request at about 2 ms.
pub const EVENTS_PER_BATCH: usize = 10_000;
/// Most rules of an application: each is asked of every event (compat/drogue.md 2.8).
pub const RULES: usize = 100;
/// Most steps of all rules of an application: an event that had [`EXTENSIONS`] of its own has less than [`EXTENSIONS_READ`] after
/// them.
pub const RULE_STEPS: usize = 100;
/// Most conditions of all rules of an application: each compares a text.
pub const RULE_CONDITIONS: usize = 1_000;
/// Deepest nesting of `not`, `and` and `or` in a rule: who asks recurses as deep.
pub const RULE_DEPTH: usize = 32;
/// A quota is so much time's worth that may be published at once: quotas are by the second.
pub const QUOTA_BURST: Duration = Duration::from_secs(1);
/// Devices whose quota is counted, at most, and as many applications: those that published more than they may again at once, about
/// 15 MB. One beyond them takes the place of another, which may then publish a second's worth too much.
pub const QUOTA_BUCKETS: usize = 100_000;
/// Once they are so many, those that count no more are looked for this often: that takes a few milliseconds.
pub const QUOTA_SWEEP: Duration = Duration::from_secs(1);
/// Longest value of one attribute or extension, in bytes: attributes are for routing, payloads for content.
pub const ATTRIBUTE_VALUE: usize = 4 * KIB;
/// Most extension attributes of one event a device may send: bounds the header block of a record.
pub const EXTENSIONS: usize = 32;
/// Most extension attributes of one event that is read: a foreign producer's record may carry more than a device may send, but
/// each name is compared with those before it.
pub const EXTENSIONS_READ: usize = 256;
/// Deepest nesting of arrays and objects in a JSON payload: `serde_json`, which most Rust clients read with, stops at 127; seven
/// levels are left for the envelopes a payload is delivered in. (The validator keeps one bit per level in a `u128`.)
pub const JSON_DEPTH: u32 = 120;

// ---------------------------------------------------------------------------------------------- filters

/// Longest `where`, and longest `fields`, in bytes: what fits into the whole head of a request at dojot (compat/dojot.md 1.1).
pub const FILTER_TEXT: usize = 8 * KIB;
/// Most conditions of one `where`: each is looked at for every event that passes those before it.
pub const FILTER_CONDITIONS: usize = 100;
/// Most values of one condition: a list of devices fits, and `in` searches for all of them at once.
pub const FILTER_VALUES: usize = 1_000;
/// Most steps of one path, and deepest nesting of a selector: evaluation recurses as deep.
pub const FILTER_STEPS: usize = 32;
/// Most names in one selector: each name of a message is compared with those at its level.
pub const FILTER_NAMES: usize = 256;
/// Most regular expressions in one `where`: each keeps a cache of [`FILTER_PATTERN_CACHE`].
pub const FILTER_PATTERNS: usize = 4;
/// Memory of one compiled regular expression, in bytes: bounds the steps per byte of text where its cache does not serve.
pub const FILTER_PATTERN: usize = 256 * KIB;
/// Memory that one regular expression may keep for its automaton, in bytes.
pub const FILTER_PATTERN_CACHE: usize = 256 * KIB;
/// Deepest nesting within one regular expression: its parser recurses as deep.
pub const FILTER_PATTERN_DEPTH: u32 = 32;
/// Longest line of `sockeye filter`, in bytes: it is held as a whole. Far above what any event may have.
pub const FILTER_LINE: usize = 64 * MIB;
/// Bytes that `sockeye filter` reads and writes at a time.
pub const FILTER_LINES: usize = 64 * KIB;

// ---------------------------------------------------------------------------------------------- WebSocket

/// Largest message a client may send, in bytes (compat/drogue.md 1.7: 65,536; a refreshed token is about 2 KiB).
pub const WS_INBOUND_MESSAGE: usize = 64 * KIB;
/// Longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const WS_CONTROL_PAYLOAD: usize = 125;
/// Longest close reason, in bytes: a control payload less the two bytes of the code (RFC 6455 section 5.5.1).
pub const WS_CLOSE_REASON: usize = WS_CONTROL_PAYLOAD - 2;
/// Time between pings (compat/drogue.md 1.7: 5 s; `drg stream` refreshes its token only when a frame arrives).
pub const WS_PING_INTERVAL: Duration = Duration::from_secs(5);
/// A peer that gave no sign of life for this long is dead (compat/drogue.md 1.7: 10 s).
pub const WS_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that does not take its close frame within this time is reset (DESIGN.md contract 7).
pub const WS_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that takes nothing of what waits for it is closed after this time. Longer than the time-out of a silent one: a
/// Ping behind a backlog is no proof of death, and a kernel that holds megabytes tells late that some were read.
pub const WS_STALL: Duration = Duration::from_mins(1);
/// The timer wheel of a core turns in steps of this time: pings and deadlines are at most that late, and those of 15,000
/// sockets are 300 at a time, 2 ms of work.
pub const WHEEL_TICK: Duration = Duration::from_millis(100);
/// Bytes that the kernel holds for one client that does not read (it counts twice as much): enough for 5 MB/s at 50 ms.
pub const SEND_BUFFER: usize = 256 * KIB;
/// Bytes asked for in one read from a client: clients send little.
pub const WS_READ_BUFFER: usize = 4 * KIB;
/// Orders that wait for the shard of a core; who gives more waits.
pub const SHARD_ORDERS: usize = 256;
/// Bytes of frames in these orders: as much as one topic keeps in memory.
pub const SHARD_ORDER_BYTES: usize = 16 * MIB;
/// Parts of that of which one has to be free before a segment is encoded, for what its frames will take is not known before.
/// A part is four segments; the frames of one that many lanes want may take more, but never those of more than so many.
pub const SHARD_SHARES: u32 = 16;
/// A round of writes of a core that takes as long has so many sockets that a system call less for each is worth a wait,
pub const SHARD_LONG_ROUND: Duration = Duration::from_millis(2);
/// which is as long as the round, so that it doubles the latency at most, but never longer than this.
pub const SHARD_GATHER: Duration = Duration::from_millis(5);
/// Sockets that a lane writes to before others have their turn: about 0.3 ms.
pub const WRITES_PER_TURN: usize = 64;
/// Memory for events of all topics together: the newest, so that slow and returning readers need no engine, and what was read
/// of the past, so that those who are behind together read it once. When it is full, who has most of it gives.
pub const TAIL_BYTES: usize = 64 * MIB;
/// Of that for the newest events of one topic, and as much for its past: one application leaves room for the others.
pub const TAIL_BYTES_PER_TOPIC: usize = 16 * MIB;
/// Segments of one topic in memory, of either kind: bounds the small ones, whose bytes count little.
pub const TAIL_SEGMENTS: usize = 16 * KIB;
/// Bytes of records in one segment, which is what is read of the past at once, and encoded and kept as a whole: a slow reader
/// whose segment was given up while it wrote a chunk of it reads at most four times what it takes.
pub const SEGMENT_BYTES: usize = 256 * KIB;
/// Reads of the past at a time, by turns of the topics that have readers there: as many as engines have threads for.
pub const CATCH_UP_READS: usize = 4;
/// One such read may take this long before the next topic has its turn; it is tried again.
pub const CATCH_UP_READ: Duration = Duration::from_secs(10);
/// A topic that nobody reads is kept for clients that come back after an interruption.
pub const TOPIC_LINGER: Duration = Duration::from_mins(1);

/// What a connection is told from outside of its task, and has not carried out, because the client does not read: more is an
/// error of whoever tells it.
pub const WS_COMMANDS: usize = 64;

/// Subscriptions of one connection (compat/octave.md 5.5).
pub const WS_SUBSCRIPTIONS: usize = 1_000;
/// Groups of which one connection is a member: each asks for receipts by itself.
pub const WS_GROUPS: usize = 16;
/// Subscriptions of one connection that read apart at the same time because they have not caught up; others wait for them.
pub const WS_CATCHING_UP: usize = 16;

/// Batches of the log that one connection takes before its socket and other connections have their turn: a selection that
/// matches nothing must not keep a core to itself.
pub const BATCHES_PER_TURN: u32 = 8;
/// Most bytes joined into one write: 32 frames of 500 bytes cost 0.23 us each, more gain nothing (DESIGN.md cost model).
pub const WS_WRITE_CHUNK: usize = 64 * KIB;
/// Shortest frame that is compressed, in bytes: of a shorter one at most a sixth is saved, and it fits a packet anyway.
pub const WS_DEFLATE_LEAST: usize = 128;

// ---------------------------------------------------------------------------------------------- groups

/// Events of one group that were read and whose receipt is not durable: what a crash can double at most. It is as many as 16
/// members have under way at full credit.
pub const GROUP_WINDOW_EVENTS: usize = 8 * KIB;
/// Bytes of events that one group holds, delivered or not: 32 members' credit.
pub const GROUP_WINDOW_BYTES: usize = 8 * MIB;
/// Bytes of events, and of their frames, that all groups hold together until their receipt; what several hold counts once. Beyond
/// that, each may still read its share of it, so that the slow members of some do not hold up others.
pub const GROUPS_BYTES: usize = 64 * MIB;
/// Events under way to one member, at most: with [`GROUP_CREDIT_BYTES_PER_EVENT`], 256 KiB, which a socket's kernel buffer
/// takes ([`SEND_BUFFER`]), so that a member with credit is one that can be written to.
pub const GROUP_CREDIT: usize = 512;
/// Events under way to a member that has receipted nothing yet: little is held by one that never will.
pub const GROUP_CREDIT_FIRST: usize = 32;
/// Bytes that credit for one event is worth: the size of a usual event (DESIGN.md, cost model).
pub const GROUP_CREDIT_BYTES_PER_EVENT: usize = 512;
/// A receipt that takes longer than this part of the time it has shows a member with too much under way: its credit is
/// halved, long before the time is over.
pub const GROUP_SLOW_PART: u32 = 8;
/// Time between two Pings that ask one member for receipts: the answer to each costs a read of its own. What a crash doubles at a
/// slow pace grows by this time.
pub const GROUP_ASK_TIME: Duration = Duration::from_millis(250);
/// Part of a member's credit that makes the group ask at once: the other half lasts until the answer is there.
pub const GROUP_ASK_PART: usize = 2;
/// A member that gives no receipt for so long is closed (DESIGN.md contract 4).
pub const GROUP_RECEIPT_TIME: Duration = Duration::from_secs(30);
/// Default of `ack_timeout` (DESIGN.md contract 4).
pub const GROUP_ACK_TIME: Duration = Duration::from_secs(30);
/// Longest `ack_timeout`: an event that takes an hour is better acknowledged first and kept by the client.
pub const GROUP_ACK_TIME_MOST: Duration = Duration::from_hours(1);
/// Failed deliveries of one event under `ack=client`, after which it is a dead letter: one that fails because a client restarts
/// has some more tries.
pub const GROUP_FAILURES: u32 = 5;
/// A receipt is made durable within this time, together with those that came meanwhile.
pub const GROUP_PERSIST_TIME: Duration = Duration::from_secs(1);
/// Part of the window that makes a group store its position at once: the rest lasts until that is done.
pub const GROUP_PERSIST_PART: usize = 4;
/// How long a server that stops tries to store what groups have receipted: less than [`DRAIN_TIME`], and some tries.
pub const GROUP_STOP_TIME: Duration = Duration::from_secs(5);
/// Default of `groups.expire`: a group without members is forgotten after this time (DESIGN.md contract 3).
pub const GROUP_EXPIRY: Duration = Duration::from_hours(7 * 24);
/// Between two looks for groups that expire. Those that have members are noted as used by each, so that a crash makes a group
/// look unused for no longer than that.
pub const GROUP_EXPIRY_CHECK: Duration = Duration::from_mins(10);
/// Answers of `read` ([`READ_RECORDS`]) that are counted of the lag of each group in a list; what is behind is estimated.
pub const GROUP_GLANCE_READS: usize = 1;
/// The same for one group that is shown alone.
pub const GROUP_LOOK_READS: usize = 20;
/// Dead letters that are named in one call; all of a group need not be named.
pub const DEAD_LETTERS_NAMED: usize = 1_000;
/// Groups whose numbers are in the metrics, in the order of their names: each has about 15 lines there.
pub const GROUP_METRICS: usize = 1_000;
/// Members of one group.
pub const GROUP_MEMBERS: usize = 10_000;
/// What a group stores beside its position, in bytes: a run of receipts takes two numbers of at most ten bytes, the window
/// bounds their number, and some room is left for partitions.
pub const GROUP_RECEIPTED: usize = 20 * GROUP_WINDOW_EVENTS + 4 * KIB;

// ---------------------------------------------------------------------------------------------- log

/// Most bytes of records that wait for the writer, over all topics; a full queue answers 503 with `Retry-After`.
pub const APPEND_QUEUE_BYTES: usize = 64 * MIB;
/// Most bytes of records of one topic that wait for the writer: one application's flood leaves room for the others.
pub const APPEND_QUEUE_BYTES_PER_TOPIC: usize = 16 * MIB;
/// Most append calls that wait for the writer: bounds the small ones, whose bytes count little.
pub const APPEND_QUEUE_CALLS: usize = 16 * KIB;
/// Most bytes of records in one commit: keeps one transaction under about 50 ms.
pub const COMMIT_BYTES: usize = 8 * MIB;
/// Most records removed by retention in one step, between two commits: a step stays about as short as a commit.
pub const TRIM_STEP_RECORDS: usize = 2_000;
/// Most records in one answer of `read`.
pub const READ_RECORDS: usize = 1_000;
/// Most bytes in one answer of `read` (the first record is given whatever its size).
pub const READ_BYTES: usize = MIB;
/// Commits that a topic keeps in memory for its followers; a follower that falls behind reads on from the file.
pub const FOLLOW_QUEUE_BATCHES: usize = 64;
/// Bytes of records that a topic keeps in memory for its followers: as much as one `read` gives.
pub const FOLLOW_QUEUE_BYTES: usize = MIB;
/// Bytes of records that all topics together keep in memory for their followers.
pub const FOLLOW_QUEUES_BYTES: usize = 64 * MIB;
/// Threads that read the SQLite file: reads come mostly from the page cache, two keep both cores of a small machine busy.
pub const SQLITE_READERS: usize = 2;
/// Reads that wait for a reader thread.
pub const SQLITE_READ_QUEUE: usize = KIB;
/// Jobs of the registry that wait for the SQLite writer: each is small, a commit takes hundreds of them.
pub const SQLITE_JOB_QUEUE: usize = KIB;
/// Jobs of the registry in one commit: keeps it short for the appends beside them.
pub const SQLITE_JOBS_PER_COMMIT: usize = 256;
/// Bytes that a topic may append before it is the next one's turn.
pub const APPEND_TURN_BYTES: usize = 64 * KIB;
/// Bytes of records in one row of the SQLite file: a row is read whole, and retention removes whole rows.
pub const SQLITE_CHUNK_BYTES: usize = 64 * KIB;
/// Page of the SQLite file, in bytes: 8 KiB took batches of 30 KB fastest of 4, 8 and 16 KiB.
pub const SQLITE_PAGE: usize = 8 * KIB;
/// Page cache of each connection to the SQLite file.
pub const SQLITE_CACHE: usize = 16 * MIB;
/// Bytes in the write-ahead log after which it is written back to the SQLite file.
pub const SQLITE_CHECKPOINT: usize = 16 * MIB;
/// Bytes in the write-ahead log after which readers wait for the moment that it takes to empty it.
pub const SQLITE_WAL: usize = 64 * MIB;
/// How long a statement waits for a lock on the SQLite file: nobody but backups and people's tools share it, and each holds one
/// for a moment. The writer waits no longer for them, and goes on.
pub const SQLITE_LOCK_WAIT: Duration = Duration::from_secs(1);
/// Pages that a backup copies between two reports of its progress: 2 MiB.
pub const BACKUP_STEP_PAGES: i32 = 256;
/// Topics that retention looks at in one step: 1,000 cost about 30 us.
pub const TRIM_STEP_TOPICS: usize = 1_000;
/// Time between two steps of retention while nothing is appended.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(1);
/// Time that retention rests after it failed, because of a damaged page for example: appends go on meanwhile.
pub const TRIM_RETRY: Duration = Duration::from_mins(1);
/// Part of its size by which a topic may exceed it before it is trimmed while much is appended: small steps cost more.
pub const TRIM_SLACK: u64 = 8;
/// Rows of records in the SQLite file that are not in its index by topic yet. At 1,000 topics each page of the index is
/// written once for 32 of them; a start after a crash reads so many rows.
pub const SQLITE_PENDING_CHUNKS: usize = 32 * KIB;
/// A clock is trusted to tell how long the server was down when it has run for this long: time to be set by NTP.
pub const CLOCK_SETTLES: Duration = Duration::from_hours(1);
/// The answer of an engine is waited for this long when it is probed (DESIGN.md contract 1).
pub const ENGINE_PROBE: Duration = Duration::from_secs(2);
/// First pause before a log that failed under a connection is read again; each further one is twice as long.
pub const LOG_RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest such pause.
pub const LOG_RETRY_MOST: Duration = Duration::from_secs(5);
/// A log that cannot be read for this long ends its connections (compat/drogue.md, decision 3), unless it is configured
/// (`streams.outage`): a broker's restart takes less.
pub const LOG_OUTAGE: Duration = Duration::from_mins(5);
/// What was appended before a time is asked for this long after it: by then commits that were under way are done.
pub const UNTIL_SETTLES: Duration = Duration::from_secs(1);
/// How long who unsubscribes waits for what is in the log already and is not shown yet: over Kafka, it may be an open transaction.
pub const LAST_EVENTS: Duration = Duration::from_secs(5);
/// Longest cursor, in bytes of its text: a position in 1,000 partitions, and it fits into the head of a request.
pub const CURSOR: usize = 16 * KIB;
/// Default retention: what is older is removed.
pub const RETAIN_AGE: Duration = Duration::from_hours(7 * 24);
/// Default retention: what is beyond this size is removed, oldest first.
pub const RETAIN_BYTES: u64 = 1024 * MIB as u64;
/// Smallest retention by size: as much as one batch.
pub const RETAIN_BYTES_LEAST: u64 = MIB as u64;
/// `Retry-After` of a 503, in seconds: a full queue drains in well under that.
pub const RETRY_AFTER_SECONDS: u64 = 1;

// ---------------------------------------------------------------------------------------------- Kafka

/// Threads that wait for answers of Kafka (reads, positions, topics): a call waits on the network, not on a core.
pub const KAFKA_THREADS: usize = 4;
/// Calls that wait for one of these threads.
pub const KAFKA_CALLS: usize = KIB;
/// An answer of Kafka is waited for this long: a new leader is elected in less.
pub const KAFKA_ANSWER: Duration = Duration::from_secs(5);
/// A record that is not acknowledged within this time is given up with 503: devices wait about as long.
pub const KAFKA_DELIVERY: Duration = Duration::from_secs(10);
/// A provider gives a token within this time: librdkafka waits as long for its answer.
pub const KAFKA_TOKEN: Duration = Duration::from_secs(20);
/// Longest part of what brokers and providers of tokens say that is told on, in bytes: a sentence or two, not a page.
pub const KAFKA_SAID: usize = 400;
/// Life of a token of SASL OAUTHBEARER that nobody has signed: librdkafka counts it in milliseconds of 32 bits, which is 24.8 days.
pub const KAFKA_UNSECURED_TOKEN: Duration = Duration::from_hours(24 * 24);
/// While Kafka does not answer, it is asked this often whether it is back; who comes meanwhile is refused at once.
pub const KAFKA_AWAY_LOOK: Duration = Duration::from_millis(500);
/// Clients that lose Kafka again and again are told of its addresses again this often at last: each keeps what it is told.
pub const KAFKA_REMIND: Duration = Duration::from_mins(1);
/// A transaction that is not ended within this time is aborted by Kafka; until then, nobody reads past it.
pub const KAFKA_TRANSACTION: Duration = Duration::from_secs(10);
/// The watch over topics takes librdkafka's log lines this often.
pub const KAFKA_WATCH: Duration = Duration::from_millis(250);
/// Between two looks at something that Kafka tells nobody about: a transaction that ends, a topic that is everywhere.
pub const KAFKA_AGAIN: Duration = Duration::from_millis(3);
/// How long a record waits for others to share its request: what a batch costs is shared, and 1 ms is less than a sync.
pub const KAFKA_LINGER: Duration = Duration::from_millis(1);
/// The broker answers a fetch without records after this time; a topic that is followed anew waits for that at most.
pub const KAFKA_FETCH_WAIT: Duration = Duration::from_millis(100);
/// The same for one `read`, which fetches what is there.
pub const KAFKA_READ_WAIT: Duration = Duration::from_millis(5);
/// Who reads the past asks for the next part within this time; until then, Kafka's partitions go on being fetched for it.
pub const KAFKA_READ_ON: Duration = Duration::from_secs(1);
/// Partitions that one reader of the past fetches at a time, each with bytes ahead; those that are read to their end make room.
pub const KAFKA_READ_PARTITIONS: usize = 16;
/// Bytes fetched ahead, per partition that is followed or read.
pub const KAFKA_FETCH_AHEAD: usize = MIB;
/// Between two looks at the topics that are followed: whether they are still the same, and have new partitions.
pub const KAFKA_TOPIC_CHECK: Duration = Duration::from_secs(5);
/// The same while Kafka has just come back: for some seconds it may tell clients what makes them stand still.
pub const KAFKA_BACK_CHECK: Duration = Duration::from_secs(1);
/// Followers of one topic at a time: each beyond the first needs a client of its own, with threads and connections. A node
/// follows a topic once, however many clients it serves.
pub const KAFKA_FOLLOWERS_OF_TOPIC: usize = 32;
/// Topics known to be there, so that an append need not ask.
pub const KAFKA_KNOWN_TOPICS: usize = 100_000;
/// Most partitions of a topic that may be configured: each is a file and a fetch, and 1,000 are more than any device fleet needs.
pub const KAFKA_PARTITIONS: usize = 1_000;
/// Most replicas of a partition that may be configured: more than clusters have brokers.
pub const KAFKA_REPLICAS: usize = 100;
/// Largest file of properties of Kafka: with certificates in it, which are a few KiB each.
pub const KAFKA_PROPERTIES_FILE: u64 = MIB as u64;
/// Positions of groups are told to Kafka this often, the newest only: people look at them, nothing depends on them.
pub const GROUP_MIRROR: Duration = Duration::from_secs(1);
/// Parts of the retained size and age in which Kafka removes: it removes whole segments.
pub const KAFKA_SEGMENTS: u64 = 8;

// ---------------------------------------------------------------------------------------------- PostgreSQL

/// Connections of one node that answer calls; one more listens. PostgreSQL allows 100 by default for all nodes together.
pub const POSTGRES_CONNECTIONS: usize = 8;
/// Calls that are being answered, or wait for one of these connections.
pub const POSTGRES_CALLS: usize = KIB;
/// An answer of PostgreSQL is waited for this long, the connection included; what it is asked takes milliseconds.
pub const POSTGRES_ANSWER: Duration = Duration::from_secs(5);
/// Of that for each host to take a connection.
pub const POSTGRES_CONNECT: Duration = Duration::from_secs(3);
/// A connection on which nothing flows is asked this often whether its other end is there.
pub const POSTGRES_KEEPALIVE: Duration = Duration::from_secs(5);
/// For the tables to be made or changed at the start, by this node or by one that is quicker.
pub const POSTGRES_MIGRATION: Duration = Duration::from_mins(2);
/// Changes of other nodes are looked for this often, also if none was told: a right that ends, ends within a second.
pub const POSTGRES_POLL: Duration = Duration::from_millis(500);
/// Between two tries to listen.
pub const POSTGRES_AGAIN: Duration = Duration::from_secs(1);
/// Changes that are kept for nodes that were away: about 20 MB. One that was away for more drops what it remembers.
pub const POSTGRES_CHANGES_KEPT: i64 = 100_000;
/// Changes that are read at once.
pub const POSTGRES_CHANGES_READ: i64 = KIB as i64;

// ---------------------------------------------------------------------------------------------- registry

/// Largest JSON document of an application or a device, in bytes (compat/drogue.md 4.2: 65,536).
pub const REGISTRY_DOCUMENT: usize = 64 * KIB;
/// Most entries in one answer of a list call; more are asked for by `offset`.
pub const REGISTRY_PAGE: usize = 1_000;
/// Entries that the API reads at once while it streams a list: bounds what one listing holds at 100 documents, 6.4 MiB.
pub const REGISTRY_LIST_STEP: usize = 100;
/// Documents whose labels are looked at in one read of the registry, while some are searched for: about 3 ms.
pub const REGISTRY_SCAN: usize = 10_000;
/// Changes that wait for one listener of the registry; one that falls behind drops what it cached.
pub const CHANGE_QUEUE: usize = KIB;
/// How long the events of a deleted application stay, unless the configuration says otherwise: who deleted the wrong one has the time
/// to copy the data file, or what is in Kafka.
pub const REMAINS_KEPT: Duration = Duration::from_hours(1);
/// Who takes the remains of an application has them for this long: a log that does not answer is given up before, a node that was
/// killed lets go of them.
pub const REMAINS_TAKEN: Duration = Duration::from_mins(1);
/// Of these at once: each is a few calls to the log, one after the other.
pub const REMAINS_READ: usize = 10;
/// They are looked for this often at most and at least; between the two, as often as they are kept.
pub const REMAINS_LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Changes of devices that wait to be told in a log that cannot be reached: about 30 MB. Beyond that, devices cannot be changed.
pub const OUTBOX: usize = 100_000;
/// Of these at once: one append of about 300 KB.
pub const OUTBOX_READ: usize = 500;
/// The log may take this long for one application's; less than the registry may hold them meanwhile ([`POSTGRES_ANSWER`]).
pub const OUTBOX_APPEND: Duration = Duration::from_secs(3);
/// So often in one round around all that waits; then the rest waits for the next round.
pub const OUTBOX_PATIENCE: usize = 3;
/// What waits is tried again after this time; and what a node that was killed has left is told by another then.
pub const OUTBOX_RETRY: Duration = Duration::from_secs(2);
/// Whoever changes a device waits this long for its stream to be told: after the answer the event is there, as long as the log is.
pub const OUTBOX_WAIT: Duration = Duration::from_secs(2);
/// Commands that wait for one device: what it can do about in a while.
pub const COMMANDS_OF_DEVICE: usize = 100;
/// Commands that are forgotten for each new one, as [`TICKETS_FORGOTTEN`].
pub const COMMANDS_FORGOTTEN: usize = 16;
/// Default of how long a command waits for its device.
pub const COMMAND_LIFE: Duration = Duration::from_hours(1);
/// The longest.
pub const COMMAND_LIFE_MOST: Duration = Duration::from_hours(7 * 24);
/// What has become of a command can be asked this long after it could be fetched last.
pub const COMMAND_MEMORY: Duration = Duration::from_hours(1);
/// Devices that may fetch a command for another.
pub const COMMAND_GATEWAYS: usize = 32;
/// A device that waits for a command is answered after this time: proxies cut connections on which nothing comes for a minute or two,
/// and a device that asks for longer asks again.
pub const COMMAND_WAIT: Duration = Duration::from_mins(1);
/// Devices of one node that wait for commands at a time.
pub const COMMAND_WAITERS: usize = 20_000;
/// Tickets of one owner that are kept at a time: a client uses its own at once, so that of thousands that come back together few
/// wait, and whoever fetches without end is refused.
pub const TICKETS_OF_OWNER: usize = 5_000;
/// Tickets that may be kept between the oldest that is left and the newest, taken ones included: what a table of them can grow to.
pub const TICKETS: usize = 1_000_000;
/// Expired tickets that are forgotten for each new one: more than one, so that none piles up.
pub const TICKETS_FORGOTTEN: usize = 16;
/// Members of one application: the list is read at every authorization.
pub const MEMBERS: usize = 1_000;

// ---------------------------------------------------------------------------------------------- access

/// Most access keys of one user: they are listed in one answer.
pub const KEYS_PER_USER: usize = 1_000;
/// Longest description of an access key, in bytes: a line or two for people.
pub const KEY_DESCRIPTION: usize = KIB;
/// The use of a key is noted again after this time: one write, however often the key is used meanwhile.
pub const KEY_USED_STEP: Duration = Duration::from_mins(1);
/// Keys whose use was noted a moment ago, remembered so that it is not noted again.
pub const KEY_USED_CACHE: u64 = 10_000;
/// Keys, users of providers, and users that are remembered for logins: a few hundred bytes each.
pub const LOGINS_KNOWN: u64 = 20_000;
/// What is known lets somebody in as long as the registry and the provider have answered within this time, as the log has for a
/// stream (DESIGN.md contract 1). Then whoever logs in asks again, for all: while there is no answer nobody gets in.
pub const LOGIN_ANSWERED: Duration = Duration::from_secs(10);
/// Tokens whose signature was verified, by a hash of each: 32 bytes and what a cache adds.
pub const TOKENS_VERIFIED: u64 = 20_000;
/// Applications that a key may be limited to: who needs more gives none.
pub const KEY_APPLICATIONS: usize = 100;
/// Longest access key that somebody brings, in bytes: tokens of Octave have 32.
pub const GIVEN_KEY: usize = 256;
/// Paths that a key may be limited to: who needs more makes another key.
pub const KEY_PATHS: usize = 100;
/// Rights that could not be looked up are looked at again after this time: what ended one is acted on within about a second.
pub const RIGHTS_RETRY: Duration = Duration::from_millis(500);
/// Longest token of a provider, in bytes: those with many groups have some 8 KiB, and the head of a request has to hold it.
pub const TOKEN: usize = 16 * KIB;
/// `nbf` of a token may be ahead of our clock by so much, as clocks differ. `exp` is never stretched.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(5);
/// Providers that may be configured.
pub const OIDC_ISSUERS: usize = 8;
/// Shortest time between two fetches of a provider's keys, whatever tokens come: who brings one of a new key waits no longer.
pub const JWKS_REFETCH: Duration = Duration::from_secs(1);
/// An answer of a provider is waited for this long.
pub const JWKS_FETCH: Duration = Duration::from_secs(5);
/// Logins that wait for the keys of one provider; more are answered with 503.
pub const JWKS_WAITERS: usize = KIB;
/// Whether a provider answers is asked again after this time, if somebody wants to know.
pub const JWKS_PROBE: Duration = Duration::from_secs(5);
/// Longest document of a provider, in bytes: with the chains of certificates that some add, one has about 20 KiB.
pub const JWKS_DOCUMENT: usize = 256 * KIB;
/// Most keys of a provider: it has two or three, and each is tried for a token that names none.
pub const JWKS_KEYS: usize = 64;
/// How long a token counts that was given for an access key (compat/dojot.md, decision 2): time to fetch tickets; who needs more
/// shows the key again.
pub const OWN_TOKEN_LIFE: Duration = Duration::from_mins(10);
/// Longest body of a login with a user name and an access key, in bytes.
pub const LOGIN_BODY: usize = 4 * KIB;
/// How long a ticket can be used by default (compat/dojot.md 2): a client connects with it at once.
pub const TICKET_LIFE: Duration = Duration::from_mins(1);
/// Longest time that may be configured for it.
pub const TICKET_LIFE_CONFIGURED: Duration = Duration::from_hours(1);
/// How long a connection with a ticket lives by default (compat/dojot.md 3.5).
pub const TICKET_CONNECTION_LIFE: Duration = Duration::from_hours(2);
/// Largest file with keys of tokens, by their issuers: 10,000 users of dojot.
pub const TENANT_SECRETS_FILE: u64 = MIB as u64;
/// Threads that verify slow password hashes: one core of a small machine stays free.
pub const HASH_THREADS: usize = 1;
/// Verifications that wait for these threads; a full queue answers 503.
pub const HASH_QUEUE: usize = 256;
/// Requests of one device that wait for a verification (only one of them at a time in [`HASH_QUEUE`]): as many as a device
/// that opens many connections at once may need.
pub const HASH_QUEUE_PER_DEVICE: usize = 64;
/// Most hashed passwords of one device that are tried: a change of passwords needs two, a wrong password costs them all.
pub const HASHES_PER_DEVICE: usize = 4;
/// Successful verifications remembered, so that a device that publishes often is hashed once.
pub const HASH_CACHE_ENTRIES: u64 = 10_000;
/// How long a successful verification is remembered after its last use.
pub const HASH_CACHE_TIME: Duration = Duration::from_mins(1);
/// Highest cost accepted of a stored bcrypt hash: 14 takes about a second, more would block the pool.
pub const BCRYPT_COST: u32 = 14;
/// Most rounds accepted of a stored `$6$` hash, for the same reason.
pub const SHA512_CRYPT_ROUNDS: u32 = 500_000;
/// Longest device password, in bytes: bcrypt reads 72, plain ones may be longer.
pub const PASSWORD: usize = KIB;
/// Applications, and aliases of devices, remembered by the device endpoints; the registry tells when one changes.
pub const LOGIN_CACHE_ENTRIES: u64 = 100_000;
/// Bytes of devices remembered there: about 100,000 devices with one password each.
pub const LOGIN_CACHE_BYTES: u64 = 64 * MIB as u64;

// ---------------------------------------------------------------------------------------------- HTTP

/// Largest head of a request, in bytes: a token is about 2 KiB, a `where` 4 KiB.
pub const HTTP_HEAD: usize = 32 * KIB;
/// What is read of a head: of one that is over [`HTTP_HEAD`] but not over this it is told how long it may be.
pub const HTTP_HEAD_READ: usize = 128 * KIB;
/// Longest target of a request, in bytes, as the `http` crate has it.
pub const HTTP_TARGET: usize = 64 * KIB - 2;
/// Headers of a request at most, as hyper has it.
pub const HTTP_HEADERS: usize = 100;
/// Time to send the head of a request, idle time between requests included: ends slow-loris connections.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(30);
/// Time from the acceptance of a connection to the end of its TLS handshake, waiting for its turn included: a server that has
/// just started takes 20,000 of them in this time on two cores.
pub const TLS_HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// TLS handshakes under way at a time; others wait. Each may hold 64 KiB of what its client sent.
pub const TLS_HANDSHAKES: usize = 4 * KIB;
/// Key exchanges of TLS on one core between two turns of everything else there: one takes up to a millisecond.
pub const TLS_EXCHANGES_PER_TURN: usize = 1;
/// Bytes encrypted for one client and not yet taken by its socket, beside the headers of their records: one write.
pub const TLS_BUFFER: usize = WS_WRITE_CHUNK;
/// Largest file of a certificate or a key, in bytes: a chain of certificates has some 10 KiB.
pub const TLS_FILE: u64 = MIB as u64;
/// Time between two looks at the files of certificates; what has changed is used when it stays so for another one.
pub const TLS_FILES_CHECK: Duration = Duration::from_secs(1);
/// Most certificates: a handshake looks at each until one is for the name that it asks for.
pub const TLS_CERTIFICATES: usize = 64;
/// Most networks of proxies that are trusted: each request looks at them.
pub const PROXY_NETWORKS: usize = 64;
/// Time in which the header of the PROXY protocol has to come: a proxy sends it with its first packet.
pub const PROXY_HEADER_TIME: Duration = Duration::from_secs(5);
/// Largest header of version 2 of the PROXY protocol behind its first 16 bytes: addresses have 36, what proxies add (certificates of
/// clients, connection ids) a few hundred.
pub const PROXY_HEADER: usize = 4 * KIB;
/// Time to send the body of a request.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(30);
/// A trouble of the server that refuses many requests is said in the log again after this time, with their number; and it is over
/// when none was refused for as long.
pub const OUTAGE_SAID: Duration = Duration::from_secs(10);
/// Most bytes of publish requests held at once, from their first byte to the answer: what many slow large requests can take.
pub const INGEST_BODIES: usize = 128 * MIB;
/// Most open connections: the machine's 20,000 file descriptors less what engines and log files need.
pub const CONNECTIONS: usize = 19_000;
/// Highest number of connections that may be configured: a system has 1,048,576 file descriptors for a process by default.
pub const CONNECTIONS_CONFIGURED: usize = 1_000_000;
/// Most open connections of the metrics listener: scrapers are few.
pub const METRICS_CONNECTIONS: usize = 64;
/// File descriptors that are left for engines, logs and new connections that are refused.
pub const FILES_RESERVED: usize = 256;
/// Connections that the kernel holds until they are accepted; clients that reconnect after a restart come all at once.
pub const ACCEPT_BACKLOG: i32 = 4096;
/// Accepted connections that wait for one core.
pub const ACCEPT_QUEUE: usize = KIB;
/// Pause after the system refused to accept (no file descriptor is left): it would refuse again at once.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most threads that serve connections.
pub const CORES: usize = 256;
/// Longest `x-request-id` that is taken over, in bytes: it stands in every line of the log.
pub const REQUEST_ID: usize = 64;
/// Time that open requests and sockets have to end after SIGTERM.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

// ---------------------------------------------------------------------------------------------- Octave

/// A session that has no connection counts for this long (compat/octave.md 2.4); so it does when the last one has closed.
pub const OCTAVE_SESSION_TIME: Duration = Duration::from_mins(1);
/// Sessions with connections are prolonged this often, all of a node at once: three tries before one ends.
pub const OCTAVE_SESSION_STEP: Duration = Duration::from_secs(15);
/// Sessions of one application that count (compat/octave.md 5.5).
pub const OCTAVE_SESSIONS: usize = 1_000;
/// Connections of one session (compat/octave.md 5.5).
pub const OCTAVE_CONNECTIONS_PER_SESSION: usize = 16;
/// Messages one after the other that are no JSON objects; then the socket is closed (compat/octave.md 5.2).
pub const OCTAVE_UNREADABLE: u32 = 20;
/// Longest path, in bytes: a device and a channel, each byte of them escaped.
pub const OCTAVE_PATH: usize = 2 * KIB;
/// Longest `msgId` that is given back, in bytes of its JSON: clients send a number or a UUID.
pub const OCTAVE_MESSAGE_ID: usize = KIB;
/// Largest body of a request, in bytes, before and after it was unpacked (compat/octave.md 5.5).
pub const OCTAVE_BODY: usize = 256 * KIB;
/// Bodies of all requests that are read at once, in bytes.
pub const OCTAVE_BODIES: usize = 32 * MIB;
/// Most bytes in the body of `POST /session`, which means nothing.
pub const OCTAVE_SESSION_BODY: usize = 4 * KIB;
/// Events of one page, if the client names no number (compat/octave.md 7).
pub const OCTAVE_PAGE: usize = 20;
/// Most entries of one page: a client asks for as many.
pub const OCTAVE_PAGE_MOST: usize = 10_000;
/// Events that reads of a stream show, if its maker names no number; most that can be named (compat/octave.md 6.3).
pub const OCTAVE_CAPACITY: u32 = 1_000;
/// See [`OCTAVE_CAPACITY`].
pub const OCTAVE_CAPACITY_MOST: u32 = 100_000;
/// Bytes of the log that one read of a stream looks at: about a second's work.
pub const OCTAVE_SCAN: usize = 256 * MIB;
/// Streams of the parts of one log that are noted, so that reads look only at parts that hold theirs: 4 MiB.
pub const OCTAVE_NOTED_PLACES: usize = MIB;
/// Logs of which that is noted.
pub const OCTAVE_NOTED_LOGS: usize = 16;
/// Longest description of a stream, in bytes.
pub const OCTAVE_DESCRIPTION: usize = KIB;
/// Streams that are known to be in the registry, so that they are not looked for again.
pub const OCTAVE_KNOWN_STREAMS: usize = 100_000;
/// Streams that wait for being noted in the registry; what finds no room waits for its next event.
pub const OCTAVE_NOTED_STREAMS: usize = KIB;

// ---------------------------------------------------------------------------------------------- command line

/// A server that does not answer a call of the command line within this time is treated as away: as long as the server waits for
/// a body.
pub const CALL_TIME: Duration = HTTP_BODY_TIME;
/// Documents that `sockeye import drogue` reads at a time.
pub const IMPORT_PAGE: usize = 100;
/// Devices that it makes at a time: what is made together is one commit.
pub const IMPORT_CALLS: usize = 16;
/// Time for the connection of `sockeye stream` and its upgrade: the server itself waits for its engine for [`ENGINE_PROBE`].
pub const STREAM_CONNECT_TIME: Duration = Duration::from_secs(15);
/// A stream on which nothing was heard for this long is broken: four pings are missing ([`WS_PING_INTERVAL`]).
pub const STREAM_SILENCE: Duration = Duration::from_secs(20);
/// First pause before `sockeye stream` connects again; each further one is twice as long.
pub const STREAM_RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest such pause: after a long interruption the server has its clients back within this time.
pub const STREAM_RETRY_MOST: Duration = Duration::from_secs(15);
/// Lines that `sockeye publish` sends in one batch at most: a batch fails or succeeds as a whole, so it stays small enough to repeat.
pub const PUBLISH_LINES: usize = 500;
/// Bytes of lines in such a batch at most: below the server's limit, with room for the envelope of each event.
pub const PUBLISH_BYTES: usize = EVENT_BATCH / 2;
