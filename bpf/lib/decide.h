/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The full path of a packet through the flow table, once a hook knows its subjects: find the record, judge
 * what is stale or new, keep the record, report (HF-3.2, 3.3, 3.7, 3.9). Established packets of the common
 * kind never come here: fast.h.
 */
#ifndef MERLON_DECIDE_H
#define MERLON_DECIDE_H

#include "ct.h"
#include "event.h"
#include "frag.h"
#include "orient.h"
#include "policy.h"
#include "proof.h"
#include "sanity.h"
#include "sock.h"
#include "stage.h"
#include "unproven.h"

/* Every subject judges the connection as new, the pod first; all must allow. 0, or the refusal (stage.h). */
static __always_inline int judge_all(struct packet *pkt, __u32 is_reply)
{
	__u32 i = SUBJECT_POD;
	int reason;

#pragma clang loop unroll(disable)
	for (int n = 0; n < SUBJECTS; n++, i ^= 1) {
		BOUND_TO_BIT(i);
		if (!subject_is_present(pkt, i))
			continue;
		reason = policy_judge(pkt, i, is_reply);
		if (reason)
			return refuse(pkt, i, reason);
	}
	return 0;
}

/* People get to know what one subject allowed as new. */
static __always_inline void tell(struct packet *pkt, __u32 i)
{
	if (!(pkt->subject[i].flags & SUBJECT_OPEN) && pkt->judged[i].bits & JUDGED_NOW)
		pkt->judged[i].bits |= JUDGED_NEW;
}

/* A packet passes that was judged as new: by which path, and people get to know. */
static __always_inline int pass_new(struct packet *pkt)
{
	__u8 bits = pkt->judged[0].bits | pkt->judged[1].bits;

	tell(pkt, SUBJECT_POD);
	tell(pkt, SUBJECT_HOST);

	if (bits & JUDGED_FAILSAFE)
		return STAT_PASS_FAILSAFE;
	if ((pkt->subject[0].flags | pkt->subject[1].flags) & SUBJECT_OPEN)
		return STAT_PASS_UNENFORCED;
	if (pkt->flags & PKT_FORWARDED)
		return STAT_PASS_FORWARDED;
	return STAT_PASS_NEW;
}

/* Is the end that began the connection of this node? Then it needs no proof (HF-1.18). */
static __always_inline bool initiator_is_here(const struct packet *pkt, bool is_reply)
{
	bool is_towards_owner = pkt->dir == DIR_INGRESS;

	if (subject_is_present(pkt, 0) && subject_is_present(pkt, 1))
		return true;
	if (is_towards_owner == is_reply)
		return true; /* the owner of the hook began */
	return pkt->flags & (is_reply ? PKT_DST_ENDPOINT : PKT_SRC_ENDPOINT);
}

/* Moves a proven record to the main table; while an expired one is still there, a later packet does. */
__noinline int flow_promote(const struct packet *pkt, const struct flow *flow)
{
	struct flow_scratch *scratch = scratch_get();

	if (!pkt || !flow || !scratch)
		return 0;
	scratch->value4.flow = *flow;
	scratch->value4.flow.flags |= FLOW_PROVEN;
	if (flow_insert(pkt, HOME_MAIN))
		return 0;
	unproven_find(pkt->family != 4, true);
	count(STAT_FLOW_PROVEN, 1);
	return 0;
}

/* Notes what an unproven record's packet shows; true once the initiator has proved itself. */
static __always_inline bool proof_advance(struct __sk_buff *skb, struct packet *pkt,
					  struct unproven *unproven, bool is_reply)
{
	if (pkt->proto != IPPROTO_TCP)
		return !is_reply && unproven->flow.flags & FLOW_SEEN_REPLY;
	if (!is_reply)
		return proof_is_given(skb, pkt, unproven->resp_first, unproven->resp_end);
	proof_note_reply(skb, pkt, unproven->resp_first, unproven->resp_end);
	unproven->resp_first = pkt->resp_first;
	unproven->resp_end = pkt->resp_end;
	return false;
}

/*
 * One subject's new word on a packet of a live record, kept in the cell; 0 passes, else the drop reason. Apart:
 * the verifier need not follow it for each way here.
 */
