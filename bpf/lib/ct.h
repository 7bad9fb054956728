/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow records: how they are found, when they live, and how they are kept. One record a connection, its
 * key the two ends in sorted order, so that one lookup finds it whichever way the packet travels.
 */
#ifndef MERLON_CT_H
#define MERLON_CT_H

#include "control.h"
#include "packet.h"
#include "time.h"

/* Below this age (seconds) no record has expired, whatever its state. */
#define AGE_SURELY_LIVE 5

#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ULL

#define FLOW_FIN_BOTH (FLOW_FIN_INIT | FLOW_FIN_RESP)

/* Hash tables that can hold a record. */
enum flow_home {
	HOME_MAIN = 0,
	HOME_OVERFLOW = 1,
};

/* Does `a` sort behind `b`, by address, then by port? */
static __always_inline bool end4_is_behind(__be32 a, __be16 a_port, __be32 b, __be16 b_port)
{
	if (a == b)
		return bpf_ntohs(a_port) > bpf_ntohs(b_port);
	return bpf_ntohl(a) > bpf_ntohl(b);
}

static __always_inline bool end6_is_behind(const union address *a, __be16 a_port,
					   const union address *b, __be16 b_port)
{
	if (a->d[0] != b->d[0])
		return bpf_be64_to_cpu(a->d[0]) > bpf_be64_to_cpu(b->d[0]);
	if (a->d[1] != b->d[1])
		return bpf_be64_to_cpu(a->d[1]) > bpf_be64_to_cpu(b->d[1]);
	return bpf_ntohs(a_port) > bpf_ntohs(b_port);
}

/*
 * Keys are written in words of eight bytes: the lookup reads them so, and a processor that has to gather such a
 * word from shorter stores waits for them.
 */
static __always_inline void key4_set(struct flow4_key *key, bool swapped, __be32 source,
				     __be32 target, __u32 ports, __u8 proto)
{
	__u64 *word = (__u64 *)key;

	word[0] = swapped ? target | (__u64)source << 32 : source | (__u64)target << 32;
	word[1] = (swapped ? ports << 16 | ports >> 16 : ports) | (__u64)proto << 32;
}

static __always_inline void key6_set(struct flow6_key *key, bool swapped,
				     const union address *source, const union address *target,
				     __u32 ports, __u8 proto)
{
	union address *end = (union address *)key->addr;

	end[0] = swapped ? *target : *source;
	end[1] = swapped ? *source : *target;
	*(__u64 *)key->port = (swapped ? ports << 16 | ports >> 16 : ports) | (__u64)proto << 32;
}
_Static_assert(FLOW_PLAIN == 0 && offsetof(struct flow4_key, port) == 8 &&
		       offsetof(struct flow6_key, port) == 32,
	       "kind and zone are zero, ports stand at a word");

static __always_inline struct flow_scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&flow_scratch, &zero);
}

static __always_inline __u64 hash_add(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * HASH_MULTIPLIER;
	return hash ^ hash >> 32;
}

/* Of the key in this CPU's room. Seeded by what nobody outside knows: no sender chooses whom he meets. */
static __always_inline __u64 key_hash(const struct flow_scratch *scratch, bool is_v6)
{
	const __u64 *word = (const void *)&scratch->key6;
	__u64 hash = hash_add(hash_add(cfg_instance_id, word[0]), word[1]);

	if (is_v6)
		hash = hash_add(hash_add(hash_add(hash, word[2]), word[3]), word[4]);
	return hash_add(hash, 0);
}

/*
 * Puts the key of the packet's connection into this CPU's room, where it stays for all that is done with its
 * record: whether the packet's source is the second end. The verifier walks this once, and forgets it.
 */
__noinline int key_make(const struct packet *pkt)
{
	struct flow_scratch *scratch = scratch_get();
	const union address *low, *high;
	bool swapped;
	__u32 ports;

	if (!pkt || !scratch)
		return 0;
	low = &pkt->saddr;
	high = &pkt->daddr;
	ports = pkt->sport | (__u32)pkt->dport << 16;
	if (pkt->family == 4) {
		swapped = end4_is_behind(low->w[3], pkt->sport, high->w[3], pkt->dport);
		key4_set(&scratch->key4, swapped, low->w[3], high->w[3], ports, pkt->proto);
	} else {
		swapped = end6_is_behind(low, pkt->sport, high, pkt->dport);
		key6_set(&scratch->key6, swapped, low, high, ports, pkt->proto);
	}
	scratch->swapped = swapped;
	scratch->hash = key_hash(scratch, pkt->family != 4);
	return swapped;
}

static __always_inline struct flow *flow_main4(const struct flow4_key *key)
{
	if (key->proto == IPPROTO_TCP)
		return bpf_map_lookup_elem(&flow_tcp4, key);
	return bpf_map_lookup_elem(&flow_any4, key);
}

