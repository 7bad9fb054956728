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
