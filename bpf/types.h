/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every struct and enum that crosses between the datapath and user space. User space gets its codecs
 * from the BTF of these types, so a change here is a change everywhere; sizes are asserted. Fields named
 * by a byte-order type (__be16, __be32) are in network order, all others in host order.
 */
#ifndef MERLON_TYPES_H
#define MERLON_TYPES_H

#include <linux/types.h>

#define MERLON_SCHEMA 1 /* of all maps together; the layout hash tells single layouts apart */

/* ---- Fixed sizes that both sides compute with ---- */
#define CLASS_UNKNOWN 0       /* identities that no selector tells apart from an unknown one */
#define IDENTITY_PAGE_BITS 12 /* identities per page of the class table, as a power of two */
#define IDENTITY_PAGES_TOP (1 << 20)
#define EPOCH_BUCKETS 4096
/*
 * Bucket of a peer address: the sum of its four 32-bit words, each as the CPU loads it from the bytes in
 * network order and multiplied by its constant, modulo 2^32; of that the upper 12 bits. An IPv4 address is
 * the last word, the others count 0.
 */
#define EPOCH_MULTIPLIER0 0x85ebca6bU
#define EPOCH_MULTIPLIER1 0xc2b2ae35U
#define EPOCH_MULTIPLIER2 0x27d4eb2fU
#define EPOCH_MULTIPLIER3 0x9e3779b1U
#define EPOCH_SHIFT 20
#define HOST_SLOTS 4
#define RULESET_HOST 0 /* index of the host endpoint's rule set; pods' start at 1 */
#define FLOW_CELLS 3

/* Port classes: one flat array for the machine. Ports of TCP, UDP and SCTP, then ICMP types, then ICMPv6
 * types, then one entry a protocol number: of protocols without ports, and of any protocol whose ports are
 * not known (a later fragment without a record). */
#define PORT_CLASS_TCP 0
#define PORT_CLASS_UDP 65536
#define PORT_CLASS_SCTP 131072
#define PORT_CLASS_ICMP 196608
#define PORT_CLASS_ICMP6 196864
#define PORT_CLASS_PROTO 197120
#define PORT_CLASS_ENTRIES 197376

enum direction {
	DIR_EGRESS = 0,  /* out of the subject; index of the initiator's cell */
	DIR_INGRESS = 1, /* into the subject; index of the responder's cell */
	DIR_TRANSIT = 2, /* forwarded, judged by host policies that ask for it */
};

enum verdict {
	VERDICT_NONE = 0, /* never judged in this direction */
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,         /* a deny rule */
	VERDICT_DEFAULT_DENY = 3, /* no rule allows it */
	VERDICT_REDIRECT = 4,     /* allowed, by way of a proxy */
	VERDICT_AUTH = 5,         /* allowed once the pair is authenticated */
};

/* Which part of the key the deciding rules named; numbers of the flow API's policy_match_type. */
enum policy_match {
	MATCH_NONE = 0,
	MATCH_L3_ONLY = 1,
	MATCH_L3_L4 = 2,
	MATCH_L4_ONLY = 3,
	MATCH_ALL = 4,
	MATCH_L3_PROTO = 5,
	MATCH_PROTO_ONLY = 6,
};

/* Reasons of the flow API's catalogue (its section 4.8). A reason with a number of its own there keeps it;
 * merlon's own are 224 to 254. */