__noinline int flow_judge_anew(struct packet *pkt, struct flow *flow, __u32 i, __u32 is_reply)
{
	struct judgement *judged;
	__u32 cell;
	__u8 before;
	int reason;

	if (!pkt || !flow)
		return DROP_INTERNAL;
	BOUND_TO_BIT(i);
	cell = subject_dir(pkt, i) ^ is_reply;
	BOUND_TO_BIT(cell);
	judged = &pkt->judged[i];
	before = flow->verdict[cell] & 0xf;
	reason = policy_judge(pkt, i, is_reply);
	/* Not the policy's word: the record stays as it is, for its replies and for afterwards. */
	if (reason && pkt->subject[i].flags & SUBJECT_LOCKED)
		return reason;
	if (reason == DROP_POLICY_DENIED && before == VERDICT_ALLOW &&
	    flow->cell_flags[cell] & CELL_KEEP) {
		judged->verdict = VERDICT_ALLOW; /* it outlives its rule */
		judged->flags = flow->cell_flags[cell];
		judged->origin = flow->origin[cell];
		reason = 0;
	}
	flow_store_verdict(flow, pkt, i, cell);
	if (!reason && before == VERDICT_NONE)
		tell(pkt, i);
	return reason;
}

/*
 * One subject's word on a packet of a live record: the cached verdict while it is current, else a new one,
 * kept in the cell. 0, or the refusal. `must_judge`: an unproven record's forward packets are judged each time.
 */
__noinline int flow_judge(struct packet *pkt, struct flow *flow, __u32 i, __u32 reply,
			  __u32 must_judge)
{
	const struct live_state *state = live_get();
	bool is_reply = reply & 1, was_admitted, was_audited;
	struct judgement *judged;
	struct subject *subject;
	__u32 dir, cell, bucket;
	__u8 before;
	int reason;

	if (!pkt || !flow || !state || i >= SUBJECTS)
		return -DROP_INTERNAL;
	BOUND_TO_BIT(i);
	subject = &pkt->subject[i];
	judged = &pkt->judged[i];
	if (!(subject->flags & SUBJECT_PRESENT))
		return 0;
	dir = subject_dir(pkt, i);
	cell = dir ^ is_reply;
	BOUND_TO_BIT(cell);
	before = flow->verdict[cell] & 0xf;
	was_audited = flow->verdict[cell] >> 4;
	was_admitted = before == VERDICT_ALLOW || was_audited;
	bucket = epoch_bucket(dir == DIR_INGRESS ? &pkt->saddr : &pkt->daddr, pkt->family);
	if (subject->flags & SUBJECT_LOCKED && is_reply && before == VERDICT_ALLOW)
		return 0;
	if (is_reply && flow_is_unjudged(flow))
		return 0;
	if (before != VERDICT_NONE && !must_judge &&
	    !(i == SUBJECT_HOST && cell == DIR_INGRESS && family_is_disabled(pkt->family)) &&
	    stamp_is_current(&flow->stamp[cell], subject->generation, state, bucket)) {
		judged->origin = flow->origin[cell];
		judged->verdict = before;
		judged->flags = flow->cell_flags[cell];
		reason = verdict_reason(before);
		if (audit_takes(judged, subject, reason))
			reason = 0;
	} else {
		reason = flow_judge_anew(pkt, flow, i, is_reply);
		if (reason && subject->flags & SUBJECT_LOCKED)
			return refuse(pkt, i, reason);
	}
	BOUND_TO_BIT(cell);
	if (!reason) {
		if (judged->audited && before != VERDICT_NONE && !was_audited) {
			if (was_admitted || flow->flags & FLOW_REVOKED)
				judged->audited = DROP_FLOW_REVOKED;
			flow->verdict[cell] = judged->verdict;
			judged->bits |= JUDGED_AUDITED;
		}
		return 0;
	}
	flow->verdict[cell] &= 0xf;
	if (was_admitted && !must_judge)
		flow->flags |= FLOW_REVOKED;
	if (flow->flags & FLOW_REVOKED && reason_is_policy(reason))
		reason = DROP_FLOW_REVOKED;
	return refuse(pkt, i, reason);
}

/*
 * Is this the first packet of a connection on its way past the second subject? Another hook of this node
 * made the record then, and this subject's cell is still empty.
 */
static __always_inline bool is_first_word(const struct packet *pkt, const struct flow *flow,
					  __u32 i)
{
	return subject_is_present(pkt, i) && flow->verdict[subject_dir(pkt, i)] == VERDICT_NONE;
}

/*
 * The packet's marks on its record, apart: the verifier need not follow them for each table. What one hook lets
 * pass may still be revoked at another.
 */
