// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The node's side of a pod's device. The pod is a subject of all that passes; the node is a second one of
 * what it exchanges with its own pod (HF-1.1 rows 6, 7): both must allow. Seams: proxy redirect of what
 * the pod sends, service translation before its judgement.
 */
#include "lib/frame_skb.h"
#include "lib/parse.h"
#include "lib/decide.h"
#include "lib/device.h"
#include "lib/fast.h"
#include "lib/intake.h"
#include "lib/icmp.h"
#include "lib/local.h"
#include "lib/sanity.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * May the endpoint send with this source (HF-1.18)? With its own addresses and none; link-local ones reach
 * no further than its own device.
 */
__noinline int source_is_own(const struct packet *pkt)
{
	struct endpoint_prefix_key key = { .prefixlen = 32 + 128 };
	const union address *source;
	struct endpoint *endpoint;
	__u32 index;

	if (!pkt)
		return false;
	index = pkt->endpoint_index;
	endpoint = bpf_map_lookup_elem(&endpoints, &index);
	if (!endpoint)
		return false;
	source = &pkt->saddr;
	if (address_is_unspecified(source, pkt->family))
		return true;
	if (pkt->family == 4 && source->w[3] == endpoint->addr4)
		return true;
	if (pkt->family == 6 && (address_equal(source, (const union address *)endpoint->addr6) ||
				 (source->b[0] == 0xfe && (source->b[1] & 0xc0) == 0x80)))
		return true;
	if (!(endpoint->flags & ENDPOINT_PREFIXES))
		return false;
	key.endpoint = index;
	__builtin_memcpy(key.addr, source, sizeof(key.addr));
	return bpf_map_lookup_elem(&endpoint_prefix, &key) != NULL;
}

/*
 * Protocols that pod policy has no word for (policy.md 5.1). A later fragment that names an extension header
 * hides its protocol: policy judges it by what it knows.
 */
static __always_inline bool protocol_is_unknown(const struct packet *pkt)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case PROTO_SCTP:
		return false;
	case IPPROTO_ICMP:
		return pkt->family != 4;
	case PROTO_ICMP6:
		return pkt->family != 6;
	case IPPROTO_IGMP:
	case PROTO_VRRP:
		return !cfg_extended_protocols;
	default:
		return !(pkt->flags & PKT_NO_PORTS && is_exthdr(pkt->proto));
	}
}

