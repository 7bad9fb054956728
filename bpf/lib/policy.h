/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policy: identity → class → row, port → class → column, one cell. All precedence was resolved by the
 * compiler; the price is the same for ten rules and ten thousand.
 */
#ifndef MERLON_POLICY_H
#define MERLON_POLICY_H

#include "control.h"
#include "failsafe.h"
#include "ipcache.h"
#include "packet.h"
#include "time.h"

/* Entry `index` of a packed u16 array that begins at word `base` of a map. */
#define PACKED_U16(map, base, index, out)                                   \
	({                                                                  \
		__u32 __word = (base) + ((index) >> 2);                     \
		__u64 *__value = bpf_map_lookup_elem(map, &__word);         \
		if (__value)                                                \
			*(out) = *__value >> (((index) & 3) * 16) & 0xffff; \
		__value != NULL;                                            \
	})

static __always_inline __u32 policy_class(__u32 identity)
{
	__u32 page = 0, class = CLASS_UNKNOWN, index;

	if (identity >> IDENTITY_PAGE_BITS < IDENTITY_PAGES_TOP)
		PACKED_U16(&identity_page, 0, identity >> IDENTITY_PAGE_BITS, &page);
	index = page << IDENTITY_PAGE_BITS | (identity & ((1 << IDENTITY_PAGE_BITS) - 1));
	PACKED_U16(&identity_class, 0, index, &class);
	return class;
}

/* Where the connection stands in the flat array of ports; `port` is the responder's. */
static __always_inline __u32 policy_port_index(const struct packet *pkt, __be16 port)
{
	if (!(pkt->flags & PKT_NO_PORTS)) {
		if (pkt->proto == IPPROTO_TCP)
			return PORT_CLASS_TCP + bpf_ntohs(port);
		if (pkt->proto == IPPROTO_UDP)
			return PORT_CLASS_UDP + bpf_ntohs(port);
		if (pkt->proto == IPPROTO_SCTP)
			return PORT_CLASS_SCTP + bpf_ntohs(port);
		if (pkt->proto == IPPROTO_ICMP && pkt->family == 4)
			return PORT_CLASS_ICMP + pkt->icmp_type;
		if (pkt->proto == PROTO_ICMP6 && pkt->family == 6)
			return PORT_CLASS_ICMP6 + pkt->icmp_type;
	}
	return PORT_CLASS_PROTO + pkt->proto;
}

