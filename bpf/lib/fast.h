/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The established packet of the common kind, straight: TCP or UDP, no options, no fragment, nothing that
 * changes the connection's state; one flow lookup; the cached verdict current. Everything stays in
 * registers. Whatever is not so takes the full path, which decides alike.
 */
#ifndef MERLON_FAST_H
#define MERLON_FAST_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "control.h"
#include "ct.h"
#include "event.h"
#include "packet.h"

#define IPV4_VERSION_IHL 0x45
#define UDP_HEADER 8
#define TCP_HEADER 20
#define TCP_STATE_FLAGS (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)

/* What the fast path knows of a packet. */
struct fast {
	struct flow *flow;
	__u32 bucket;     /* epoch bucket of the peer of the hook's owner */
	__u32 own_bucket; /* of the other end */
	bool swapped;     /* the source is the second end of the key */
	bool was_looked_up;
	__u8 proto;
};

/* Is there a TCP segment that only acknowledges, or a datagram, at `l4`, in `size` bytes? */
static __always_inline bool fast_l4(__u8 proto, void *l4, void *end, __u32 size)
{
	__u8 *bytes = l4;

	if (l4 + UDP_HEADER > end)
		return false;
	if (proto == IPPROTO_UDP)
		return true;
	return proto == IPPROTO_TCP && l4 + TCP_HEADER <= end && bytes[12] >= 0x50 &&
	       (bytes[12] >> 4) * 4 <= size && (bytes[13] & TCP_STATE_FLAGS) == TCP_ACK;
}

static __always_inline void fast_find4(struct fast *fast, void *l3, void *end, __u32 room,
				       __u32 dir, const struct endpoint *sender)
{
	struct flow4_key key;
	struct iphdr *ip = l3;
	__be16 *port = (void *)(ip + 1);
	__u32 total, source, target;
	bool swapped;

	if ((void *)(ip + 1) > end || *(__u8 *)ip != IPV4_VERSION_IHL || !ip->ttl ||
	    ip->frag_off & bpf_htons(0x3fff))
		return;
	total = bpf_ntohs(ip->tot_len);
	if (total > room || total < sizeof(*ip) + UDP_HEADER ||
	    !fast_l4(ip->protocol, port, end, total - sizeof(*ip)))
		return;
	if (sender && ip->saddr != sender->addr4)
		return;
	swapped = end4_is_behind(ip->saddr, port[0], ip->daddr, port[1]);
	key4_set(&key, swapped, ip->saddr, ip->daddr, port[0] | (__u32)port[1] << 16, ip->protocol);
	source = ip->saddr * EPOCH_MULTIPLIER3 >> EPOCH_SHIFT;
	target = ip->daddr * EPOCH_MULTIPLIER3 >> EPOCH_SHIFT;
	fast->bucket = dir == DIR_INGRESS ? source : target;
	fast->own_bucket = dir == DIR_INGRESS ? target : source;
	fast->swapped = swapped;
	fast->proto = ip->protocol;
	fast->flow = flow_main4(&key);
	fast->was_looked_up = true;
}

static __always_inline void fast_find6(struct fast *fast, void *l3, void *end, __u32 room,
				       __u32 dir, const struct endpoint *sender)
{
	struct flow6_key key;
	struct ipv6hdr *ip = l3;
	union address *source = (void *)&ip->saddr, *target = (void *)&ip->daddr;
	__be16 *port = (void *)(ip + 1);
	__u32 total;
	bool swapped;

	if ((void *)(ip + 1) > end || ip->version != 6 || !ip->hop_limit)
		return;
	total = bpf_ntohs(ip->payload_len);
	if (total + sizeof(*ip) > room || total < UDP_HEADER ||
	    !fast_l4(ip->nexthdr, port, end, total))
		return;
	if (sender && !address_equal(source, (const union address *)sender->addr6))
		return;
	swapped = end6_is_behind(source, port[0], target, port[1]);
	key6_set(&key, swapped, source, target, port[0] | (__u32)port[1] << 16, ip->nexthdr);
	fast->bucket = epoch_bucket(dir == DIR_INGRESS ? source : target, 6);
	fast->own_bucket = epoch_bucket(dir == DIR_INGRESS ? target : source, 6);
	fast->swapped = swapped;
	fast->proto = ip->nexthdr;
	fast->flow = flow_main6(&key);
	fast->was_looked_up = true;
}

/* Looks up the record, if the frame is of the common kind and from `sender`, where one is given. */
static __always_inline void fast_find(struct __sk_buff *skb, struct fast *fast, bool has_ethernet,
				      __u32 dir, const struct endpoint *sender)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 room = skb->len;
	struct ethhdr *eth = data;
	__be16 type;

	if (has_ethernet) {
		if ((void *)(eth + 1) > end || skb->vlan_present)
			return;
		type = eth->h_proto;
		data = eth + 1;
		room -= sizeof(*eth);
	} else {
		if (data + 1 > end)
			return;
		type = *(__u8 *)data >> 4 == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	}
	/* A family that is off is judged packet by packet: a record may be older than the setting. */
	if (type == bpf_htons(ETH_P_IP) && !cfg_no_ipv4)
		fast_find4(fast, data, end, room, dir, sender);
	else if (type == bpf_htons(ETH_P_IPV6) && !cfg_no_ipv6)
		fast_find6(fast, data, end, room, dir, sender);
}

/* Without a branch: the verifier need not walk what follows for either way. */
static __always_inline __u32 fast_is_reply(const struct fast *fast)
{
	__u32 is_reply = fast->flow->flags ^ fast->swapped;

	BOUND_TO_BIT(is_reply);
	return is_reply;
}
_Static_assert(FLOW_INITIATOR == 1, "fast_is_reply takes bit 0");

/* Live, past its beginning and before its end: this packet changes nothing of its state. */
static __always_inline bool fast_is_steady(const struct fast *fast, __u32 is_reply, __u32 now)
{
	__u16 flags = fast->flow->flags;

	if (flags & (FLOW_RST | FLOW_FIN_INIT | FLOW_FIN_RESP | FLOW_REVOKED) ||
	    (is_reply && !(flags & FLOW_SEEN_REPLY)))
		return false;
	return flow_is_live(fast->flow, fast->proto, false, now);
}

/* Does the cell admit the packet, and is it current? */
static __always_inline bool fast_allows(const struct flow *flow, __u32 cell, __u32 generation,
					const struct live_state *state, __u32 bucket)
{
	BOUND_TO_BIT(cell);
	return (flow->verdict[cell] & 0xf) == VERDICT_ALLOW &&
	       stamp_is_current(&flow->stamp[cell], generation, state, bucket);
}

_Static_assert(STAT_PASS_REPLY == STAT_PASS_ESTABLISHED + 1, "fast_pass counts by addition");

static __always_inline int fast_pass(struct __sk_buff *skb, struct flow *flow, __u32 is_reply,
				     __u32 now)
{
	struct packet pkt = { .length = skb->len, .segments = skb->gso_segs ?: 1 };

	flow_count(flow, &pkt, is_reply, now);
	return pass(STAT_PASS_ESTABLISHED + is_reply);
}

#endif
