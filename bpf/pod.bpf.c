// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The node's side of a pod's device. The established packet of the common kind ends here; every other is noted,
 * and decided by the stages.
 */
#include "lib/frame_skb.h"
#include "lib/device.h"
#include "lib/fast.h"
#include "lib/intake.h"
#include "lib/stage.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Notes the packet for the stages that follow. */
static __always_inline int pod_begin(struct __sk_buff *skb, enum direction dir, __u32 slot,
				     __u32 index, const struct endpoint *endpoint, bool is_missed,
				     const struct subject *pod)
{
	struct packet *pkt = packet_room();

	if (!pkt)
		return TC_ACT_SHOT;
	intake_begin(pkt, skb, dir, SUBJECT_POD);
	pkt->subject[SUBJECT_POD] = *pod;
	pkt->slot = slot;
	pkt->endpoint_index = index;
	pkt->endpoint = endpoint->id;
	if (dir == DIR_EGRESS)
		pkt->src_identity = endpoint->identity;
	else
		pkt->dst_identity = endpoint->identity;
	if (is_missed)
		pkt->flags |= PKT_MISS;
	if (dir == DIR_INGRESS)
		mark_ignore(skb);
	return stage_begin(skb, pkt, true);
}

/* The established packet: the pod's cell, and the node's where both judge. */
static __always_inline bool pod_fast(struct __sk_buff *skb, const struct fast *fast,
				     enum direction dir, __u32 generation, int *action)
{
	struct live_state *state = live_get();
	__u32 now = now_seconds(), is_reply, cell;
	struct subject host = {};

	if (!fast->flow || !state)
		return false;
	is_reply = fast_is_reply(fast);
	if (!fast_is_steady(fast, is_reply, now))
		return false;
	cell = dir ^ is_reply;
	if (!fast_allows(fast->flow, cell, generation, state, fast->bucket))
		return false;
	if (fast->flow->flags & FLOW_HOST) {
		subject_add_host(&host);
		if (!fast_allows(fast->flow, cell ^ 1, host.generation, state, fast->own_bucket))
			return false;
	}
	*action = fast_pass(skb, fast->flow, is_reply, now);
	return true;
}

static __always_inline int handle_pod(struct __sk_buff *skb, enum direction dir)
{
	__u32 ifindex = skb->ifindex, index, slot;
	struct endpoint *endpoint;
	struct device *device;
	struct subject pod = {};
	struct fast fast = {};
	int action;

	device = device_get(ifindex);
	if (!device)
		return pass(STAT_PASS_UNENFORCED);
	/* Numbers, not the record: the verifier would walk the rest for either table that it may be from. */
	index = device->endpoint;
	slot = device->slot;
	endpoint = bpf_map_lookup_elem(&endpoints, &index);
	if (!endpoint || !index)
		return pass(STAT_PASS_UNENFORCED); /* attached before its endpoint is known */
	subject_pod(&pod, endpoint);
	fast_find(skb, &fast, true, dir, dir == DIR_EGRESS ? endpoint : NULL);
	if (pod_fast(skb, &fast, dir, pod.generation, &action))
		return action;
	return pod_begin(skb, dir, slot, index, endpoint, fast.was_looked_up && !fast.flow, &pod);
}

/* To the pod: egress hook of its device. */
SEC("tc")
int pod_ingress(struct __sk_buff *skb)
{
	return handle_pod(skb, DIR_INGRESS);
}

/* From the pod: ingress hook of its device. */
SEC("tc")
int pod_egress(struct __sk_buff *skb)
{
	mark_clear(skb);
	return handle_pod(skb, DIR_EGRESS);
}