enum drop_reason {
	DROP_NONE = 0,
	DROP_INVALID_SOURCE_IP = 132,
	DROP_POLICY_DENIED = 133,
	DROP_INVALID = 134,
	DROP_FRAG_NEEDED = 136,
	DROP_UNKNOWN_L4 = 137,
	DROP_MISSED_TAIL_CALL = 140,
	DROP_UNKNOWN_TARGET = 150,
	DROP_CT_FULL = 155,
	DROP_INVALID_EXTHDR = 156,
	DROP_NO_BACKEND = 158,
	DROP_NO_TUNNEL_ENDPOINT = 160,
	DROP_UNSUPPORTED_L2 = 166,
	DROP_NAT_NO_MAPPING = 167,
	DROP_NO_FIB = 169,
	DROP_ENCAP_PROHIBITED = 170,
	DROP_INVALID_IDENTITY = 171,
	DROP_FRAG_NOT_FOUND = 175,
	DROP_FORBIDDEN_ICMP6 = 176,
	DROP_SRC_RANGE = 177,
	DROP_PROXY_LOOKUP_FAILED = 178,
	DROP_PROXY_ASSIGN_FAILED = 179,
	DROP_PROXY_UNSUPPORTED = 180,
	DROP_POLICY_DENY = 181,
	DROP_AUTH_REQUIRED = 189,
	DROP_DSR_UNSUPPORTED = 193,
	DROP_UNENCRYPTED = 195,
	DROP_TTL_EXCEEDED = 196,
	DROP_RATE_LIMITED = 198,
	DROP_HOST_NOT_READY = 202,
	DROP_ENDPOINT_NOT_READY = 203,
	DROP_FLOW_REVOKED = 224,
	DROP_SPOOFED_LOCAL_SOURCE = 225,
	DROP_INVALID_NDP = 226,
	DROP_IP_OPTION = 227,
	DROP_INVALID_FRAG = 228,
	DROP_INVALID_TCP_FLAGS = 229,
	DROP_DENY_LIST = 230,
	DROP_MARTIAN = 231,
	DROP_LAND = 232,
	DROP_SYN_GUARD = 233,
	DROP_CONN_LIMIT = 234,
	DROP_L7_PROXY_UNAVAILABLE = 235,
	DROP_INTERNAL = 236,
};

/* ---- Compiled policy ---- */

/*
 * One cell of a rule set's matrix: what a packet of one identity class (row) and one port class (column)
 * meets. Written and read as one 64-bit word.
 */
struct policy_cell {
	__u32 origin;  /* origin id: the set of rules that decided */
	__u16 rs_port; /* rule-set port of a redirect, host order; 0 = none */
	/* Low 4 bits enum verdict as enforced; high 4 bits, where that passes and staged policies would refuse,
	 * what they would say, else 0. */
	__u8 verdict;
	__u8 flags; /* CELL_* */
};
_Static_assert(sizeof(struct policy_cell) == 8, "policy_cell");

/* Origins that no rule set holds: the node's own settings refuse. */
#define ORIGIN_NO_IPV4 0xfffffffeU
#define ORIGIN_NO_IPV6 0xffffffffU

#define CELL_MATCH_MASK 0x07 /* enum policy_match */
#define CELL_LOG 0x08
#define CELL_KEEP 0x10  /* live flows this cell admitted outlive its removal */
#define CELL_AUDIT 0x20 /* this refusal is reported and passes */
#define CELL_TIER_SHIFT 6

/* One direction of a slot. Offsets count 8-byte words of the arena; rows and columns are packed u16. */
struct ruleset_dir {
	__u32 rows;    /* rows[identity class] */
	__u32 columns; /* columns[port class] */
	__u32 cells;   /* cells[row * n_columns + column], or blocks: RSDIR_BLOCKS */
	__u16 n_columns;
	__u8 flags; /* RSDIR_* */
	__u8 pad;
};
_Static_assert(sizeof(struct ruleset_dir) == 16, "ruleset_dir");

#define RSDIR_ENFORCED 0x01 /* the matrix decides; without it the direction is open */
#define RSDIR_AUDIT 0x02    /* refusals are reported and pass */
#define RSDIR_STAGED \
	0x04 /* only staged policies select it: the matrix is looked up and refuses nothing */
/* A large table: `cells` begins with a packed u32 for each row's blocks of columns, the word (from there) where
 * the block's cells stand; equal blocks are kept once. */
#define RSDIR_BLOCKS 0x08
#define BLOCK_COLUMNS 16

/* One generation of one rule set. */
struct ruleset_slot {
	__u32 generation; /* 0: the slot is empty */
	__u16 n_classes;  /* rows has this many entries; a class beyond is CLASS_UNKNOWN */
	__u16 n_port_classes;
	struct ruleset_dir dir[2]; /* by enum direction: DIR_EGRESS, DIR_INGRESS */
};
_Static_assert(sizeof(struct ruleset_slot) == 40, "ruleset_slot");

/* A rule set: its control word and the slots that the word chooses among. The host endpoint's word is not
 * here but in hostfw_control. */
struct ruleset {
	__u64 control; /* CONTROL_* */
	struct ruleset_slot slot[HOST_SLOTS];
	__u64 pad[3];
};
_Static_assert(sizeof(struct ruleset) == 192, "ruleset");

