/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pod as the subject of all that passes its device; the node is a second one of what it exchanges with its
 * own pod (HF-1.1 rows 6, 7): both must allow. Stages that are still empty stand at marked seams.
 */
#ifndef MERLON_POD_H
#define MERLON_POD_H

#include "icmp.h"
#include "local.h"
#include "protocol.h"
#include "sanity.h"
#include "stage.h"

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

/* Fills in whom the pod sends to; whether that is the node. */
static __always_inline bool pod_egress_peer(struct __sk_buff *skb, struct packet *pkt)
{
	/* seam: service translation */
	if (!destination_is_local(skb, pkt)) {
		if (!pkt->dst_identity)
			identity_resolve(pkt, DIR_EGRESS);
		return false;
	}
	/* A group is heard here, but is not the node: the pod's rules know it by its address. */
	if (address_is_multicast(&pkt->daddr, pkt->family))
		identity_resolve(pkt, DIR_EGRESS);
	else
		pkt->dst_identity = IDENTITY_HOST;
	return true;
}

/* Fills in who sends to the pod; whether that is the node. */
static __always_inline bool pod_ingress_peer(struct __sk_buff *skb, struct packet *pkt)
{
	if (source_is_node(skb, pkt)) {
		pkt->src_identity = IDENTITY_HOST;
		return true;
	}
	identity_resolve(pkt, DIR_INGRESS);
	/* Forwarded: whoever shows the node's address here is not the node (HF-1.5). */
	if (pkt->src_identity == IDENTITY_HOST)
		pkt->src_identity = pkt->family == 4 ? cfg_identity_world4 : cfg_identity_world6;
	return false;
}

/* Whatever the fast path does not settle. */
static __always_inline int pod_way(struct __sk_buff *skb, struct packet *pkt)
{
	struct subject *pod = &pkt->subject[SUBJECT_POD];
	struct live_state *state = live_get();
	bool is_node;
	int reason;

	if (pkt->way < 0)
		return pkt->way;
	if (!state)
		return -DROP_INTERNAL;
	pkt->clock = *(volatile __u32 *)&state->clock; /* before the first table */
	if (pkt->dir == DIR_EGRESS && !source_is_own(pkt))
		return -DROP_INVALID_SOURCE_IP;
	reason = icmp6_pod(pkt);
	if (reason)
		return reason == ICMP_PASS ? STAT_PASS_BUILTIN : -reason;
	is_node = pkt->dir == DIR_EGRESS ? pod_egress_peer(skb, pkt) : pod_ingress_peer(skb, pkt);
	if (is_node && !(cfg_builtin_dhcp && (is_dhcp4(pkt) || is_dhcp6(pkt))))
		subject_add_host(&pkt->subject[SUBJECT_HOST]);
	if (pkt->flags & PKT_RELATED)
		return WAY_RELATE;
	if (protocol_is_unknown(pkt) && !(pod->flags & SUBJECT_OPEN))
		return -DROP_UNKNOWN_L4;
	return WAY_FLOW;
	/* seam: proxy redirect */
}

#endif
