/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is this packet delivered here (HF-1.4, 1.6)? And may it have this source (HF-1.5)? */
#ifndef MERLON_LOCAL_H
#define MERLON_LOCAL_H

#include "ipcache.h"
#include "packet.h"

#define AF_INET 2
#define AF_INET6 10
#define PKT_TYPE_HOST 0
#define PKT_TYPE_BROADCAST 1
#define PKT_TYPE_MULTICAST 2

/* The kernel's route for `to`: a BPF_FIB_LKUP_RET_*; *ifindex is where it would leave. */
static __always_inline int route_lookup(void *ctx, const struct packet *pkt,
					const union address *from, const union address *to,
					__u32 *ifindex)
{
	struct bpf_fib_lookup fib = {};
	int rc;

	fib.ifindex = pkt->ifindex;
	if (pkt->family == 4) {
		fib.family = AF_INET;
		fib.ipv4_src = from->w[3];
		fib.ipv4_dst = to->w[3];
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, from, 16);
		__builtin_memcpy(fib.ipv6_dst, to, 16);
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	*ifindex = fib.ifindex;
	return rc;
}

/*
 * Would the kernel deliver it here, though no table says so: an address too new to be known. On a machine
 * that does not route the answer for local addresses is "forwarding disabled".
 */
__noinline int destination_is_local_by_fib(struct __sk_buff *skb, const struct packet *pkt)
{
	__u32 ifindex;
	int rc;

	if (!pkt)
		return true;
	rc = route_lookup(skb, pkt, &pkt->saddr, &pkt->daddr, &ifindex);
	if (rc != BPF_FIB_LKUP_RET_NOT_FWDED && rc != BPF_FIB_LKUP_RET_FWD_DISABLED)
		return false;
	count(STAT_LOCAL_BY_FIB, 1);
	return true;
}

static __always_inline bool destination_is_local(struct __sk_buff *skb, struct packet *pkt)
{
	if (address_is_local(&pkt->daddr, pkt->family))
		return true;
	if (address_is_multicast(&pkt->daddr, pkt->family) || skb->pkt_type == PKT_TYPE_BROADCAST ||
	    skb->pkt_type == PKT_TYPE_MULTICAST)
		return true;
	identity_resolve(pkt, DIR_EGRESS);
	if (pkt->flags & PKT_DST_ENDPOINT)
		return false;
	return destination_is_local_by_fib(skb, pkt);
}

/* Locally originated (HF-1.3): no device before, and a source of the node's; a macvlan child fails that. */
static __always_inline bool source_is_node(struct __sk_buff *skb, const struct packet *pkt)
{
	return !skb->ingress_ifindex && (address_is_unspecified(&pkt->saddr, pkt->family) ||
					 address_is_local(&pkt->saddr, pkt->family));
}

/*
 * Does the route to the packet's source leave by the device it came from? Where there is no answer (a machine
 * that does not route has none) the field still holds what was asked with: that is no route.
 */
__noinline int source_is_behind_device(struct __sk_buff *skb, const struct packet *pkt)
{
	__u32 ifindex = 0;
	int rc;

	if (!pkt)
		return false;
	rc = route_lookup(skb, pkt, &pkt->daddr, &pkt->saddr, &ifindex);
	return (rc == BPF_FIB_LKUP_RET_SUCCESS || rc == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       ifindex == pkt->ifindex;
}

#endif