/* The control word: one 64-bit store switches. */
#define CONTROL_ACTIVE_SHIFT 0   /* 8 bits: index of the active slot */
#define CONTROL_FALLBACK_SHIFT 8 /* 8 bits: the slot that rules once the deadline has passed */
#define CONTROL_STATE_SHIFT 16   /* 8 bits: enum control_state */
#define CONTROL_MODE_SHIFT 24    /* 8 bits: enum control_mode */
#define CONTROL_TXN_SHIFT 32     /* 32 bits: transaction */

enum control_state {
	CONTROL_EMPTY = 0, /* nothing compiled yet: everything passes, nothing is judged */
	CONTROL_CONFIRMED = 1,
	CONTROL_UNCONFIRMED = 2, /* past the deadline the fallback slot rules */
};

enum control_mode {
	MODE_ENFORCE = 0,
	MODE_AUDIT = 1,
	MODE_FAILSAFE = 2, /* built-ins, failsafe and replies only */
	MODE_OFF = 3,
};

/* The host endpoint's switch. Writers store the deadlines first, the word last. */
struct hostfw_control {
	__u64 control;            /* CONTROL_* */
	__u64 deadline_boot_ns;   /* of an unconfirmed change; CLOCK_BOOTTIME */
	__u64 mode_until_boot_ns; /* end of a timed mode, 0 = untimed; then MODE_ENFORCE */
	__u64 pad;
};
_Static_assert(sizeof(struct hostfw_control) == 32, "hostfw_control");

/* Tables of flow records. */
enum flow_table {
	FLOW_TABLE_TCP4 = 0,
	FLOW_TABLE_TCP6 = 1,
	FLOW_TABLE_ANY4 = 2,
	FLOW_TABLE_ANY6 = 3,
	FLOW_TABLE_UNPROVEN4 = 4,
	FLOW_TABLE_UNPROVEN6 = 5,
	FLOW_TABLE_OVERFLOW4 = 6,
	FLOW_TABLE_OVERFLOW6 = 7,
};
#define FLOW_TABLES 8

/* How full a table is, and what its collector takes beyond expired records (HF-3.9). */
enum flow_pressure {
	PRESSURE_NONE = 0,
	PRESSURE_HIGH = 1,   /* 85 %: closed connections, those never answered or proved for 20 s */
	PRESSURE_SEVERE = 2, /* 95 %: UDP and ICMP without an answer for 5 s, too */
};

/* A table for the rare case: not asked while it has no entries. */
enum table_use {
	TABLE_EMPTY = 0,
	TABLE_USED = 1,     /* whoever inserts says so */
	TABLE_CHECKING = 2, /* asked as ever while the agent finds out whether it is empty */
};

/* What every packet may read without a lookup. Written by the agent only, but for overflow_used. */
struct live_state {
	__u32 clock; /* logical time of the machine; stamped into verdicts */
	__u32 epoch_wide; /* logical time of the last identity change of a prefix shorter than a host's */
	__u32 interest;             /* EVENT_* types that user space wants, as bits */
	__u32 overflow_used[2];     /* enum table_use of the overflow table of IPv4, IPv6 */
	__u8 pressure[FLOW_TABLES]; /* enum flow_pressure, by enum flow_table */
	__u32 pad;
	/* logical time of the last identity change, by hash of the peer address */
	__u32 epoch[EPOCH_BUCKETS];
};
_Static_assert(sizeof(struct live_state) == 32 + 4 * EPOCH_BUCKETS, "live_state");

/* ---- Addresses ---- */

struct addr4_key {
	__be32 addr;
};

struct addr6_key {
	__u8 addr[16];
};

struct lpm4_key {
	__u32 prefixlen; /* bits of addr */
	__be32 addr;
};

struct lpm6_key {
	__u32 prefixlen;
	__u8 addr[16];
};

/* Who an address is. The first eight bytes are read and written as one word. */
struct ipcache_entry {
	__u32 identity;
	__u32 flags;              /* IPCACHE_* */
	__u8 tunnel_endpoint[16]; /* IPv4 in the last four bytes; zero = none */
	__u8 encrypt_key;
	__u8 pad[3];
	__u32 node; /* number of the node that hosts it; 0 = none */
};
_Static_assert(sizeof(struct ipcache_entry) == 32, "ipcache_entry");

