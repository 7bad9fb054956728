/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The node as the subject of what is delivered to it and of what it sends (HF-1.1, 1.2): is the packet the
 * node's, and what stands above its policy? Stages that are still empty stand at marked seams.
 */
#ifndef MERLON_HOST_H
#define MERLON_HOST_H

#include "device.h"
#include "icmp.h"
#include "local.h"
#include "sanity.h"
#include "stage.h"

/* An outer packet of our own, to or from a known node: what is inside is judged by itself. */
static __always_inline bool is_own_outer(const struct packet *pkt)
{
	const union address *peer = pkt->dir == DIR_INGRESS ? &pkt->saddr : &pkt->daddr;

	if (!cfg_tunnel_port && !cfg_wireguard_port)
		return false;
	if (pkt->proto != IPPROTO_UDP || pkt->flags & PKT_FRAG_LATER || !pkt->dport ||
	    (pkt->dport != bpf_htons(cfg_tunnel_port) &&
	     pkt->dport != bpf_htons(cfg_wireguard_port)))
		return false;
	return ipcache_lookup(peer, pkt->family) >> 32 & IPCACHE_NODE;
}

/* Built-ins of the node, above any policy: ICMP_PASS, ICMP_JUDGE or a drop reason. */
static __always_inline int host_builtin(const struct packet *pkt)
{
	if (cfg_builtin_dhcp && (is_dhcp4(pkt) || is_dhcp6(pkt)))
		return ICMP_PASS;
	if (is_own_outer(pkt))
		return ICMP_PASS;
	if (pkt->proto != IPPROTO_ICMP && pkt->proto != PROTO_ICMP6)
		return ICMP_JUDGE;
	if (icmp_is_frag_needed(pkt))
		return ICMP_PASS;
	if (!subject_is_selected(&pkt->subject[SUBJECT_HOST], pkt->dir) &&
	    !(pkt->dir == DIR_INGRESS && family_is_disabled(pkt->family)))
		return ICMP_JUDGE;
	return icmp6_host(pkt);
}

/*
 * Sources that the wire may not show (HF-1.5); 0, or a drop reason. Whether an address unknown to the
 * ipcache is the node's is asked only when a record would begin (PKT_FROM_WIRE).
 */
static __always_inline int host_check_source(struct __sk_buff *skb, struct packet *pkt)
{
	if (pkt->flags & PKT_SRC_ENDPOINT && !source_is_behind_device(skb, pkt))
		return DROP_INVALID_SOURCE_IP;
	if (pkt->src_identity != IDENTITY_HOST)
		return 0;
	if (pkt->flags & PKT_FROM_WIRE)
		return DROP_SPOOFED_LOCAL_SOURCE;
	/* Never the node, whatever the device. */
	pkt->src_identity = pkt->family == 4 ? cfg_identity_world4 : cfg_identity_world6;
	return 0;
}

/* Is what arrived delivered here? WAY_JUDGE, or the packet's way. */
static __always_inline int host_ingress_way(struct __sk_buff *skb, struct packet *pkt)
{
	bool is_open = pkt->subject[SUBJECT_HOST].flags & SUBJECT_OPEN;
	int reason = is_open ? 0 : sanity_check(pkt);

	if (reason)
		return -reason;
	/* seam: pre-DNAT rules, service translation */
	if (!destination_is_local(skb, pkt))
		return STAT_PASS_FORWARDED;
	if (!is_open && tcp_flags_are_invalid(pkt))
		return -DROP_INVALID_TCP_FLAGS;
	return WAY_JUDGE;
}

/* Did the node send it? WAY_JUDGE, or the packet's way. */
static __always_inline int host_egress_way(struct __sk_buff *skb, struct packet *pkt)
{
	if (source_is_node(skb, pkt))
		return WAY_JUDGE;
	/*
	 * Forwarded with a source of the node's: rewritten on its way (row 5), or the answer of a foreign DNAT
	 * (row 16). Not judged, but its record tells the answers from new connections.
	 */
	if (!address_is_local(&pkt->saddr, pkt->family))
		return STAT_PASS_FORWARDED;
	pkt->flags |= PKT_FORWARDED;
	pkt->subject[SUBJECT_HOST].flags = 0;
	return pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER) ? WAY_RELATE : WAY_FLOW;
}

/* Whatever the fast path does not settle. */
static __always_inline int host_way(struct __sk_buff *skb, struct packet *pkt)
{
	struct subject *host = &pkt->subject[SUBJECT_HOST];
	struct live_state *state = live_get();
	struct device *device;
	int way;

	device = device_get(pkt->ifindex);
	if (device)
		pkt->slot = device->slot;
	if (pkt->way < 0)
		return host->flags & SUBJECT_OPEN ? STAT_PASS_UNENFORCED : pkt->way;
	if (pkt->dir == DIR_INGRESS && !(device && device->flags & DEVICE_ALLOW_SELF_SOURCE))
		pkt->flags |= PKT_FROM_WIRE;
	if (!state)
		return -DROP_INTERNAL;
	pkt->clock = *(volatile __u32 *)&state->clock; /* before the first table */
	way = pkt->dir == DIR_INGRESS ? host_ingress_way(skb, pkt) : host_egress_way(skb, pkt);
	if (way != WAY_JUDGE)
		return way;
	identity_take(pkt, pkt->dir);
	if (pkt->dir == DIR_EGRESS)
		pkt->src_identity = IDENTITY_HOST;
	if (host->flags & SUBJECT_OPEN) {
		if (pkt->dir == DIR_INGRESS)
			pkt->dst_identity = IDENTITY_HOST;
		return WAY_FLOW;
	}
	if (pkt->dir == DIR_INGRESS) {
		way = host_check_source(skb, pkt);
		if (way)
			return -way;
		pkt->dst_identity = IDENTITY_HOST;
	}
	way = host_builtin(pkt);
	if (way == ICMP_PASS)
		return STAT_PASS_BUILTIN;
	if (way)
		return -way;
	return pkt->flags & PKT_RELATED ? WAY_RELATE : WAY_FLOW;
	/* seam: proxy redirect */
	/* seam: encapsulation, encryption, source translation */
}

#endif
