// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Devices that lead out of the machine: the node is the subject of what is delivered here and of what it
 * sends; the rest merely passes (HF-1.1, 1.2). Stages that are still empty stand at marked seams: service
 * translation before the local-destination test, proxy redirect after the verdict at ingress; encapsulation,
 * encryption and source translation after the verdict at egress.
 */
#include "lib/frame_skb.h"
#include "lib/parse.h"
#include "lib/decide.h"
#include "lib/device.h"
#include "lib/fast.h"
#include "lib/intake.h"
#include "lib/icmp.h"
#include "lib/local.h"
#include "lib/sanity.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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

/* Common to both directions: what comes before the judgement of a packet that is the node's. */
static __always_inline int host_judge(struct __sk_buff *skb, struct packet *pkt)
{
	int rc = host_builtin(pkt);

	if (rc == ICMP_PASS)
		return pass(STAT_PASS_BUILTIN);
	if (rc)
		return drop(pkt, rc);
	if (pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		frag_track(pkt);
	if (pkt->flags & PKT_ICMP_ERROR && icmp_is_related(skb, pkt))
		return pass(STAT_PASS_RELATED);
	return flow_decide(skb, pkt);
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

/* Ingress of whatever the fast path does not settle. */
static __always_inline int host_ingress_full(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();
	int rc;

	if (!pkt || !state)
		return TC_ACT_SHOT;
	pkt->clock = *(volatile __u32 *)&state->clock; /* before the first table */
	if (pkt->subject[SUBJECT_HOST].flags & SUBJECT_OPEN) {
		if (!destination_is_local(skb, pkt))
			return pass(STAT_PASS_FORWARDED);
		identity_resolve(pkt, DIR_INGRESS);
		pkt->dst_identity = IDENTITY_HOST;
		return flow_decide(skb, pkt);
	}
	rc = sanity_check(pkt);
	if (rc)
		return drop(pkt, rc);
	/* seam: pre-DNAT rules, service translation */
	if (!destination_is_local(skb, pkt))
		return pass(STAT_PASS_FORWARDED);
	if (tcp_flags_are_invalid(pkt))
		return drop(pkt, DROP_INVALID_TCP_FLAGS);
	identity_take(pkt, DIR_INGRESS);
	rc = host_check_source(skb, pkt);
	if (rc)
		return drop(pkt, rc);
	pkt->dst_identity = IDENTITY_HOST;
	return host_judge(skb, pkt);
	/* seam: proxy redirect */
}

/*
 * Forwarded with a source of the node's: rewritten on its way (row 5), or the answer of a foreign DNAT
 * (row 16). Not judged, but its record tells the answers from new connections.
 */
static __always_inline int host_egress_forwarded(struct __sk_buff *skb, struct packet *pkt)
{
	if (!address_is_local(&pkt->saddr, pkt->family))
		return pass(STAT_PASS_FORWARDED);
	pkt->flags |= PKT_FORWARDED;
	pkt->subject[SUBJECT_HOST].flags = 0;
	if (pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		frag_track(pkt);
	return flow_decide(skb, pkt);
}

static __always_inline int host_egress_full(struct __sk_buff *skb, struct packet *pkt)
{
	struct live_state *state = live_get();

	if (!pkt || !state)
		return TC_ACT_SHOT;
	pkt->clock = *(volatile __u32 *)&state->clock;
	if (!source_is_node(skb, pkt))
		return host_egress_forwarded(skb, pkt);
	identity_resolve(pkt, DIR_EGRESS);
	pkt->src_identity = IDENTITY_HOST;
	if (pkt->subject[SUBJECT_HOST].flags & SUBJECT_OPEN)
		return flow_decide(skb, pkt);
	return host_judge(skb, pkt);
	/* seam: encapsulation, encryption, source translation */
}

/* Whatever the fast path does not settle. */
static __always_inline int host_rest(struct __sk_buff *skb, enum direction dir, bool has_ethernet,
				     bool is_missed)
{
	struct packet *pkt = packet_room();
	struct device *device;
	int rc;

	if (!pkt)
		return TC_ACT_SHOT;
	intake_begin(pkt, skb, dir, SUBJECT_HOST);
	subject_host(&pkt->subject[SUBJECT_HOST]);
	if (is_missed)
		pkt->flags |= PKT_MISS;
	if (dir == DIR_EGRESS)
		mark_ignore(skb);
	rc = intake(skb, pkt, has_ethernet);
	if (rc == PARSE_NON_IP && !ethertype_is_refused(pkt->dport))
		return pass(STAT_PASS_NON_IP);
	device = device_get(pkt->ifindex);
	if (device)
		pkt->slot = device->slot;
	if (dir == DIR_INGRESS && !(device && device->flags & DEVICE_ALLOW_SELF_SOURCE))
		pkt->flags |= PKT_FROM_WIRE;
	if (vlan_has_program(pkt))
		return pass(STAT_PASS_FORWARDED);
	if (rc == PARSE_NON_IP)
		rc = -DROP_UNSUPPORTED_L2;
	if (rc < 0) {
		if (pkt->subject[SUBJECT_HOST].flags & SUBJECT_OPEN)
			return pass(STAT_PASS_UNENFORCED);
		return drop(pkt, -rc);
	}
	return dir == DIR_INGRESS ? host_ingress_full(skb, pkt) : host_egress_full(skb, pkt);
}

/* The established packet: one lookup, one comparison of stamps. */
static __always_inline bool host_fast(struct __sk_buff *skb, const struct fast *fast,
				      enum direction dir, int *action)
{
	struct live_state *state = live_get();
	struct subject subject = {};
	__u32 now = now_seconds();
	bool is_reply;

	if (!fast->flow || !state)
		return false;
	is_reply = fast_is_reply(fast);
	if (!fast_is_steady(fast, is_reply, now))
		return false;
	subject_host(&subject);
	if (!fast_allows(fast->flow, dir ^ is_reply, subject.generation, state, fast->bucket) &&
	    !(flow_is_unjudged(fast->flow) &&
	      (dir == DIR_INGRESS ? is_reply : skb->ingress_ifindex)))
		return false;
	*action = fast_pass(skb, fast->flow, is_reply, now);
	return true;
}

static __always_inline int handle_host_ingress(struct __sk_buff *skb, bool has_ethernet)
{
	struct fast fast = {};
	int action;

	mark_clear(skb);
	if (skb->pkt_type == PKT_TYPE_LOOPBACK || skb->pkt_type == PKT_TYPE_OTHERHOST)
		return pass(STAT_PASS_FORWARDED);
	fast_find(skb, &fast, has_ethernet, DIR_INGRESS, NULL);
	if (host_fast(skb, &fast, DIR_INGRESS, &action))
		return action;
	return host_rest(skb, DIR_INGRESS, has_ethernet, fast.was_looked_up && !fast.flow);
}

static __always_inline int handle_host_egress(struct __sk_buff *skb, bool has_ethernet)
{
	struct fast fast = {};
	int action;

	/* What merely passes has a source elsewhere and most often no record of the node's. */
	if (!skb->ingress_ifindex)
		fast_find(skb, &fast, has_ethernet, DIR_EGRESS, NULL);
	if (host_fast(skb, &fast, DIR_EGRESS, &action))
		return action;
	return host_rest(skb, DIR_EGRESS, has_ethernet, fast.was_looked_up && !fast.flow);
}

SEC("tc")
int host_ingress(struct __sk_buff *skb)
{
	return handle_host_ingress(skb, true);
}

SEC("tc")
int host_egress(struct __sk_buff *skb)
{
	return handle_host_egress(skb, true);
}

SEC("tc")
int host_ingress_l3(struct __sk_buff *skb)
{
	return handle_host_ingress(skb, false);
}

SEC("tc")
int host_egress_l3(struct __sk_buff *skb)
{
	return handle_host_egress(skb, false);
}
