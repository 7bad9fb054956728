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
#include "policy.h"
#include "proof.h"
#include "sock.h"

/* A refusal and whose it is, as one number; 0 = none. */
#define REFUSAL(subject, reason) ((subject) << 8 | (reason))
#define REFUSAL_SUBJECT(refusal) ((refusal) >> 8)
#define REFUSAL_REASON(refusal) ((refusal) & 0xff)

static __always_inline bool subject_is_present(const struct packet *pkt, __u32 i)
{
	return pkt->subject[i].flags & SUBJECT_PRESENT;
}

/* Every subject judges the connection as new, the pod first; all must allow. 0, or the first refusal. */
static __always_inline int judge_all(struct packet *pkt, __u32 is_reply)
{
	int reason;

	if (subject_is_present(pkt, SUBJECT_POD)) {
		reason = policy_judge(pkt, SUBJECT_POD, is_reply);
		if (reason)
			return REFUSAL(SUBJECT_POD, reason);
	}
	if (subject_is_present(pkt, SUBJECT_HOST)) {
		reason = policy_judge(pkt, SUBJECT_HOST, is_reply);
		if (reason)
			return REFUSAL(SUBJECT_HOST, reason);
	}
	return 0;
}

/* Tells people of what one subject allowed as new. */
static __always_inline void announce(const struct packet *pkt, __u32 i)
{
	const struct judgement *judged = &pkt->judged[i];
	__u32 type = judged->bits & JUDGED_FAILSAFE ? EVENT_FAILSAFE : EVENT_VERDICT;

	if (pkt->subject[i].flags & SUBJECT_OPEN || !(judged->bits & JUDGED_NOW))
		return;
	count(STAT_FLOW_NEW, 1);
	if (!(judged->bits & JUDGED_FAILSAFE))
		rule_flow(judged->origin);
	event_emit(pkt, i, type, judged->audited);
}

static __always_inline void announce_all(const struct packet *pkt)
{
	for (__u32 i = 0; i < SUBJECTS; i++) {
		if (subject_is_present(pkt, i))
			announce(pkt, i);
	}
}

/* The path by which a packet passed that was judged as new. */
static __always_inline int pass_new(const struct packet *pkt)
{
	__u8 bits = pkt->judged[0].bits | pkt->judged[1].bits;

	if (bits & JUDGED_FAILSAFE)
		return pass(STAT_PASS_FAILSAFE);
	if ((pkt->subject[0].flags | pkt->subject[1].flags) & SUBJECT_OPEN)
		return pass(STAT_PASS_UNENFORCED);
	if (pkt->flags & PKT_FORWARDED)
		return pass(STAT_PASS_FORWARDED);
	return pass(STAT_PASS_NEW);
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
	struct live_state *state = live_get();
	int rc;

	if (!pkt || !flow || !scratch || !state)
		return 0;
	scratch->value4.flow = *flow;
	scratch->value4.flow.flags |= FLOW_PROVEN;
	if (pkt->family == 4) {
		rc = flow_insert4(pkt, scratch, state, HOME_MAIN);
		if (!rc)
			bpf_map_delete_elem(&unproven4, &scratch->key4);
	} else {
		rc = flow_insert6(pkt, scratch, state, HOME_MAIN);
		if (!rc)
			bpf_map_delete_elem(&unproven6, &scratch->key6);
	}
	if (!rc)
		count(STAT_FLOW_PROVEN, 1);
	return 0;
}

/* Notes what an unproven record's packet shows; true once the initiator has proved itself. */
static __always_inline bool proof_advance(struct __sk_buff *skb, struct packet *pkt,
					  struct unproven_value *unproven, bool is_reply)
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
 * One subject's word on a packet of a live record: the cached verdict while it is current, else a new one,
 * kept in the cell. 0, or a refusal. `must_judge`: an unproven record's forward packets are judged each time.
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
		return REFUSAL(SUBJECT_HOST, DROP_INTERNAL);
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
		reason = policy_judge(pkt, i, is_reply);
		/* Not the policy's word: the record stays as it is, for its replies and for afterwards. */
		if (reason && subject->flags & SUBJECT_LOCKED)
			return REFUSAL(i, reason);
		if (reason == DROP_POLICY_DENIED && before == VERDICT_ALLOW &&
		    flow->cell_flags[cell] & CELL_KEEP) {
			judged->verdict = VERDICT_ALLOW; /* it outlives its rule */
			judged->flags = flow->cell_flags[cell];
			judged->origin = flow->origin[cell];
			reason = 0;
		}
		flow_store_verdict(flow, pkt, i, cell);
		if (!reason && before == VERDICT_NONE)
			announce(pkt, i);
	}
	BOUND_TO_BIT(cell);
	if (!reason) {
		if (judged->audited && before != VERDICT_NONE && !was_audited) {
			if (was_admitted || flow->flags & FLOW_REVOKED)
				judged->audited = DROP_FLOW_REVOKED;
			flow->verdict[cell] = judged->verdict;
			event_emit(pkt, i, EVENT_VERDICT, judged->audited);
		}
		return 0;
	}
	flow->verdict[cell] &= 0xf;
	if (was_admitted && !must_judge)
		flow->flags |= FLOW_REVOKED;
	if (flow->flags & FLOW_REVOKED && reason_is_policy(reason))
		reason = DROP_FLOW_REVOKED;
	return REFUSAL(i, reason);
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