#define IPCACHE_ENDPOINT 0x01 /* an endpoint of this node */
#define IPCACHE_NODE 0x02     /* a known node of a connected cluster */

/* A local address of the node. */
struct local_addr {
	__u32 flags;
	__u32 ifindex;
};

/* What the table of local addresses holds of one bucket (EPOCH_*). Address first, then state. */
struct local_bucket {
	__u8 addr[16]; /* IPv4 is mapped */
	__u32 state;   /* 4, 6: this address of this family alone; else LOCAL_* */
	__u32 pad;
};
_Static_assert(sizeof(struct local_bucket) == 24, "local_bucket");

#define LOCAL_NONE 0
#define LOCAL_SEVERAL 1 /* ask the table */

/* A device we have a program on, by ifindex. */
struct device {
	__u16 kind;     /* enum device_kind */
	__u16 slot;     /* index of its drop counters */
	__u32 flags;    /* DEVICE_* */
	__u32 endpoint; /* index of the endpoint behind a pod device; 0 = none */
	__u32 pad;
};
_Static_assert(sizeof(struct device) == 16, "device");

enum device_kind {
	DEVICE_NONE = 0,
	DEVICE_EXTERNAL = 1,
	DEVICE_POD = 2,
};

#define DEVICE_ALLOW_SELF_SOURCE 0x01 /* hostfw.allowSelfSource */
#define DEVICE_XDP 0x02               /* our XDP program runs before tcx */
#define DEVICE_SLOTS 256              /* device counters; 0 collects what has no slot of its own */

/* An endpoint of this node, by its index. Index 0 is the host endpoint. */
struct endpoint {
	__u32 id; /* 1 to 65535; as shown to people */
	__u32 identity;
	__u32 ruleset;  /* index of its rule set */
	__u32 ifindex;  /* host side of its device */
	__be32 addr4;   /* its one IPv4 address, 0 = none or see ENDPOINT_PREFIXES */
	__u32 flags;    /* ENDPOINT_* */
	__u8 addr6[16]; /* its one global IPv6 address, zero = none */
	__u8 mac[6];
	__u16 pad;
	__u32 pad2[4];
};
_Static_assert(sizeof(struct endpoint) == 64, "endpoint");

#define ENDPOINT_AUDIT 0x01
#define ENDPOINT_PREFIXES 0x02 /* more addresses than the two above: ask endpoint_prefix */
#define ENDPOINT_READY 0x04

/* Addresses that an endpoint may send from beyond its first of each family. IPv4 is mapped (::ffff:0:0/96). */
struct endpoint_prefix_key {
	__u32 prefixlen; /* 32 bits of endpoint + bits of addr */
	__u32 endpoint;
	__u8 addr[16];
};

/* A VLAN that has a sub-device with our program on it: tagged frames pass on the parent unjudged. */
struct vlan_key {
	__u32 ifindex; /* parent */
	__be16 proto;  /* 802.1Q or 802.1ad */
	__u16 id;
};

/* ---- Failsafe ---- */

/*
 * failsafe_port: 8 group numbers a word, index = ((slot * 2 + inbound) * FAILSAFE_PORTS + port index) / 8.
 * Group 0 = no entry. A hit asks failsafe_peer for the peer's address.
 */
#define FAILSAFE_PORT_TCP 0
#define FAILSAFE_PORT_UDP 65536
#define FAILSAFE_PORT_PROTO 131072 /* by protocol number, 256 entries; ICMP means echo */
#define FAILSAFE_PORTS 131328

struct failsafe_key {
	__u32 prefixlen; /* 32 bits of slot, inbound, group + bits of addr */
	__u8 slot;
	__u8 inbound;
	__u16 group;
	__u8 addr[16]; /* IPv4 is mapped */
};

struct failsafe_entry {
	__u32 ifindex; /* 0 = any device */
	__u16 entry;   /* number of the entry in the list people see */
	__u8 family;   /* 4 or 6: a short IPv6 prefix covers mapped IPv4, and does not mean it */
	__u8 pad;
};

/* ---- Stages ---- */

