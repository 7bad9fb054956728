/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who an address is: exact addresses first, then the longest prefix, else the world of its family. */
#ifndef MERLON_IPCACHE_H
#define MERLON_IPCACHE_H

#include "packet.h"

static __always_inline struct ipcache_entry *ipcache_find4(const union address *addr)
{
	struct lpm4_key net = { .prefixlen = 32, .addr = addr->w[3] };
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache_host4, &net.addr);

	return entry ?: bpf_map_lookup_elem(&ipcache_net4, &net);
}

static __always_inline struct ipcache_entry *ipcache_find6(const union address *addr)
{
	struct lpm6_key net = { .prefixlen = 128 };
	union address host = *addr; /* words: keys of bytes are copied byte by byte */
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache_host6, &host);

	if (entry)
		return entry;
	__builtin_memcpy(net.addr, addr, sizeof(net.addr));
	return bpf_map_lookup_elem(&ipcache_net6, &net);
}

/* Identity and flags (<< 32) of an address, as one word: they change by one store. */
static __always_inline __u64 ipcache_lookup(const union address *addr, __u8 family)
{
	struct ipcache_entry *entry = family == 4 ? ipcache_find4(addr) : ipcache_find6(addr);

	if (entry)
		return *(volatile __u64 *)entry;
	return family == 4 ? cfg_identity_world4 : cfg_identity_world6;
}

/* Fills in the peer's identity: the source's for DIR_INGRESS, else the destination's. */
static __always_inline void identity_take(struct packet *pkt, __u32 dir)
{
	__u64 word;

	word = ipcache_lookup(dir == DIR_INGRESS ? &pkt->saddr : &pkt->daddr, pkt->family);
	if (dir == DIR_INGRESS) {
		pkt->src_identity = word;
		if (word >> 32 & IPCACHE_ENDPOINT)
			pkt->flags |= PKT_SRC_ENDPOINT;
	} else {
		pkt->dst_identity = word;
		if (word >> 32 & IPCACHE_ENDPOINT)
			pkt->flags |= PKT_DST_ENDPOINT;
	}
}

/* The same, where a call costs less than the code. */
__noinline int identity_resolve(struct packet *pkt, __u32 dir)
{
	if (pkt)
		identity_take(pkt, dir);
	return 0;
}

/* Does the table of local addresses have it? */
__noinline int local_addrs_have(const union address *addr, __u32 family)
{
	union address key;

	if (!addr)
		return false;
	key = *addr;
	if (family == 4)
		return bpf_map_lookup_elem(&local_addrs4, &key.w[3]) != NULL;
	return bpf_map_lookup_elem(&local_addrs6, &key) != NULL;
}

/* Is the address one of the node's? */
static __always_inline bool address_is_local(const union address *addr, __u8 family)
{
	__u32 at = epoch_bucket(addr, family), state;
	struct local_bucket *bucket = bpf_map_lookup_elem(&local_buckets, &at);

	if (!bucket)
		return false;
	state = *(volatile __u32 *)&bucket->state;
	if (state == LOCAL_SEVERAL)
		return local_addrs_have(addr, family);
	return state == family && address_equal(addr, (const union address *)bucket->addr);
}

#endif
