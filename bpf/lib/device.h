/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of the device a packet is on. */
#ifndef MERLON_DEVICE_H
#define MERLON_DEVICE_H

#include "packet.h"

static __always_inline struct device *device_get(__u32 ifindex)
{
	struct device *device = bpf_map_lookup_elem(&devices, &ifindex);

	return device ?: bpf_map_lookup_elem(&devices_high, &ifindex);
}

/*
 * Kinds of marks that would change the judgement of what the node sends, if whoever set them could be
 * believed (marks-and-ports, rule 1): 8 to 11 of the proxies, 14 of the WireGuard device.
 */
#define MARK_CLAIMS (1U << 0x8 | 1U << 0x9 | 1U << 0xa | 1U << 0xb | 1U << 0xe)
#define MARK_KIND_SHIFT 8

/* Nobody may be believed yet: the packet is the node's like any other, and that is counted. */
static __always_inline void mark_ignore(struct __sk_buff *skb)
{
	__u32 kind = (skb->mark & cfg_mark_kind_mask) >> MARK_KIND_SHIFT;

	if (MARK_CLAIMS >> (kind & 0xf) & 1)
		count(STAT_MARK_IGNORED, 1);
}

/* What comes in brings no mark of ours: nobody out there may set one. */
static __always_inline void mark_clear(struct __sk_buff *skb)
{
	if (skb->mark & cfg_mark_mask)
		skb->mark &= ~cfg_mark_mask;
}

/* A tagged frame is its sub-device's business, if our program is there. */
static __always_inline bool vlan_has_program(const struct packet *pkt)
{
	struct vlan_key key = {
		.ifindex = pkt->ifindex,
		.proto = pkt->vlan_proto,
		.id = pkt->vlan_id,
	};

	return pkt->vlan_proto && bpf_map_lookup_elem(&vlans, &key);
}

#endif
