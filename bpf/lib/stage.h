/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From one program to the next. What becomes of a packet is one number, its way: below 0 the reason for which
 * it is refused, above 0 the counter of the path by which it passes, else where to go on.
 *
 *     hook ──▶ parse? ──▶ decide ──▶ report?
 *                          ▲ │
 *                          relate?
 */
#ifndef MERLON_STAGE_H
#define MERLON_STAGE_H

#include "event.h"
#include "intake.h"
#include "packet.h"

#define WAY_FLOW 0               /* to the flow table */
#define WAY_RELATE STAT_MAX      /* first find what it belongs to */
#define WAY_JUDGE (STAT_MAX + 1) /* it is the node's: not decided yet */

/* Refused by this subject's judgement. */
static __always_inline int refuse(struct packet *pkt, __u32 subject, int reason)
{
	pkt->refuser = subject;
	return -reason;
}

/* Where no stage is the packet stops, and that is counted. */
static __always_inline int stage_missed(const struct packet *pkt)
{
	refusal_count(pkt, DROP_MISSED_TAIL_CALL);
	return TC_ACT_SHOT;
}

/* Goes on with a packet that its hook has noted. */
static __always_inline int stage_begin(struct __sk_buff *skb, struct packet *pkt, bool has_ethernet)
{
	if (intake_common(skb, pkt, has_ethernet)) {
		bpf_tail_call_static(skb, &stages, STAGE_DECIDE);
		return stage_missed(pkt);
	}
	pkt->has_ethernet = has_ethernet;
	bpf_tail_call_static(skb, &stages, STAGE_PARSE);
	return stage_missed(pkt);
}

#endif