/*
 * Programs that go on, by tail call, with what a hook's own program does not settle: `stage_<name>`, at this
 * index of the map `stages`. What is known of the packet waits in this CPU's packet_scratch.
 */
enum stage {
	STAGE_PARSE = 0,  /* frames of a rare kind */
	STAGE_RELATE = 1, /* fragments and ICMP errors: what they belong to */
	STAGE_DECIDE = 2, /* whose packet it is, its record, the judgement */
	STAGE_REPORT = 3, /* events */
};
#define STAGES 4

/* ---- Flow records ---- */

/*
 * The two ends in sorted order (lower address first; equal addresses: lower port first), so that both
 * directions find the record with one lookup.
 */
struct __attribute__((aligned(8))) flow4_key {
	__be32 addr[2];
	__be16 port
		[2]; /* ICMP echo: the identifier at the asking end; protocols without ports: 0 */
	__u8 proto;
	__u8 kind;  /* enum flow_kind */
	__u16 zone; /* tells overlapping addresses apart; 0 */
};
_Static_assert(sizeof(struct flow4_key) == 16, "flow4_key");

struct __attribute__((aligned(8))) flow6_key {
	__u8 addr[2][16];
	__be16 port[2];
	__u8 proto;
	__u8 kind;
	__u16 zone;
};
_Static_assert(sizeof(struct flow6_key) == 40, "flow6_key");

enum flow_kind {
	FLOW_PLAIN = 0,
	FLOW_TRANSLATED = 1,
	FLOW_PROXY_CLIENT = 2,
	FLOW_PROXY_UPSTREAM = 3,
};

/* Under which generation, and when, a verdict was given. Compared for equality and for order. */
struct stamp {
	__u32 generation;
	__u32 time;
};

/*
 * One connection. What an established packet reads comes first (40 bytes), then what it writes (to byte
 * 64), then the rest. Index of arrays of three: enum direction; of arrays of two: 0 from the initiator,
 * 1 from the responder.
 */
struct flow {
	struct stamp stamp[FLOW_CELLS];
	__u8 verdict
		[FLOW_CELLS]; /* low 4 bits as policy_cell's; high 4 bits what audit let pass, 0 = nothing */
	__u8 cell_flags[FLOW_CELLS]; /* CELL_* */
	__u16 flags;                 /* FLOW_* */
	__u32 last_seen;             /* seconds since boot; FLOW_DEAD = being deleted */
	__u16 last_report[2];        /* 5-second ticks, wraps */
	/* byte 40: written by established packets */
	__u64 bytes[2];
	__u32 packets[2];
	/* byte 64: the rest */
	__u32 identity[2]; /* of initiator, responder, when last judged */
	__u32 origin[FLOW_CELLS];
	__u16 rs_port[2]; /* rule-set port of the egress, ingress cell */
	__u32 number;     /* flow number, low 32 bits: the events' */
	__u32 created;    /* seconds since boot */
	__u32 svc_id;
	__u32 pad;
};
_Static_assert(sizeof(struct flow) == 104, "flow");

#define FLOW_DEAD 0xffffffffU

#define FLOW_INITIATOR 0x0001 /* the initiator is the second end of the key */
#define FLOW_SEEN_REPLY 0x0002
#define FLOW_PROVEN 0x0004   /* the initiator has shown that it receives our answers */
#define FLOW_SYN_INIT 0x0008 /* SYN seen from the initiator */
#define FLOW_SYN_RESP 0x0010
#define FLOW_FIN_INIT 0x0020
#define FLOW_FIN_RESP 0x0040
#define FLOW_RST 0x0080
#define FLOW_FAILSAFE 0x0200
#define FLOW_SEEDED 0x0400 /* made from a socket, not from a first packet */
#define FLOW_REVOKED 0x0800
#define FLOW_ENCRYPT 0x1000
#define FLOW_PROXY_LEG 0x2000
#define FLOW_INBOUND 0x4000 /* the initiator is not of this node */
#define FLOW_HOST 0x8000 /* an endpoint's flow with its node: two subjects judge it at one hook */
#define FLOW_CLOSING (FLOW_RST)

/* What only a few flows need: IPv4 values carry it behind struct flow within their 128 bytes. */
struct flow_extra {
	__be32 xlate_addr;
	__be16 xlate_port;
	__u16 proxy_port;
	__u32 egress_ifindex;
	__u16 cluster;
	__u16 pad[5];
};
_Static_assert(sizeof(struct flow_extra) == 24, "flow_extra");

