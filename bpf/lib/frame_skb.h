/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the parser reads a frame that has become an skb; also where its bytes are not linear. */
#ifndef MERLON_FRAME_SKB_H
#define MERLON_FRAME_SKB_H

#include "packet.h"

typedef struct __sk_buff frame_t;

static __always_inline int frame_load(frame_t *skb, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes(skb, offset, to, size);
}

static __always_inline __u32 frame_length(frame_t *skb)
{
	return skb->len;
}

/* A header may say length 0 where the stack has put more together than 16 bits can tell (BIG TCP). */
static __always_inline bool frame_is_gso(frame_t *skb)
{
	return skb->gso_size != 0;
}

/* The tag that the driver took off; 0 = none. */
static __always_inline __be16 frame_tag(frame_t *skb, __u16 *id)
{
	if (!skb->vlan_present)
		return 0;
	*id = skb->vlan_tci & 0xfff;
	return skb->vlan_proto;
}

#endif
