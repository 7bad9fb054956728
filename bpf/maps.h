/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the datapath. Each comment: purpose; who writes; who evicts; what a reader may see. All are
 * pinned as <bpf-root>/maps/<name>@<layout-hash>. Sizes are set by the loader before load; the numbers
 * here are the smallest that make sense.
 */
#ifndef MERLON_MAPS_H
#define MERLON_MAPS_H

#include "types.h"
#include <bpf/bpf_helpers.h>

/* Host firewall's switch. Agent, merlon-unlock write; one 64-bit store of the word, deadlines before it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hostfw_control);
} hostfw_control SEC(".maps");

/* Clock, epochs and flags that any packet may read. Agent writes by release stores. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct live_state);
} live SEC(".maps");

/* Headers of rule sets; entry 0 is the host endpoint's. Agent writes; a slot is complete before a word names it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct ruleset);
} rulesets SEC(".maps");

/* Rows, columns and cells of all slots, in 8-byte words. Agent allocates; freed space rests for a grace period. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} arena SEC(".maps");

/* Identity >> IDENTITY_PAGE_BITS -> page, four u16 a word; page 0 is all CLASS_UNKNOWN. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, IDENTITY_PAGES_TOP / 4);
	__type(key, __u32);
	__type(value, __u64);
} identity_page SEC(".maps");

/* (page << IDENTITY_PAGE_BITS | low bits of the identity) -> class, four u16 a word. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, (64 << IDENTITY_PAGE_BITS) / 4);
	__type(key, __u32);
	__type(value, __u64);
} identity_class SEC(".maps");

/* PORT_CLASS_* index -> port class, four u16 a word. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PORT_CLASS_ENTRIES / 4);
	__type(key, __u32);
	__type(value, __u64);
} port_class SEC(".maps");

/* Exact addresses -> identity. Values change in place (the ipcache feeder), never by overwriting update. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct addr4_key);
	__type(value, struct ipcache_entry);
} ipcache_host4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct addr6_key);
	__type(value, struct ipcache_entry);
} ipcache_host6 SEC(".maps");

/* Instructions to the ipcache feeder. Agent writes, then runs it; the feeder answers in place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ipcache_op);
} ipcache_ops SEC(".maps");

/* Shorter prefixes -> identity; asked when no exact address is known. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* the kernel demands it of tries */
	__uint(max_entries, 65536);
	__type(key, struct lpm4_key);
	__type(value, struct ipcache_entry);
} ipcache_net4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct lpm6_key);
	__type(value, struct ipcache_entry);
} ipcache_net6 SEC(".maps");

/* Addresses of every device of the node's namespace. Agent, from address events. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct addr4_key);
	__type(value, struct local_addr);
} local_addrs4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct addr6_key);
	__type(value, struct local_addr);
} local_addrs6 SEC(".maps");

/* Most often enough to know of an address whether it is local, without a call. Agent, before local_addrs gives one up. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EPOCH_BUCKETS);
	__type(key, __u32);
	__type(value, struct local_bucket);
} local_buckets SEC(".maps");

/* Devices with a program, by ifindex below 65,536; those above stand in devices_high. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct device);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct device);
} devices_high SEC(".maps");

/* Endpoints of this node by index; 0 is the host endpoint. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

/* Further source prefixes of an endpoint (ENDPOINT_PREFIXES). Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct endpoint_prefix_key);
	__type(value, __u32);
} endpoint_prefix SEC(".maps");

/* VLAN sub-devices with our program on them. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct vlan_key);
	__type(value, __u32);
} vlans SEC(".maps");

/* Failsafe: does any entry name this port; 8 groups a word. Its reconciler only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HOST_SLOTS * 2 * FAILSAFE_PORTS / 8);
	__type(key, __u32);
	__type(value, __u64);
} failsafe_port SEC(".maps");

/* Failsafe: the peers of a group. Its reconciler only. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct failsafe_key);
	__type(value, struct failsafe_entry);
} failsafe SEC(".maps");

/* Live flows that are proven, or that this node began. The datapath inserts, the collector deletes; no LRU,
 * so that nothing live is evicted silently. */
#define FLOW_MAP(name, k, v)                     \
	struct {                                 \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(max_entries, 4096);       \
		__type(key, struct k);           \
		__type(value, struct v);         \
	} name SEC(".maps")

FLOW_MAP(flow_tcp4, flow4_key, flow4_value);
FLOW_MAP(flow_tcp6, flow6_key, flow);
FLOW_MAP(flow_any4, flow4_key, flow4_value);
FLOW_MAP(flow_any6, flow6_key, flow);

/*
 * Inbound records without proof, of every protocol, in sets (lib/unproven.h). The datapath inserts, and evicts
 * from a full set what was asked for longest ago; the collector takes what has expired.
 */
#define UNPROVEN_MAP(name)                                 \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(map_flags, BPF_F_MMAPABLE);         \
		__uint(max_entries, 4096 / UNPROVEN_WAYS); \
		__type(key, __u32);                        \
		__type(value, struct unproven_set);        \
	} name SEC(".maps")

UNPROVEN_MAP(unproven4);
UNPROVEN_MAP(unproven6);

/* Records that found no room; asked while live.overflow_used says so; the LRU evicts. */
#define OVERFLOW_MAP(name, k, v)                     \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__uint(max_entries, 4096);           \
		__type(key, struct k);               \
		__type(value, struct v);             \
	} name SEC(".maps")

OVERFLOW_MAP(overflow4, flow4_key, flow4_value);
OVERFLOW_MAP(overflow6, flow6_key, flow);

/* UDP ports at which a socket of the node's waits for anybody (HF-3.7), a bit each. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536 / 64);
	__type(key, __u32);
	__type(value, __u64);
} udp_servers SEC(".maps");

/* Ports of datagrams whose first fragment passed; the LRU evicts, 30 s. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct frag4_key);
	__type(value, struct frag_value);
} frag4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct frag6_key);
	__type(value, struct frag_value);
} frag6 SEC(".maps");

/* Hits of rules, by origin id. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct rule_counter);
} rule_count SEC(".maps");

/* Drops, by device slot * 256 + reason. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DEVICE_SLOTS * 256);
	__type(key, __u32);
	__type(value, struct drop_counter);
} drop_count SEC(".maps");

/* Paths taken, by enum stat. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} stat_count SEC(".maps");

/* Ring records, one ring a CPU group; filled with rings by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 262144);
	});
} events SEC(".maps");

/* Rate limit of each ring's events, and what it withheld. The datapath; plain stores (see bucket_take). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* as events */
	__type(key, __u32);
	__type(value, struct event_limit);
} event_limits SEC(".maps");

/* Refusals told of late, by a hash of the packet; a new one takes its place. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_REPORTS);
	__type(key, __u32);
	__type(value, struct drop_report);
} drop_reports SEC(".maps");

/* Rate limit of unjudged ICMPv6 errors, by device slot. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DEVICE_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} icmp6_limits SEC(".maps");

/* What is known of the packet at hand, on the rare paths: the stack has no room. The datapath. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet_scratch);
} packet_scratch SEC(".maps");

/* Where a new record is put together: it would not fit on the stack. The datapath, within one packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_scratch);
} flow_scratch SEC(".maps");

/*
 * Programs that go on where a hook's own ends, by enum stage. One a load, filled before the first program of
 * that load hangs anywhere, never changed: old programs keep to their own until they are replaced.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__type(key, __u32);
	__type(value, __u32);
} stages SEC(".maps");

/* Whose pins these are. Agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct instance);
} instance SEC(".maps");

#endif