static __always_inline struct flow *flow_main6(const struct flow6_key *key)
{
	if (key->proto == IPPROTO_TCP)
		return bpf_map_lookup_elem(&flow_tcp6, key);
	return bpf_map_lookup_elem(&flow_any6, key);
}

/* Seconds without a packet after which the record is none (HF-3.4). */
__noinline int flow_timeout(__u32 flags, __u32 proto, __u32 is_unproven)
{
	if (proto == IPPROTO_TCP) {
		if (flags & FLOW_RST || (flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH)
			return cfg_timeout_tcp_fin;
		if (is_unproven || !(flags & (FLOW_SEEN_REPLY | FLOW_SEEDED)))
			return cfg_timeout_tcp_syn;
		return cfg_timeout_tcp;
	}
	if (proto == IPPROTO_UDP)
		return flags & FLOW_SEEN_REPLY ? cfg_timeout_udp_stream : cfg_timeout_udp;
	if (proto == IPPROTO_ICMP || proto == PROTO_ICMP6)
		return cfg_timeout_icmp;
	return cfg_timeout_generic;
}

static __always_inline bool flow_is_live(const struct flow *flow, __u8 proto, bool is_unproven,
					 __u32 now)
{
	__u32 last = *(volatile __u32 *)&flow->last_seen;

	if (last == FLOW_DEAD)
		return false;
	if ((__s32)(now - last) <= AGE_SURELY_LIVE)
		return true;
	return now - last <= (__u32)flow_timeout(flow->flags, proto, is_unproven);
}

/* As flow_is_live, where a call does not count: the verifier walks it once. */
__noinline int flow_lives(const struct flow *flow, __u32 proto, __u32 is_unproven)
{
	return flow && flow_is_live(flow, proto, is_unproven, now_seconds());
}

/* A record without verdicts was made for what merely passes. */
static __always_inline bool flow_is_unjudged(const struct flow *flow)
{
	return !(flow->verdict[DIR_EGRESS] | flow->verdict[DIR_INGRESS]);
}

/* Does a cell let the flow's packets pass, be it by audit? */
static __always_inline bool cell_admits(__u8 verdict)
{
	return (verdict & 0xf) <= VERDICT_ALLOW || verdict >> 4;
}

/* Does nobody refuse the flow's packets, as far as was judged? */
static __always_inline bool flow_is_admitted(const struct flow *flow)
{
	return cell_admits(flow->verdict[DIR_EGRESS]) && cell_admits(flow->verdict[DIR_INGRESS]);
}

static __always_inline bool time_is_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

/* Was the verdict given under this generation, and not before the peer's address last changed hands? */
static __always_inline bool stamp_is_current(const struct stamp *stamp, __u32 generation,
					     const struct live_state *state, __u32 bucket)
{
	return stamp->generation == generation &&
	       !time_is_before(stamp->time, state->epoch[bucket % EPOCH_BUCKETS]) &&
	       !time_is_before(stamp->time, state->epoch_wide);
}

/* Counts the packet; `is_reply` says for which side. */
static __always_inline void flow_count(struct flow *flow, const struct packet *pkt, __u32 is_reply,
				       __u32 now)
{
	BOUND_TO_BIT(is_reply);
	/* Plain adds: two CPUs on one flow may lose a packet of the count, never a verdict. */
	flow->packets[is_reply] += pkt->segments;
	flow->bytes[is_reply] += pkt->length;
	flow->last_seen = now;
}

/* Flags of the state that this packet brings about (HF-2.8, 3.4). */
static __always_inline __u16 flow_flags_next(__u16 flags, const struct packet *pkt, bool is_reply)
{
	if (is_reply)
		flags |= FLOW_SEEN_REPLY;
	if (pkt->proto != IPPROTO_TCP || pkt->flags & PKT_FRAG_LATER)
		return flags;
	if (pkt->tcp_flags & TCP_RST)
		return flags | FLOW_RST;
	flags &= ~FLOW_RST; /* the reset was ignored: the connection goes on */
	if ((flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH && pkt->tcp_flags & TCP_PSH)
		flags &= ~FLOW_FIN_BOTH; /* data after the end: the ends were not real */
	if (pkt->tcp_flags & TCP_SYN)
		flags |= is_reply ? FLOW_SYN_RESP : FLOW_SYN_INIT;
	if (pkt->tcp_flags & TCP_FIN)
		flags |= is_reply ? FLOW_FIN_RESP : FLOW_FIN_INIT;
	return flags;
}

/* Stores one subject's verdict in its cell. The stamp goes last: until then the old one is not current. */
static __always_inline void flow_store_verdict(struct flow *flow, const struct packet *pkt,
					       __u32 subject, __u32 cell)
{
	const struct judgement *judged;

	BOUND_TO_BIT(subject);
	BOUND_TO_BIT(cell);
	judged = &pkt->judged[subject];
	flow->stamp[cell].generation = 0;
	flow->origin[cell] = judged->origin;
	flow->cell_flags[cell] = judged->flags;
	flow->verdict[cell] = judged->verdict;
	flow->stamp[cell].time = pkt->clock;
	*(volatile __u32 *)&flow->stamp[cell].generation = pkt->subject[subject].generation;
}

/*
 * Makes `flow` the record of this packet's connection, from nothing or over an expired one. The verdicts
 * are void while the rest changes.
 */
__noinline int flow_write(struct flow *flow, const struct packet *pkt, __u32 is_reply)
{
	struct flow_scratch *scratch = scratch_get();
	__u32 now = now_seconds();
	__u16 flags;

	if (!flow || !pkt || !scratch)
		return 0;
	BOUND_TO_BIT(is_reply);
	__builtin_memset(flow->verdict, 0, sizeof(flow->verdict));
	__builtin_memset(flow->stamp, 0, sizeof(flow->stamp));
	__builtin_memset(flow->last_report, 0, sizeof(*flow) - offsetof(struct flow, last_report));

	flags = (scratch->swapped ^ is_reply) & FLOW_INITIATOR;
	flags = flow_flags_next(flags, pkt, is_reply);
	if (pkt->flags & PKT_SOCKET)
		flags |= FLOW_SEEDED | FLOW_PROVEN;
	if ((pkt->subject[0].flags & SUBJECT_PRESENT) && (pkt->subject[1].flags & SUBJECT_PRESENT))
		flags |= FLOW_HOST;
	if ((pkt->judged[0].bits | pkt->judged[1].bits) & JUDGED_FAILSAFE)
		flags |= FLOW_FAILSAFE;
	flow->flags = flags;
	flow->last_seen = now;
	flow->created = now;
	BOUND_TO_BIT(is_reply);
	flow->identity[is_reply] = pkt->src_identity;
	flow->identity[is_reply ^ 1] = pkt->dst_identity;
	flow->number = pkt->flow;
	flow_count(flow, pkt, is_reply, now);
	for (__u32 i = 0; i < SUBJECTS; i++) {
		if (pkt->subject[i].flags & SUBJECT_PRESENT)
			flow_store_verdict(flow, pkt, i, subject_dir(pkt, i) ^ is_reply);
	}
	return 0;
}

#define EEXIST 17
#define EBUSY 16
#define INSERT_TRIES 2 /* a bucket may be busy under another's hands (HF-3.9) */

/* Says that a table has entries; the line stays clean where that is known. */
#define TABLE_USE(use)                      \
	do {                                \
		if ((use) != TABLE_USED)    \
			(use) = TABLE_USED; \
	} while (0)

/*
 * Puts the record in this CPU's room into a table; one that is full or busy sends it to the overflow table.
 * 0, 1 = the key is taken, negative = nowhere.
 */
__noinline int flow_insert(const struct packet *pkt, __u32 home)
{
	struct flow_scratch *scratch = scratch_get();
	struct live_state *state = live_get();
	bool is_tcp, is_v6;
	int rc = -EBUSY;
	void *map;

	if (!pkt || !scratch || !state)
		return -1;
	is_tcp = pkt->proto == IPPROTO_TCP;
	is_v6 = pkt->family != 4;
	__builtin_memset(&scratch->value4.extra, 0, sizeof(scratch->value4.extra));
	if (home == HOME_MAIN) {
		map = is_v6    ? is_tcp ? (void *)&flow_tcp6 : (void *)&flow_any6
		      : is_tcp ? (void *)&flow_tcp4
			       : (void *)&flow_any4;
#pragma clang loop unroll(disable)
		for (int i = 0; i < INSERT_TRIES && rc == -EBUSY; i++)
			rc = bpf_map_update_elem(map, &scratch->key4, &scratch->value4,
						 BPF_NOEXIST);
		if (!rc || rc == -EEXIST)
			return rc != 0;
		count(STAT_CT_INSERT_FAILED, 1);
	}
	map = is_v6 ? (void *)&overflow6 : (void *)&overflow4;
	rc = bpf_map_update_elem(map, &scratch->key4, &scratch->value4, BPF_ANY);
	if (!rc)
		TABLE_USE(state->overflow_used[is_v6]);
	return rc;
}

/* A number for a record: of this CPU, then the CPU; never 0. */
static __always_inline __u32 flow_number(struct flow_scratch *scratch)
{
	scratch->number++;
	return (scratch->number << 8 | (bpf_get_smp_processor_id() & 0xff)) ?: 1;
}

/* A new record of this packet's connection in the main table. As flow_insert. */
static __always_inline int flow_create(struct packet *pkt, __u32 is_reply)
{
	struct flow_scratch *scratch = scratch_get();

	if (!scratch)
		return -1;
	pkt->flow = flow_number(scratch);
	flow_write(&scratch->value4.flow, pkt, is_reply);
	return flow_insert(pkt, HOME_MAIN);
}

#endif
