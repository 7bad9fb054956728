// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The stages, which all hooks share, each a program that is tail-called: so they are loaded once, and rare work
 * weighs on nobody's path. Frames of a rare kind; what fragments and ICMP errors belong to; whose packet it is,
 * its record and the judgement; what is told of it.
 */
#include "lib/frame_skb.h"
#include "lib/parse.h"
#include "lib/decide.h"
#include "lib/device.h"
#include "lib/host.h"
#include "lib/icmp.h"
#include "lib/intake.h"
#include "lib/pod.h"
#include "lib/protocol.h"
#include "lib/report.h"
#include "lib/sanity.h"
#include "lib/stage.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Every frame that a hook could not take in. */
static __always_inline int parse_way(struct __sk_buff *skb, struct packet *pkt)
{
	bool is_host = pkt->owner == SUBJECT_HOST;
	int rc = intake_full(skb, pkt, pkt->has_ethernet);

	if (rc == PARSE_NON_IP && !(is_host && ethertype_is_refused(pkt->dport)))
		return STAT_PASS_NON_IP;
	if (is_host && vlan_has_program(pkt))
		return STAT_PASS_FORWARDED;
	return rc == PARSE_NON_IP ? -DROP_UNSUPPORTED_L2 : rc;
}

SEC("tc")
int stage_parse(struct __sk_buff *skb)
{
	struct packet *pkt = packet_get();

	if (!pkt)
		return TC_ACT_SHOT;
	pkt->way = parse_way(skb, pkt);
	if (pkt->way > 0)
		return pass(pkt->way);
	bpf_tail_call_static(skb, &stages, STAGE_DECIDE);
	return stage_missed(pkt);
}

static __always_inline int relate_way(struct __sk_buff *skb, struct packet *pkt)
{
	bool is_pod = pkt->owner == SUBJECT_POD;

	if (pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		frag_track(pkt);
	if (pkt->flags & PKT_FORWARDED)
		return WAY_FLOW;
	if (is_pod && icmp_is_frag_needed(pkt))
		return STAT_PASS_BUILTIN;
	if (pkt->flags & PKT_ICMP_ERROR && icmp_is_related(skb, pkt))
		return STAT_PASS_RELATED;
	if (is_pod && protocol_is_unknown(pkt) && !(pkt->subject[SUBJECT_POD].flags & SUBJECT_OPEN))
		return -DROP_UNKNOWN_L4;
	return WAY_FLOW;
}

SEC("tc")
int stage_relate(struct __sk_buff *skb)
{
	struct packet *pkt = packet_get();

	if (!pkt)
		return TC_ACT_SHOT;
	pkt->is_related = true;
	pkt->way = relate_way(skb, pkt);
	if (pkt->way > 0)
		return pass(pkt->way);
	bpf_tail_call_static(skb, &stages, STAGE_DECIDE);
	return stage_missed(pkt);
}

/* Whose packet it is, and what its subjects say. */
static __always_inline int decide_way(struct __sk_buff *skb, struct packet *pkt)
{
	int way = pkt->way;

	if (!pkt->is_related)
		way = pkt->owner == SUBJECT_HOST ? host_way(skb, pkt) : pod_way(skb, pkt);
	if (way == WAY_FLOW)
		return flow_way(skb, pkt);
	/* By way of memory: the verifier need not follow what comes for each constant. */
	*(volatile __s16 *)&pkt->way = way;
	return *(volatile __s16 *)&pkt->way;
}

SEC("tc")
int stage_decide(struct __sk_buff *skb)
{
	struct packet *pkt = packet_get();
	int way;

	if (!pkt)
		return TC_ACT_SHOT;
	way = decide_way(skb, pkt);
	if (way == WAY_RELATE) {
		bpf_tail_call_static(skb, &stages, STAGE_RELATE);
		return stage_missed(pkt);
	}
	if (report_is_due(pkt, way)) {
		pkt->way = way;
		bpf_tail_call_static(skb, &stages, STAGE_REPORT);
		count(STAT_EVENT_LOST, 1); /* never the packet's concern */
	}
	return way < 0 ? TC_ACT_SHOT : pass(way);
}

SEC("tc")
int stage_report(struct __sk_buff *skb)
{
	struct packet *pkt = packet_get();

	if (!pkt)
		return TC_ACT_SHOT;
	if (report_one(pkt))
		bpf_tail_call_static(skb, &stages, STAGE_REPORT);
	return pkt->way < 0 ? TC_ACT_SHOT : pass(pkt->way);
}