/* The cell of a row and a column. The key is the caller's: one place on the stack for all its look-ups. */
static __always_inline __u64 *policy_cell_at(const struct ruleset_dir *dir, __u32 row, __u32 column,
					     __u32 *at)
{
	__u32 block;
	__u64 *starts;

	*at = dir->cells;
	if (dir->flags & RSDIR_BLOCKS) {
		block = row * ((dir->n_columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS) +
			column / BLOCK_COLUMNS;
		column = *at + column % BLOCK_COLUMNS;
		*at += block / 2;
		starts = bpf_map_lookup_elem(&arena, at);
		if (!starts)
			return NULL;
		*at = column + (__u32)(*starts >> (block & 1) * 32);
	} else {
		*at += row * dir->n_columns + column;
	}
	return bpf_map_lookup_elem(&arena, at);
}

/* The cell of (identity, port) as one word; 0 where a table is broken, which refuses. */
static __always_inline __u64 policy_cell(const struct ruleset_slot *slot,
					 const struct ruleset_dir *dir, __u32 identity,
					 __u32 port_index)
{
	__u32 class = policy_class(identity), ports = 0, row = 0, column = 0, at;
	__u64 *cell;

	PACKED_U16(&port_class, 0, port_index, &ports);
	if (class >= slot->n_classes)
		class = CLASS_UNKNOWN;
	if (ports >= slot->n_port_classes)
		ports = 0;
	if (!PACKED_U16(&arena, dir->rows, class, &row) ||
	    !PACKED_U16(&arena, dir->columns, ports, &column))
		return 0;
	cell = policy_cell_at(dir, row, column, &at);
	return cell ? *cell : 0;
}

/* The cell of every packet to the node of a family that is off. */
static __always_inline __u64 policy_family_word(__u8 family)
{
	return (family == 4 ? ORIGIN_NO_IPV4 : ORIGIN_NO_IPV6) | (__u64)VERDICT_DEFAULT_DENY << 48 |
	       (__u64)MATCH_NONE << 56;
}

static __always_inline void rule_hit(const struct packet *pkt, __u32 origin)
{
	struct rule_counter *counter = bpf_map_lookup_elem(&rule_count, &origin);

	if (!counter)
		return;
	counter->packets += pkt->segments; /* per-CPU */
	counter->bytes += pkt->length;
	counter->last_hit = now_seconds();
}

static __always_inline void rule_flow(__u32 origin)
{
	struct rule_counter *counter = bpf_map_lookup_elem(&rule_count, &origin);

	if (counter)
		counter->flows++;
}

/* A byte each, so that neither code nor verifier branches. Nothing serves a redirect yet: closed, in plain sight. */
#define REASON(verdict, reason) ((__u64)(reason) << (verdict) * 8)
#define REASONS                                                                         \
	(REASON(VERDICT_NONE, DROP_INTERNAL) | REASON(VERDICT_DENY, DROP_POLICY_DENY) | \
	 REASON(VERDICT_DEFAULT_DENY, DROP_POLICY_DENIED) |                             \
	 REASON(VERDICT_REDIRECT, DROP_L7_PROXY_UNAVAILABLE) |                          \
	 REASON(VERDICT_AUTH, DROP_AUTH_REQUIRED))

/* What a verdict means for the packet: 0 passes, else the drop reason. */
static __always_inline int verdict_reason(__u8 verdict)
{
	if ((verdict & 0xf) > VERDICT_AUTH)
		return DROP_INTERNAL;
	return REASONS >> (verdict & 0xf) * 8 & 0xff;
}

#define REASON_BIT(reason) (1ULL << ((reason) - DROP_INVALID_SOURCE_IP))
#define POLICY_REASONS                                                   \
	(REASON_BIT(DROP_POLICY_DENY) | REASON_BIT(DROP_POLICY_DENIED) | \
	 REASON_BIT(DROP_AUTH_REQUIRED) | REASON_BIT(DROP_FRAG_NOT_FOUND))

/* Refusals of policy itself; audit lets nothing else pass. */
static __always_inline bool reason_is_policy(int reason)
{
	__u32 bit = reason - DROP_INVALID_SOURCE_IP;

	return bit < 64 && POLICY_REASONS >> bit & 1;
}

/*
 * Does audit let this refusal pass? Then the reason becomes `audited`, and the verdict stands in its upper half
 * as well, which the record keeps.
 */
static __always_inline bool audit_takes(struct judgement *judged, const struct subject *subject,
					int reason)
{
	if (!reason_is_policy(reason) ||
	    !(subject->flags & SUBJECT_AUDIT || judged->flags & CELL_AUDIT))
		return false;
	judged->audited = reason;
	judged->verdict = (judged->verdict & 0xf) * 0x11;
	return true;
}

/*
 * One subject's judgement of the connection this packet belongs to, always for the tuple initiator →
 * responder. `is_reply`: the packet travels the other way. Leaves the outcome in pkt->judged; 0 passes
 * (also by audit), else the drop reason.
 */
__noinline int policy_judge(struct packet *pkt, __u32 subject_index, __u32 is_reply)
{
	__u32 cell, dir, index, identity;
	const struct ruleset_dir *rules;
	const struct ruleset_slot *slot;
	struct judgement *judged;
	struct subject *subject;
	struct ruleset *set;
	__u64 word;
	int reason;

	if (!pkt || subject_index >= SUBJECTS)
		return DROP_INTERNAL;
	subject = &pkt->subject[subject_index];
	judged = &pkt->judged[subject_index];
	dir = subject_dir(pkt, subject_index);
	cell = dir ^ (is_reply & 1);
	judged->origin = 0;
	judged->verdict = VERDICT_ALLOW;
	judged->flags = 0;
	judged->bits = JUDGED_NOW;
	judged->audited = 0;
	if (subject->flags & SUBJECT_OPEN)
		return 0;
	if (subject_index == SUBJECT_HOST && failsafe_match(pkt, subject->slot, cell, dir)) {
		judged->bits |= JUDGED_FAILSAFE;
		return 0;
	}
	count(STAT_JUDGED, 1);
	if (subject->flags & SUBJECT_LOCKED) {
		judged->verdict = VERDICT_DEFAULT_DENY;
		return DROP_POLICY_DENIED;
	}

	index = subject->ruleset;
	set = bpf_map_lookup_elem(&rulesets, &index);
	if (!set)
		return DROP_INTERNAL;
	slot = &set->slot[subject->slot % HOST_SLOTS];
	BOUND_TO_BIT(cell); /* spilled, its bound is forgotten */
	rules = &slot->dir[cell];
	if (subject_index == SUBJECT_HOST && cell == DIR_INGRESS &&
	    family_is_disabled(pkt->family)) {
		word = policy_family_word(pkt->family);
	} else if (rules->flags & (RSDIR_ENFORCED | RSDIR_STAGED)) {
		identity = dir == DIR_INGRESS ? pkt->src_identity : pkt->dst_identity;
		index = policy_port_index(pkt, is_reply ? pkt->sport : pkt->dport);
		if (is_reply &&
		    pkt->flags & PKT_ICMP_REPLY) /* the request is what policy speaks of */
			index = pkt->family == 4 ? PORT_CLASS_ICMP + (pkt->icmp_type ? 13 : 8)
						 : PORT_CLASS_ICMP6 + 128;
		word = policy_cell(slot, rules, identity, index);
	} else {
		return 0;
	}
	judged->origin = word;
	judged->verdict = word >> 48;
	judged->flags = word >> 56;
	if (rules->flags & RSDIR_AUDIT)
		judged->flags |= CELL_AUDIT;
	reason = verdict_reason(judged->verdict);
	if (!(pkt->flags & PKT_XDP)) /* tc judges again what XDP leaves to it */
		rule_hit(pkt, judged->origin);
	if (!reason && judged->verdict >> 4)
		judged->audited = verdict_reason(judged->verdict >> 4);
	if (reason == DROP_POLICY_DENIED && pkt->flags & PKT_NO_PORTS)
		reason = DROP_FRAG_NOT_FOUND;
	return audit_takes(judged, subject, reason) ? 0 : reason;
}

#endif