/* The packet's marks on its record, apart: the verifier need not follow them for each table. */
__noinline int flow_touch(struct flow *flow, const struct packet *pkt, __u32 is_reply)
{
	if (!flow || !pkt)
		return 0;
	if (!(pkt->flags & PKT_SYN))
		flow->flags = flow_flags_next(flow->flags & ~FLOW_REVOKED, pkt, is_reply & 1);
	flow_count(flow, pkt, is_reply & 1, now_seconds());
	return 0;
}

/* A packet of a live record. `unproven` is the same record where it stands in that table. */
__noinline int flow_continue(struct __sk_buff *skb, struct packet *pkt, struct flow *flow,
			     struct unproven_value *unproven, __u32 reply)
{
	bool is_proven, is_reply = reply & 1;
	int refusal = 0;

	if (!pkt || !flow)
		return TC_ACT_SHOT;
	pkt->flow = flow->number;
	if (is_reply)
		pkt->flags |= PKT_REPLY;
	if (pkt->flags & PKT_SYN) {
		/* Judged as new already. Only what is over anyway begins again: a forged SYN ends nothing. */
		if (flow->flags & FLOW_RST || (flow->flags & FLOW_FIN_BOTH) == FLOW_FIN_BOTH) {
			flow_write(flow, pkt, 0);
			audited_count(pkt);
			announce_all(pkt);
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
			return drop_for(pkt, REFUSAL_SUBJECT(refusal), REFUSAL_REASON(refusal));
	}
	audited_count(pkt);
	is_proven = unproven && proof_advance(skb, pkt, unproven, is_reply);
	flow_touch(flow, pkt, is_reply);
	if (is_proven)
		flow_promote(pkt, flow);
	return pass(is_reply ? STAT_PASS_REPLY : STAT_PASS_ESTABLISHED);
}

/* Which way a TCP packet without record travels; more than that the flags and sockets do not tell. */
static __always_inline bool orient_tcp(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);
	int answer;

	if (pkt->tcp_flags & TCP_RST) { /* judged as an answer; never begins a flow */
		pkt->flags |= PKT_NO_RECORD;
		return true;
	}
	if (!subject_is_present(pkt, SUBJECT_HOST)) {
		if (pkt->tcp_flags & TCP_SYN)
			proof_note_reply(skb, pkt, 0, 0);
		return pkt->tcp_flags & TCP_SYN;
	}
	if (pkt->tcp_flags & TCP_SYN && dir == DIR_EGRESS) {
		proof_note_reply(skb, pkt, 0,
				 0); /* under SYN cookies nothing else stands behind it */
		return true;
	}
	answer = sock_orient_tcp(skb, pkt, dir);
	if (answer != SOCK_UNKNOWN) {
		pkt->flags |= PKT_SOCKET;
		count(STAT_FLOW_SEEDED, 1);
	}
	if (pkt->tcp_flags & TCP_SYN) {
		if (answer == SOCK_UNKNOWN)
			pkt->flags |= PKT_NO_RECORD; /* nobody here asked */
		return true;
	}
	if (answer == SOCK_INBOUND)
		return dir == DIR_EGRESS;
	if (answer == SOCK_OUTBOUND)
		return dir == DIR_INGRESS;
	return false;
}

/*
 * Is this datagram's port one that the node asks from? Then who began is asked of its sockets even where the
 * datagram may pass: a record of the wrong orientation would be refused once policy changes, and for as long
 * as both ends go on. Ports of services cost no lookup.
 */
static __always_inline bool port_asks(const struct packet *pkt)
{
	__u16 port = bpf_ntohs(pkt->dport);

	return pkt->proto == IPPROTO_UDP && port >= cfg_local_port_first &&
	       port <= cfg_local_port_last;
}

/* A datagram refused as new may still answer a connected socket that we have no record of. */
static __always_inline bool answers_udp_socket(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);

	if (pkt->proto != IPPROTO_UDP || pkt->flags & PKT_NO_PORTS || dir != DIR_INGRESS ||
	    !subject_is_present(pkt, SUBJECT_HOST))
		return false;
	if (sock_orient_udp(skb, pkt, dir) != SOCK_OUTBOUND)
		return false;
	pkt->flags |= PKT_SOCKET;
	count(STAT_FLOW_SEEDED, 1);
	return true;
}

