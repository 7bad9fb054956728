// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Devices that lead out of the machine. The established packet of the common kind ends here; every other is
 * noted, and decided by the stages.
 */
#include "lib/frame_skb.h"
#include "lib/fast.h"
#include "lib/intake.h"
#include "lib/stage.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Notes the packet for the stages that follow. */
static __always_inline int host_begin(struct __sk_buff *skb, enum direction dir, bool has_ethernet,
				      bool is_missed, const struct subject *host)
{
	struct packet *pkt = packet_room();

	if (!pkt)
		return TC_ACT_SHOT;
	intake_begin(pkt, skb, dir, SUBJECT_HOST);
	pkt->subject[SUBJECT_HOST] = *host;
	if (is_missed)
		pkt->flags |= PKT_MISS;
	if (dir == DIR_EGRESS)
		mark_ignore(skb);
	return stage_begin(skb, pkt, has_ethernet);
}

/* The established packet: one lookup, one comparison of stamps. */
static __always_inline bool host_fast(struct __sk_buff *skb, const struct fast *fast,
				      enum direction dir, __u32 generation, int *action)
{
	struct live_state *state = live_get();
	__u32 now = now_seconds(), is_reply;

	if (!fast->flow || !state)
		return false;
	is_reply = fast_is_reply(fast);
	if (!fast_is_steady(fast, is_reply, now))
		return false;
	if (!fast_allows(fast->flow, dir ^ is_reply, generation, state, fast->bucket) &&
	    !(flow_is_unjudged(fast->flow) &&
	      (dir == DIR_INGRESS ? is_reply : skb->ingress_ifindex)))
		return false;
	*action = fast_pass(skb, fast->flow, is_reply, now);
	return true;
}

static __always_inline int handle_host(struct __sk_buff *skb, enum direction dir, bool has_ethernet)
{
	struct subject host = {};
	struct fast fast = {};
	int action;

	if (dir == DIR_INGRESS) {
		mark_clear(skb);
		if (skb->pkt_type == PKT_TYPE_LOOPBACK || skb->pkt_type == PKT_TYPE_OTHERHOST)
			return pass(STAT_PASS_FORWARDED);
	}
	subject_host(&host);
	/* What merely passes has a source elsewhere and most often no record of the node's. */
	if (dir == DIR_INGRESS || !skb->ingress_ifindex)
		fast_find(skb, &fast, has_ethernet, dir, NULL);
	if (host_fast(skb, &fast, dir, host.generation, &action))
		return action;
	return host_begin(skb, dir, has_ethernet, fast.was_looked_up && !fast.flow, &host);
}

SEC("tc")
int host_ingress(struct __sk_buff *skb)
{
	return handle_host(skb, DIR_INGRESS, true);
}

SEC("tc")
int host_egress(struct __sk_buff *skb)
{
	return handle_host(skb, DIR_EGRESS, true);
}

SEC("tc")
int host_ingress_l3(struct __sk_buff *skb)
{
	return handle_host(skb, DIR_INGRESS, false);
}

SEC("tc")
int host_egress_l3(struct __sk_buff *skb)
{
	return handle_host(skb, DIR_EGRESS, false);
}