struct flow4_value {
	struct flow flow;
	struct flow_extra extra;
};
_Static_assert(sizeof(struct flow4_value) == 128, "flow4_value");

/* A record whose initiator has proved nothing yet. No hash's element: its key is its own. */
struct unproven {
	struct flow flow;
	__u32 resp_first; /* responder's first sequence number, of its latest SYN-ACK; host order */
	__u32 resp_end;   /* one past the last sequence number it sent */
	union {
		struct flow4_key key4;
		struct flow6_key key6;
	};
};
_Static_assert(sizeof(struct unproven) == 152, "unproven");

#define UNPROVEN_WAYS 8

/*
 * The places of which a record may have any, by the hash of its key. Before them a word for each, a cache line
 * together: half of the hash, odd, << 32 | when it was last asked for, in jiffies, odd. 0 = empty; without
 * the upper half the place is just being filled.
 */
struct unproven_set {
	__u64 word[UNPROVEN_WAYS];
	struct unproven place[UNPROVEN_WAYS];
};
_Static_assert(sizeof(struct unproven_set) == 20 * 64, "unproven_set");

/* Room of one CPU for what the datapath knows of a packet; its layout is the datapath's own. */
struct packet_scratch {
	__u64 words[20];
};

/* Room of one CPU for the key of the connection at hand, and a record on its way into a table. */
struct flow_scratch {
	struct flow4_value value4;
	union {
		struct flow4_key key4;
		struct flow6_key key6;
	};
	__u32 swapped; /* the packet's source is the second end of the key */
	__u32 number;  /* of the last record made on this CPU */
	__u64 hash;    /* of the key, for the unproven tables */
};
_Static_assert(sizeof(struct flow_scratch) == 184, "flow_scratch");

/* Fragments of one datagram, of both families. */
struct frag4_key {
	__be32 saddr;
	__be32 daddr;
	__be16 id;
	__u8 proto;
	__u8 pad;
};

struct frag6_key {
	__u8 saddr[16];
	__u8 daddr[16];
	__be32 id;
	__u8 proto;
	__u8 pad[3];
};

struct frag_value {
	__be16 sport;
	__be16 dport; /* ICMP: type in the low byte of sport's place is not kept; echo has its identifier here */
	__u32 seen; /* seconds since boot */
	__u8 icmp_type;
	__u8 proto; /* IPv6: found behind further extension headers of the first fragment */
	__u8 pad[2];
};

/* ---- Counters and events ---- */

struct rule_counter {
	__u64 packets;
	__u64 bytes;
	__u64 flows;
	__u64 last_hit; /* seconds since boot */
};
_Static_assert(sizeof(struct rule_counter) == 32, "rule_counter");

/* drop_count is indexed by device slot * 256 + reason; what audit let pass counts at the reason less 128. */
struct drop_counter {
	__u64 packets;
	__u64 bytes;
};

/* Counters that are no drops; index of stat_count. */
enum stat {
	STAT_EVENT_LOST = 0,       /* the ring was full */
	STAT_EVENT_SUPPRESSED = 1, /* withheld by the rate limit */
	STAT_EVENT_SENT = 2,
	STAT_FLOW_NEW = 3,         /* allowed new flows: events sent + suppressed + lost */
	STAT_CT_INSERT_FAILED = 4, /* went to the overflow table */
	STAT_LOCAL_BY_FIB = 5,
	STAT_FRAG_OUT_OF_ORDER = 6,
	STAT_FLOW_PROVEN = 7,
	STAT_FLOW_SEEDED = 8,
	STAT_JUDGED = 9, /* policy lookups */
	STAT_PASS_NON_IP = 10,
	STAT_PASS_FORWARDED = 11,
	STAT_PASS_BUILTIN = 12,
	STAT_PASS_FAILSAFE = 13,
	STAT_PASS_RELATED = 14,
	STAT_PASS_ESTABLISHED = 15,
	STAT_PASS_REPLY = 16,
	STAT_PASS_UNENFORCED = 17,
	STAT_MARK_IGNORED = 18,
	STAT_GC_DELETED = 19,
	STAT_SYN_PRE_DENY = 20,
	STAT_PASS_NEW = 21, /* judged as new, allowed */
	STAT_MAX = 32,
};