/* Does a datagram of the node's without record answer a peer, from a server's socket connected to it? */
static __always_inline bool answers_udp_peer(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);

	if (pkt->flags & PKT_NO_PORTS || dir != DIR_EGRESS ||
	    !subject_is_present(pkt, SUBJECT_HOST) || !udp_port_serves(pkt->sport) ||
	    sock_orient_udp(skb, pkt, dir) != SOCK_INBOUND)
		return false;
	pkt->flags |= PKT_SOCKET;
	count(STAT_FLOW_SEEDED, 1);
	return true;
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

/* A packet without a live record. */
__noinline int flow_begin(struct __sk_buff *skb, struct packet *pkt, struct flow *expired)
{
	bool is_reply = false;
	__u32 home = HOME_MAIN;
	int refusal, rc;

	if (!pkt)
		return TC_ACT_SHOT;
	if (!(pkt->flags & PKT_SYN)) {
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
		if (refusal)
			return drop_for(pkt, REFUSAL_SUBJECT(refusal), REFUSAL_REASON(refusal));
	}
	if (pkt->flags & PKT_FROM_WIRE && address_is_local(&pkt->saddr, pkt->family))
		return drop(pkt, DROP_SPOOFED_LOCAL_SOURCE);
	if (!(pkt->flags & PKT_NO_RECORD)) {
		if (!initiator_is_here(pkt, is_reply) && !(pkt->flags & PKT_SOCKET))
			home = HOME_UNPROVEN;
		if (home == HOME_UNPROVEN || !expired || !flow_take_over(expired, pkt, is_reply)) {
			rc = flow_create(pkt, is_reply, home);
			if (rc > 0 && expired) /* the dead one is still in the way */
				rc = flow_create(pkt, is_reply, HOME_OVERFLOW);
			if (rc < 0 && record_is_indispensable(pkt, is_reply))
				return drop(pkt, DROP_CT_FULL);
		}
	}
	audited_count(pkt);
	announce_all(pkt);
	return pass_new(pkt);
}

/* A record that this packet may continue: not one that another's echo request would make an answer. */
static __always_inline bool flow_fits(const struct packet *pkt, const struct flow *flow,
				      bool swapped)
{
	bool is_reply = swapped != !!(flow->flags & FLOW_INITIATOR);

	return !(pkt->flags & (is_reply ? PKT_ICMP_REQUEST : PKT_ICMP_REPLY));
}

/* The packet's way from the flow table to its verdict. A plain SYN has been judged. */
__noinline int flow_track(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();
	struct flow *flow = NULL, *expired = NULL;
	struct unproven_value *unproven = NULL;
	struct flow_scratch *scratch = scratch_get();
	bool swapped;

	if (!pkt || !state || !scratch)
		return TC_ACT_SHOT;
	if (pkt->flags & PKT_NO_RECORD)
		return flow_begin(skb, pkt, NULL);

	swapped = key_make(pkt);
	if (!(pkt->flags & PKT_MISS))
		flow = pkt->family == 4 ? flow_main4(&scratch->key4) : flow_main6(&scratch->key6);
	if (!flow || !flow_lives(flow, pkt->proto, false)) {
		expired = flow;
		flow = NULL;
		if (state->unproven_used[pkt->family != 4])
			unproven = pkt->family == 4
					   ? bpf_map_lookup_elem(&unproven4, &scratch->key4)
					   : bpf_map_lookup_elem(&unproven6, &scratch->key6);
		if (!unproven && state->overflow_used[pkt->family != 4])
			flow = pkt->family == 4 ? bpf_map_lookup_elem(&overflow4, &scratch->key4)
						: bpf_map_lookup_elem(&overflow6, &scratch->key6);
	}
	if (unproven)
		flow = &unproven->flow;
	if (!flow || !flow_lives(flow, pkt->proto, unproven != NULL))
		return flow_begin(skb, pkt, expired);
	if (!flow_fits(pkt, flow, swapped)) {
		pkt->flags |= PKT_NO_RECORD;
		return flow_begin(skb, pkt, NULL);
	}
	return flow_continue(skb, pkt, flow, unproven, swapped != !!(flow->flags & FLOW_INITIATOR));
}

/*
 * What happens to the packet, once the hook has filled in subjects and identities. Policy judges a plain
 * SYN before the flow table is asked: a forged one costs no cold miss.
 */
static __always_inline int flow_decide(struct __sk_buff *skb, struct packet *pkt)
{
	if (pkt->flags & PKT_SYN) {
		int refusal = judge_all(pkt, 0);

		if (refusal)
			return drop_now(pkt, REFUSAL_SUBJECT(refusal), REFUSAL_REASON(refusal));
	}
	return flow_track(skb, pkt);
}

#endif