/* Judgement once both ends are known. */
static __always_inline int pod_judge(struct __sk_buff *skb, struct packet *pkt)
{
	if (pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		frag_track(pkt);
	if (icmp_is_frag_needed(pkt))
		return pass(STAT_PASS_BUILTIN);
	if (pkt->flags & PKT_ICMP_ERROR && icmp_is_related(skb, pkt))
		return pass(STAT_PASS_RELATED);
	if (protocol_is_unknown(pkt) && !(pkt->subject[SUBJECT_POD].flags & SUBJECT_OPEN))
		return drop(pkt, DROP_UNKNOWN_L4);
	return flow_decide(skb, pkt);
}

/* From the pod. */
static __always_inline int pod_egress_full(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();
	int rc;

	if (!pkt || !state)
		return TC_ACT_SHOT;
	pkt->clock = *(volatile __u32 *)&state->clock; /* before the first table */
	if (!source_is_own(pkt))
		return drop(pkt, DROP_INVALID_SOURCE_IP);
	rc = icmp6_pod(pkt);
	if (rc == ICMP_PASS)
		return pass(STAT_PASS_BUILTIN);
	if (rc)
		return drop(pkt, rc);
	/* seam: service translation */
	if (destination_is_local(skb, pkt)) {
		/* A group is heard here, but is not the node: the pod's rules know it by its address. */
		if (address_is_multicast(&pkt->daddr, pkt->family))
			identity_resolve(pkt, DIR_EGRESS);
		else
			pkt->dst_identity = IDENTITY_HOST;
		if (!cfg_builtin_dhcp || !(is_dhcp4(pkt) || is_dhcp6(pkt)))
			subject_host(&pkt->subject[SUBJECT_HOST]);
	} else if (!pkt->dst_identity) {
		identity_resolve(pkt, DIR_EGRESS);
	}
	return pod_judge(skb, pkt);
	/* seam: proxy redirect */
}

/* To the pod. */
static __always_inline int pod_ingress_full(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();
	int rc;

	if (!pkt || !state)
		return TC_ACT_SHOT;
	pkt->clock = *(volatile __u32 *)&state->clock;
	rc = icmp6_pod(pkt);
	if (rc == ICMP_PASS)
		return pass(STAT_PASS_BUILTIN);
	if (rc)
		return drop(pkt, rc);
	if (source_is_node(skb, pkt)) {
		pkt->src_identity = IDENTITY_HOST;
		if (!cfg_builtin_dhcp || !(is_dhcp4(pkt) || is_dhcp6(pkt)))
			subject_host(&pkt->subject[SUBJECT_HOST]);
	} else {
		identity_resolve(pkt, DIR_INGRESS);
		/* Forwarded: whoever shows the node's address here is not the node (HF-1.5). */
		if (pkt->src_identity == IDENTITY_HOST)
			pkt->src_identity =
				pkt->family == 4 ? cfg_identity_world4 : cfg_identity_world6;
	}
	return pod_judge(skb, pkt);
}

/* Whatever the fast path does not settle. */
static __always_inline int pod_rest(struct __sk_buff *skb, enum direction dir, __u32 slot,
				    __u32 index, const struct endpoint *endpoint, bool is_missed)
{
	struct packet *pkt = packet_room();
	int rc;

	if (!pkt)
		return TC_ACT_SHOT;
	intake_begin(pkt, skb, dir, SUBJECT_POD);
	pkt->slot = slot;
	pkt->endpoint_index = index;
	pkt->endpoint = endpoint->id;
	if (dir == DIR_EGRESS)
		pkt->src_identity = endpoint->identity;
	else
		pkt->dst_identity = endpoint->identity;
	subject_pod(&pkt->subject[SUBJECT_POD], endpoint);
	if (is_missed)
		pkt->flags |= PKT_MISS;
	if (dir == DIR_INGRESS)
		mark_ignore(skb);
	rc = intake(skb, pkt, true);
	if (rc == PARSE_NON_IP)
		return pass(STAT_PASS_NON_IP);
	if (rc < 0)
		return drop(pkt, -rc);
	return dir == DIR_EGRESS ? pod_egress_full(skb, pkt) : pod_ingress_full(skb, pkt);
}

/* The established packet: the pod's cell, and the node's where both judge. */
static __always_inline bool pod_fast(struct __sk_buff *skb, const struct fast *fast,
				     enum direction dir, const struct endpoint *endpoint,
				     int *action)
{
	struct live_state *state = live_get();
	struct subject pod = {}, host = {};
	__u32 now = now_seconds(), cell;
	bool is_reply;

	if (!fast->flow || !state)
		return false;
	is_reply = fast_is_reply(fast);
	if (!fast_is_steady(fast, is_reply, now))
		return false;
	cell = dir ^ is_reply;
	subject_pod(&pod, endpoint);
	if (!fast_allows(fast->flow, cell, pod.generation, state, fast->bucket))
		return false;
	if (fast->flow->flags & FLOW_HOST) {
		subject_host(&host);
		if (!fast_allows(fast->flow, !cell, host.generation, state, fast->own_bucket))
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
	fast_find(skb, &fast, true, dir, dir == DIR_EGRESS ? endpoint : NULL);
	if (pod_fast(skb, &fast, dir, endpoint, &action))
		return action;
	return pod_rest(skb, dir, slot, index, endpoint, fast.was_looked_up && !fast.flow);
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