__noinline int flow_touch(struct flow *flow, const struct packet *pkt, __u32 is_reply)
{
	__u16 flags;

	if (!flow || !pkt)
		return 0;
	if (!(pkt->flags & PKT_SYN)) {
		flags = flow_is_admitted(flow) ? flow->flags & ~FLOW_REVOKED : flow->flags;
		flow->flags = flow_flags_next(flags, pkt, is_reply & 1);
	}
	flow_count(flow, pkt, is_reply & 1, now_seconds());
	return 0;
}

/* A packet of a live record. `unproven` is the same record where it stands in that table. */
__noinline int flow_continue(struct __sk_buff *skb, struct packet *pkt, struct flow *flow,
			     struct unproven *unproven, __u32 reply)
{
	bool is_proven, is_reply = reply & 1;
	int refusal = 0;

	if (!pkt || !flow)
		return -DROP_INTERNAL;
	pkt->flow = flow->number;
	if (is_reply)
		pkt->flags |= PKT_REPLY;
	if (pkt->flags & PKT_SYN) {
		/* Judged as new already. Only what is over anyway begins again: a forged SYN ends nothing. */
		if (flow->flags & FLOW_RST || (flow->flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH) {
			flow_write(flow, pkt, 0);
			return pass_new(pkt);
		}
		/* Judging again costs less than carrying the first judgement over; it fills the cell and tells. */
		if (!is_reply && is_first_word(pkt, flow, SUBJECT_POD))
			flow_judge(pkt, flow, SUBJECT_POD, 0, 0);
		if (!is_reply && is_first_word(pkt, flow, SUBJECT_HOST))
			flow_judge(pkt, flow, SUBJECT_HOST, 0, 0);
	} else {
		bool must_judge = unproven && !is_reply;

		refusal = flow_judge(pkt, flow, SUBJECT_POD, is_reply, must_judge);
		if (!refusal)
			refusal = flow_judge(pkt, flow, SUBJECT_HOST, is_reply, must_judge);
		if (refusal)
			return refusal;
	}
	is_proven = unproven && proof_advance(skb, pkt, unproven, is_reply);
	flow_touch(flow, pkt, is_reply);
	if (is_proven)
		flow_promote(pkt, flow);
	return is_reply ? STAT_PASS_REPLY : STAT_PASS_ESTABLISHED;
}

/* Takes an expired record over in place, unless the collector was first. */
static __always_inline bool flow_take_over(struct flow *expired, struct packet *pkt, bool is_reply)
{
	struct flow_scratch *scratch = scratch_get();
	__u32 last = *(volatile __u32 *)&expired->last_seen;

	if (last == FLOW_DEAD || !scratch ||
	    __sync_val_compare_and_swap(&expired->last_seen, last, now_seconds()) != last)
		return false;
	pkt->flow = flow_number(scratch);
	flow_write(expired, pkt, is_reply);
	return true;
}

/* Could an answer not be recognised without the record? A socket of the node's is one. */
static __always_inline bool record_is_indispensable(const struct packet *pkt, bool is_reply)
{
	if (pkt->dir != DIR_EGRESS || is_reply)
		return false;
	return pkt->owner != SUBJECT_HOST || pkt->proto != IPPROTO_TCP ||
	       pkt->flags & PKT_FORWARDED;
}

/* Who began the connection of a packet without a live record, and what its subjects say: 0, or the refusal. */
__noinline int flow_orient(struct __sk_buff *skb, struct packet *pkt)
{
	bool is_reply = false;
	int refusal;

	if (!pkt)
		return -DROP_INTERNAL;
	if (pkt->proto == IPPROTO_TCP && pkt->flags & PKT_FRAG_LATER)
		pkt->flags |= PKT_NO_RECORD;
	else if (pkt->proto == IPPROTO_TCP)
		is_reply = orient_tcp(skb, pkt);
	else if (pkt->proto == IPPROTO_UDP)
		is_reply = answers_udp_peer(skb, pkt);
	if (pkt->flags & PKT_ICMP_REPLY)
		pkt->flags |= PKT_NO_RECORD;
	refusal = judge_all(pkt, is_reply);
	if ((refusal || port_asks(pkt)) && answers_udp_socket(skb, pkt)) {
		is_reply = true;
		refusal = judge_all(pkt, is_reply);
	}
	if (is_reply)
		pkt->flags |= PKT_REPLY;
	return refusal;
}

/* Makes a record in the main table, or over the expired one. 0, or the refusal. */
static __always_inline int flow_keep(struct packet *pkt, struct flow *expired, bool is_reply)
{
	int rc;

	if (expired && flow_take_over(expired, pkt, is_reply))
		return 0;
	rc = flow_create(pkt, is_reply);
	if (rc > 0 && expired) /* the dead one is still in the way */
		rc = flow_insert(pkt, HOME_OVERFLOW);
	if (rc < 0 && record_is_indispensable(pkt, is_reply))
		return refuse(pkt, pkt->owner, DROP_CT_FULL);
	return 0;
}

/* Keeps the record of a connection that its subjects allow: the packet's way. */
__noinline int flow_begin(struct packet *pkt, struct flow *expired)
{
	bool is_reply;
	int refusal;

	if (!pkt)
		return -DROP_INTERNAL;
	is_reply = pkt->flags & PKT_REPLY;
	if (pkt->flags & PKT_FROM_WIRE && address_is_local(&pkt->saddr, pkt->family))
		return refuse(pkt, pkt->owner, DROP_SPOOFED_LOCAL_SOURCE);
	if (pkt->flags & PKT_NO_RECORD)
		return pass_new(pkt);
	if (initiator_is_here(pkt, is_reply) || pkt->flags & PKT_SOCKET) {
		refusal = flow_keep(pkt, expired, is_reply);
		if (refusal)
			return refusal;
	} else {
		unproven_create(pkt, is_reply);
	}
	return pass_new(pkt);
}

/* A packet without a live record. A plain SYN has been judged. */
static __always_inline int flow_new(struct __sk_buff *skb, struct packet *pkt, struct flow *expired)
{
	int refusal = pkt->flags & PKT_SYN ? 0 : flow_orient(skb, pkt);

	return refusal ? refusal : flow_begin(pkt, expired);
}

/* Which way the packet travels on this record; no branch for the verifier to follow. */
static __always_inline __u32 flow_is_reply(const struct flow *flow, __u32 swapped)
{
	__u32 is_reply = flow->flags ^ swapped;

	BOUND_TO_BIT(is_reply);
	return is_reply;
}

/* A record that this packet may continue: not one that another's echo request would make an answer. */
static __always_inline bool flow_fits(const struct packet *pkt, __u32 is_reply)
{
	return !(pkt->flags & (is_reply ? PKT_ICMP_REQUEST : PKT_ICMP_REPLY));
}

/* The packet's way from the flow table to its verdict. A plain SYN has been judged. */
__noinline int flow_track(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();
	struct flow *flow = NULL, *expired = NULL;
	struct unproven *unproven = NULL;
	struct flow_scratch *scratch = scratch_get();
	__u32 swapped, is_reply;
	bool is_v6;

	if (!pkt || !state || !scratch)
		return -DROP_INTERNAL;
	if (pkt->flags & PKT_NO_RECORD)
		return flow_new(skb, pkt, NULL);

	is_v6 = pkt->family != 4;
	swapped = key_make(pkt);
	if (!(pkt->flags & PKT_MISS))
		flow = is_v6 ? flow_main6(&scratch->key6) : flow_main4(&scratch->key4);
	if (!flow || !flow_lives(flow, pkt->proto, false)) {
		expired = flow;
		flow = NULL;
		unproven = unproven_lookup(scratch, is_v6);
		if (unproven)
			flow = &unproven->flow;
		else if (state->overflow_used[is_v6])
			flow = is_v6 ? bpf_map_lookup_elem(&overflow6, &scratch->key6)
				     : bpf_map_lookup_elem(&overflow4, &scratch->key4);
		if (!flow || !flow_lives(flow, pkt->proto, unproven != NULL))
			return flow_new(skb, pkt, expired);
	}
	is_reply = flow_is_reply(flow, swapped);
	if (flow_fits(pkt, is_reply))
		return flow_continue(skb, pkt, flow, unproven, is_reply);
	pkt->flags |= PKT_NO_RECORD;
	return flow_new(skb, pkt, NULL);
}

/*
 * What becomes of the packet, once its hook has filled in subjects and identities: its way. Policy judges a
 * plain SYN before the flow table is asked: a forged one costs no cold miss.
 */
static __always_inline int flow_way(struct __sk_buff *skb, struct packet *pkt)
{
	if (is_plain_syn(pkt)) {
		int refusal = judge_all(pkt, 0);

		pkt->flags |= PKT_SYN;
		if (refusal)
			return refusal;
	}
	return flow_track(skb, pkt);
}

#endif
