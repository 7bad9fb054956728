/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stateless pass rules above policy (HF-6.1). A rule's port is the responder's: the node's of an inbound
 * one, the peer's of an outbound one; so the same test serves a known flow in either direction. A packet
 * without a record may also be an answer, but then it must look like one.
 */
#ifndef MERLON_FAILSAFE_H
#define MERLON_FAILSAFE_H

#include "packet.h"

static __always_inline __u32 failsafe_group(__u32 slot, __u32 inbound, __u32 port_index)
{
	__u32 index = (slot * 2 + inbound) * FAILSAFE_PORTS + port_index;
	__u32 word = index / 8;
	__u64 *groups = bpf_map_lookup_elem(&failsafe_port, &word);

	return groups ? *groups >> (index % 8 * 8) & 0xff : 0;
}

/* Is the peer (the source of what comes in) in the group? Asked of few packets, so a call does not count. */
__noinline int failsafe_peer(const struct packet *pkt, __u32 slot, __u32 inbound, __u32 group,
			     __u32 dir)
{
	struct failsafe_key key = {
		.prefixlen = 32 + 128,
		.slot = slot,
		.inbound = inbound,
		.group = group,
	};
	struct failsafe_entry *entry;

	if (!pkt)
		return false;
	__builtin_memcpy(key.addr, dir == DIR_INGRESS ? &pkt->saddr : &pkt->daddr,
			 sizeof(key.addr));
	entry = bpf_map_lookup_elem(&failsafe, &key);
	return entry && entry->family == pkt->family &&
	       (!entry->ifindex || entry->ifindex == pkt->ifindex);
}

static __always_inline int failsafe_port_index(const struct packet *pkt, __be16 port)
{
	if (pkt->flags & PKT_NO_PORTS)
		return -1;
	if (pkt->proto == IPPROTO_TCP)
		return FAILSAFE_PORT_TCP + bpf_ntohs(port);
	if (pkt->proto == IPPROTO_UDP)
		return FAILSAFE_PORT_UDP + bpf_ntohs(port);
	if ((pkt->proto == IPPROTO_ICMP || pkt->proto == PROTO_ICMP6) &&
	    !(pkt->flags & (PKT_ICMP_REQUEST | PKT_ICMP_REPLY)))
		return -1;
	return FAILSAFE_PORT_PROTO + pkt->proto;
}

/* Could this packet, of which no record tells the direction, be an answer to what a rule lets pass? */
static __always_inline bool failsafe_may_answer(const struct packet *pkt, __u32 inbound)
{
	__u16 port = bpf_ntohs(pkt->dport);

	if (pkt->proto == IPPROTO_TCP)
		return pkt->tcp_flags & (TCP_ACK | TCP_RST);
	if (pkt->proto == IPPROTO_UDP &&
	    !inbound) /* else whoever spoofs a resolver reaches all ports */
		return (port >= cfg_local_port_first && port <= cfg_local_port_last) ||
		       pkt->dport == pkt->sport;
	if (pkt->proto == IPPROTO_ICMP || pkt->proto == PROTO_ICMP6)
		return pkt->flags & PKT_ICMP_REPLY;
	return true;
}

/*
 * Does a failsafe rule cover the tuple? `cell` is the direction in which its connection is judged, `dir`
 * that in which this packet travels; they differ for a reply.
 */
static __always_inline bool failsafe_match(const struct packet *pkt, __u32 slot, __u32 cell,
					   __u32 dir)
{
	int index = failsafe_port_index(pkt, cell == dir ? pkt->dport : pkt->sport);
	__u32 group;

	if (index < 0)
		return false;
	group = failsafe_group(slot, cell, index);
	if (group && failsafe_peer(pkt, slot, cell, group, dir))
		return true;
	if (cell != dir)
		return false;
	index = failsafe_port_index(pkt, pkt->sport);
	if (index < 0)
		return false;
	group = failsafe_group(slot, !cell, index);
	return group && failsafe_may_answer(pkt, !cell) &&
	       failsafe_peer(pkt, slot, !cell, group, dir);
}

#endif
