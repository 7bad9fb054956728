// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Upkeep that the agent drives and the kernel does: collecting expired records, feeding the ipcache,
 * sampling the clock. Nothing here is on a packet's way.
 */
#include "lib/ct.h"
#include "lib/time.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Seconds beyond a record's own timeout before it is collected: a packet that saw it live has stored its
 * last sight of it long before.
 */
#define COLLECT_GRACE 2

/* A reader learns how far the walk came: one byte a so many records. */
#define RECORDS_A_BYTE 16

/* Layout of the iterator's context (linux/bpf.h has none): the kernel's struct bpf_iter__bpf_map_elem. */
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

/* Under pressure: seconds without a packet after which what was never answered may go. */
#define SPARE_UNANSWERED_TCP 20
#define SPARE_UNANSWERED 5

/* May a record go before its time, so that others find room (HF-3.9)? */
static __always_inline bool flow_is_spare(__u16 flags, __u8 proto, __u32 idle, __u8 pressure)
{
	if (proto == IPPROTO_TCP) {
		if (flags & FLOW_RST || (flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH)
			return true;
		return !(flags & (FLOW_SEEN_REPLY | FLOW_SEEDED)) && idle > SPARE_UNANSWERED_TCP;
	}
	if (pressure < PRESSURE_SEVERE || flags & FLOW_SEEN_REPLY)
		return false;
	return (proto == IPPROTO_UDP || proto == IPPROTO_ICMP || proto == PROTO_ICMP6) &&
	       idle > SPARE_UNANSWERED;
}

/*
 * Claim before delete: the collector sets last seen from the value it judged to DEAD in one step, so that
 * a packet which revives the record meanwhile wins. True: delete it. A record that goes for lack of
 * room is live to packets on their way just now; the claim alone takes it from those to come, and the next
 * walk deletes it, unless one of the former has stored its sight of it over the claim.
 */
static __always_inline bool flow_claim(struct flow *flow, __u8 proto, bool is_unproven,
				       __u8 pressure)
{
	__u32 last = *(volatile __u32 *)&flow->last_seen, idle = now_seconds() - last;

	if (last == FLOW_DEAD)
		return true;
	if ((__s32)idle <= (pressure ? COLLECT_GRACE : AGE_SURELY_LIVE))
		return false;
	if (idle > (__u32)flow_timeout(flow->flags, proto, is_unproven) + COLLECT_GRACE)
		return __sync_val_compare_and_swap(&flow->last_seen, last, FLOW_DEAD) == last;
	if (pressure && flow_is_spare(flow->flags, proto, idle, pressure))
		__sync_val_compare_and_swap(&flow->last_seen, last, FLOW_DEAD);
	return false;
}

#define FLOW_COLLECTOR(name, table, key_type, number, is_unproven)                      \
	SEC("iter/bpf_map_elem")                                                        \
	int name(struct bpf_iter__bpf_map_elem *ctx)                                    \
	{                                                                               \
		const struct live_state *state = live_get();                            \
		key_type *at = ctx->key, key;                                           \
		struct flow *flow = ctx->value;                                         \
		__u8 mark = 0;                                                          \
                                                                                        \
		if (!at || !flow || !state)                                             \
			return 0;                                                       \
		if (ctx->meta->seq_num % RECORDS_A_BYTE == 0)                           \
			bpf_seq_write(ctx->meta->seq, &mark, sizeof(mark));             \
		if (!flow_claim(flow, at->proto, is_unproven, state->pressure[number])) \
			return 0;                                                       \
		key = *at;                                                              \
		if (!bpf_map_delete_elem(&table, &key))                                 \
			count(STAT_GC_DELETED, 1);                                      \
		return 0;                                                               \
	}

FLOW_COLLECTOR(flow_gc_tcp4, flow_tcp4, struct flow4_key, FLOW_TABLE_TCP4, false)
FLOW_COLLECTOR(flow_gc_tcp6, flow_tcp6, struct flow6_key, FLOW_TABLE_TCP6, false)
FLOW_COLLECTOR(flow_gc_any4, flow_any4, struct flow4_key, FLOW_TABLE_ANY4, false)
FLOW_COLLECTOR(flow_gc_any6, flow_any6, struct flow6_key, FLOW_TABLE_ANY6, false)

/*
 * The LRU tables evict by themselves; they are collected so that they become empty again, and no packet
 * has to ask them. An insertion there writes over what is present: between claim and deletion it could be
 * lost, in a table that may lose any record.
 */
FLOW_COLLECTOR(flow_gc_overflow4, overflow4, struct flow4_key, FLOW_TABLE_OVERFLOW4, false)
FLOW_COLLECTOR(flow_gc_overflow6, overflow6, struct flow6_key, FLOW_TABLE_OVERFLOW6, false)

/* May the record of a place go? Apart: the verifier need not follow it for each. */
__noinline int unproven_claim(struct unproven *place, __u32 is_v6, __u32 pressure)
{
	return place && flow_claim(&place->flow, is_v6 ? place->key6.proto : place->key4.proto,
				   true, pressure);
}

/* Takes the expired records out of a set; how many it had. */
static __always_inline __u32 set_collect(struct unproven_set *set, bool is_v6, __u8 pressure)
{
	__u32 met = 0;
	__u64 word;

	for (int i = 0; i < UNPROVEN_WAYS; i++) {
		word = *(volatile __u64 *)&set->word[i];
		if (!(word >> 32))
			continue;
		met++;
		if (unproven_claim(&set->place[i], is_v6, pressure) &&
		    __sync_val_compare_and_swap(&set->word[i], word, 0) == word)
			count(STAT_GC_DELETED, 1);
	}
	return met;
}

/* The reader learns of records, not of sets: a byte each. */
#define UNPROVEN_COLLECTOR(name, number, is_v6)                         \
	SEC("iter/bpf_map_elem")                                        \
	int name(struct bpf_iter__bpf_map_elem *ctx)                    \
	{                                                               \
		const struct live_state *state = live_get();            \
		struct unproven_set *set = ctx->value;                  \
		__u64 marks = 0;                                        \
		__u32 met;                                              \
                                                                        \
		if (!set || !state)                                     \
			return 0;                                       \
		met = set_collect(set, is_v6, state->pressure[number]); \
		if (met)                                                \
			bpf_seq_write(ctx->meta->seq, &marks, met);     \
		return 0;                                               \
	}

UNPROVEN_COLLECTOR(flow_gc_unproven4, FLOW_TABLE_UNPROVEN4, false)
UNPROVEN_COLLECTOR(flow_gc_unproven6, FLOW_TABLE_UNPROVEN6, true)

/* What the feeder has done with an instruction. */
#define FED_IN_PLACE 1
#define FED_INSERTED 2
#define FED_REMOVED 3
#define FED_FAILED 0xffff

/* Identity and flags first, by one store; the rest follows: readers of it know that it may be older. */
static __always_inline void entry_store(struct ipcache_entry *to, const struct ipcache_entry *from)
{
	*(volatile __u64 *)to = *(volatile __u64 *)from;
	__builtin_memcpy(to->tunnel_endpoint, from->tunnel_endpoint, sizeof(to->tunnel_endpoint));
	to->encrypt_key = from->encrypt_key;
	to->node = from->node;
}

#define ENTRY_FEED(map, key, op, entry)                                                            \
	({                                                                                         \
		struct ipcache_entry *__old;                                                       \
		__u16 __done;                                                                      \
		if ((op)->remove) {                                                                \
			__done = bpf_map_delete_elem(map, key) ? FED_FAILED : FED_REMOVED;         \
		} else if ((__old = bpf_map_lookup_elem(map, key))) {                              \
			entry_store(__old, entry);                                                 \
			__done = FED_IN_PLACE;                                                     \
		} else {                                                                           \
			__done = bpf_map_update_elem(map, key, entry, BPF_NOEXIST) ? FED_FAILED    \
										   : FED_INSERTED; \
		}                                                                                  \
		__done;                                                                            \
	})

/* One instruction. Tries have no insert-if-absent; their update replaces a node in one step, and is safe. */
static long ipcache_feed_one(__unused void *map, const __u32 *index, struct ipcache_op *op,
			     __u32 *limit)
{
	struct ipcache_entry entry = op->entry;
	struct addr4_key host4 = {};
	struct addr6_key host6 = {};

	if (*index >= *limit)
		return 1;
	if (op->family == 4) {
		__builtin_memcpy(&host4.addr, op->addr, sizeof(host4.addr));
		op->done = ENTRY_FEED(&ipcache_host4, &host4, op, &entry);
	} else {
		__builtin_memcpy(host6.addr, op->addr, sizeof(host6.addr));
		op->done = ENTRY_FEED(&ipcache_host6, &host6, op, &entry);
	}
	return 0;
}

/*
 * Applies the first `count` instructions of ipcache_ops, in order: exact addresses only, since tries may be
 * written from user space. Context: the count, 32 bits.
 */
SEC("syscall")
int ipcache_feed(__u32 *ctx)
{
	__u32 limit = *ctx;

	bpf_for_each_map_elem(&ipcache_ops, ipcache_feed_one, &limit, 0);
	return 0;
}

/* Ticks and time at one moment; two samples tell the tick rate. */
struct clock_sample {
	__u64 jiffies;
	__u64 boot_ns;
};

SEC("syscall")
int clock_sample(struct clock_sample *ctx)
{
	ctx->jiffies = bpf_jiffies64();
	ctx->boot_ns = bpf_ktime_get_boot_ns();
	return 0;
}
