// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Before an skb exists: frames that no honest peer sends (HF-9.2), and plain SYNs that the policy refuses
 * anyway (HF-9.8). It only drops; tc is the authority, and judges whatever could come out differently
 * there. Reads the linear part of a frame; what is not there is left to tc.
 */
#include "lib/frame_xdp.h"
#include "lib/device.h"
#include "lib/event.h"
#include "lib/ipcache.h"
#include "lib/parse.h"
#include "lib/policy.h"
#include "lib/sanity.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__noinline int parse_xdp(struct xdp_md *ctx, struct packet *pkt)
{
	return pkt ? parse_frame(ctx, pkt, true) : -DROP_INTERNAL;
}

__noinline int drop_early(const struct packet *pkt, int reason)
{
	if (!pkt)
		return XDP_DROP;
	drop(pkt, SUBJECT_HOST, reason);
	return XDP_DROP;
}

/* A SYN that ingress policy refuses, and no later step could allow. */
static __always_inline int syn_pre_deny(struct packet *pkt)
{
	int reason;

	pkt->clock = 0; /* nothing is stored */
	identity_resolve(pkt, DIR_INGRESS);
	if (pkt->src_identity == IDENTITY_HOST || pkt->flags & PKT_SRC_ENDPOINT)
		return XDP_PASS; /* a matter of source verification */
	pkt->dst_identity = IDENTITY_HOST;
	reason = policy_judge(pkt, SUBJECT_HOST, 0);
	if (reason != DROP_POLICY_DENIED && reason != DROP_POLICY_DENY)
		return XDP_PASS;
	rule_hit(pkt, pkt->judged[SUBJECT_HOST].origin);
	count(STAT_SYN_PRE_DENY, 1);
	return drop_early(pkt, reason);
}

SEC("xdp.frags")
int xdp_host(struct xdp_md *ctx)
{
	__u32 linear = frame_linear(ctx);
	__u32 ifindex = ctx->ingress_ifindex;
	struct packet *pkt = packet_room();
	struct device *device;
	int rc;

	if (!pkt)
		return XDP_PASS;
	pkt->dir = DIR_INGRESS;
	pkt->owner = SUBJECT_HOST;
	pkt->flags = PKT_XDP;
	pkt->ifindex = ifindex;
	pkt->segments = 1;
	pkt->length = linear;
	subject_host(&pkt->subject[SUBJECT_HOST]);
	if (pkt->subject[SUBJECT_HOST].flags & SUBJECT_OPEN)
		return XDP_PASS;
	rc = parse_xdp(ctx, pkt);
	if (rc == PARSE_NON_IP)
		return XDP_PASS;
	if (rc < 0 && frame_length(ctx) > linear)
		return XDP_PASS; /* in parts: tc sees the rest */
	device = device_get(ifindex);
	if (device)
		pkt->slot = device->slot;
	if (vlan_has_program(pkt))
		return XDP_PASS;
	if (rc < 0)
		return drop_early(pkt, -rc);
	rc = sanity_check(pkt);
	if (rc)
		return drop_early(pkt, rc);
	if (pkt->proto != IPPROTO_TCP || pkt->flags & PKT_FRAG_LATER ||
	    !(is_plain_syn(pkt) || tcp_flags_are_invalid(pkt)) ||
	    !address_is_local(&pkt->daddr, pkt->family))
		return XDP_PASS;
	if (tcp_flags_are_invalid(pkt))
		return drop_early(pkt, DROP_INVALID_TCP_FLAGS);
	return syn_pre_deny(pkt);
}