/* One ring's limit. */
struct event_limit {
	__u64 full_at;         /* of the token bucket */
	__u16 suppressed[256]; /* withheld since the last one sent, by reason; saturated */
};
_Static_assert(sizeof(struct event_limit) == 520, "event_limit");

#define DROP_REPORTS_SHIFT 23 /* 32 less the logarithm of the number of entries */
#define DROP_REPORTS 512

/* A refusal that made an event, and how many like it have made none since. The first 56 bytes tell it. */
struct drop_report {
	__u64 addr[4]; /* source, destination; IPv4 is mapped */
	__u32 ports;
	__u32 what; /* enum drop_reason, protocol, subject and direction, a byte each */
	__u32 origin;
	__u32 generation;
	__u32 ifindex;
	__u32 since; /* seconds since boot */
	__u32 count;
	__u32 pad;
};
_Static_assert(sizeof(struct drop_report) == 64, "drop_report");

enum event_type {
	EVENT_VERDICT = 1,
	EVENT_DROP = 2,
	EVENT_FAILSAFE = 3,
	EVENT_TRACE = 4,
};

#define EVENT_VERSION 1

/* One ring record: 64 bytes with IPv4 addresses, 96 with IPv6. */
struct event {
	__u8 version; /* low 4 bits EVENT_VERSION, high 4 bits enum event_type */
	__u8 reason;  /* enum drop_reason, also of what audit let pass; 0 = not refused */
	__u16 cpu;
	__u16 seq;     /* of this CPU; wraps */
	__u16 length;  /* of the packet, saturated */
	__u64 time_ns; /* CLOCK_MONOTONIC_COARSE: of the last tick */
	__u32 src_identity;
	__u32 dst_identity;
	__u32 origin;
	__u32 generation;
	__u32 flow; /* flow number, low 32 bits; 0 = no record */
	__u32 ifindex;
	__u16 src_endpoint; /* endpoint id on this node; 0 = none */
	__u16 dst_endpoint;
	__u16 proxy_port;
	__u16 suppressed; /* events of this reason withheld since the last one sent, repeats too; saturated */
	__be16 sport; /* ICMP: type in the low byte of the host-order value, code in the high */
	__be16 dport; /* UNSUPPORTED_L2: the ethertype */
	__u8 proto;
	__u8 tcp_flags;
	__u8 verdict; /* low 4 bits enum verdict, high 4 bits enum policy_match */
	__u8 flags;   /* EVENT_F_* */
	union {
		struct {
			__be32 saddr4;
			__be32 daddr4;
		};
		struct {
			__u8 saddr6[16];
			__u8 daddr6[16];
			__u8 pad[8];
		};
	};
};
_Static_assert(sizeof(struct event) == 96, "event");
#define EVENT_SIZE4 64
#define EVENT_SIZE6 96

#define EVENT_F_INGRESS 0x01 /* direction of the judgement; clear = egress */
#define EVENT_F_IPV6 0x02
#define EVENT_F_AUDIT 0x04 /* refused, passed because of audit */
#define EVENT_F_REPLY 0x08
#define EVENT_F_XDP 0x10
#define EVENT_F_TRACE_SHIFT 5 /* 3 bits of trace point */

/* ---- Instance and probes ---- */

/* Whose pins these are; one entry. */
struct instance {
	__u64 id; /* drawn at first start; also in the programs' read-only data */
	__u64 netns_cookie;
	__u8 boot_id[16];
	__u32 schema;
	__u32 generation; /* highest generation number given so far */
	__u32 clock;      /* highest logical time given so far */
	__u32 pad;
};
_Static_assert(sizeof(struct instance) == 48, "instance");

/* One instruction to the ipcache feeder: set (or insert) or remove. */
struct ipcache_op {
	__u8 addr[16];   /* IPv4 in the first four bytes */
	__u32 prefixlen; /* 32 or 128: hash; else trie */
	__u8 family;     /* 4 or 6 */
	__u8 remove;
	__u16 done; /* set by the program: 1 in place, 2 inserted, 3 removed; 0xffff failed */
	struct ipcache_entry entry;
};
_Static_assert(sizeof(struct ipcache_op) == 56, "ipcache_op");

#endif
