/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fixed ICMPv6 table (HF-2.3), and errors judged by the packet inside them (HF-2.4, 2.5). */
#ifndef MERLON_ICMP_H
#define MERLON_ICMP_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "ct.h"
#include "ipcache.h"
#include "packet.h"
#include "sock.h"
#include "unproven.h"

#define ICMP_JUDGE 0   /* policy decides */
#define ICMP_PASS (-1) /* whatever the policy */

#define ICMP_REDIRECT 5
#define ICMP_UNREACHABLE 3
#define ICMP_FRAG_NEEDED 4
#define ND_FIRST 133
#define ND_LAST 137
#define ND_REDIRECT 137
#define ND_HOP_LIMIT 255

/* Types from 128 that pass: MLD 130–132, 143; neighbour discovery 133–136; 138; 141, 142; 148, 149; 151–153. */
#define ICMP6_BIT(type) (1U << ((type) - 128))
#define ICMP6_MLD (ICMP6_BIT(130) | ICMP6_BIT(131) | ICMP6_BIT(132) | ICMP6_BIT(143))
#define ICMP6_NDP (ICMP6_BIT(133) | ICMP6_BIT(134) | ICMP6_BIT(135) | ICMP6_BIT(136))
#define ICMP6_PASS                                                                  \
	(ICMP6_MLD | ICMP6_NDP | ICMP6_BIT(138) | ICMP6_BIT(141) | ICMP6_BIT(142) | \
	 ICMP6_BIT(148) | ICMP6_BIT(149) | ICMP6_BIT(151) | ICMP6_BIT(152) | ICMP6_BIT(153))

static __always_inline bool icmp6_is_in(__u8 type, __u32 set)
{
	return type >= 128 && type < 160 && set >> (type - 128) & 1;
}

static __always_inline bool icmp6_errors_within_limit(const struct packet *pkt)
{
	__u32 slot = pkt->slot % DEVICE_SLOTS;
	__u64 *full_at = bpf_map_lookup_elem(&icmp6_limits, &slot);

	return full_at && bucket_take(full_at, cfg_icmp6_error_rate, cfg_icmp6_error_burst);
}

/* Neighbour discovery comes from the link or not at all. */
static __always_inline bool ndp_is_invalid(const struct packet *pkt)
{
	return pkt->icmp_type >= ND_FIRST && pkt->icmp_type <= ND_LAST && pkt->ttl != ND_HOP_LIMIT;
}

/* The table for packets that host policy would judge: ICMP_PASS, ICMP_JUDGE or a drop reason. */
static __always_inline int icmp6_host(const struct packet *pkt)
{
	if (pkt->proto != PROTO_ICMP6 || pkt->family != 6 || pkt->flags & PKT_FRAG_LATER)
		return ICMP_JUDGE;
	if (pkt->icmp_type == 128 || pkt->icmp_type == 129)
		return ICMP_JUDGE;
	if (pkt->icmp_type >= 1 && pkt->icmp_type <= 4)
		return icmp6_errors_within_limit(pkt) ? ICMP_PASS : DROP_RATE_LIMITED;
	if (ndp_is_invalid(pkt))
		return DROP_INVALID_NDP;
	if (icmp6_is_in(pkt->icmp_type, ICMP6_PASS) ||
	    (pkt->icmp_type == ND_REDIRECT && cfg_icmp6_redirect_pass))
		return ICMP_PASS;
	return DROP_FORBIDDEN_ICMP6;
}

/* On a pod's device: what the link needs passes, redirects do not, the rest is the pod's policy. */
static __always_inline int icmp6_pod(const struct packet *pkt)
{
	if (pkt->proto != PROTO_ICMP6 || pkt->family != 6 || pkt->flags & PKT_FRAG_LATER)
		return ICMP_JUDGE;
	if (ndp_is_invalid(pkt))
		return DROP_INVALID_NDP;
	if (icmp6_is_in(pkt->icmp_type, ICMP6_MLD | ICMP6_NDP))
		return ICMP_PASS;
	return pkt->icmp_type == ND_REDIRECT ? DROP_FORBIDDEN_ICMP6 : ICMP_JUDGE;
}

static __always_inline bool icmp_is_frag_needed(const struct packet *pkt)
{
	return pkt->family == 4 && pkt->proto == IPPROTO_ICMP && cfg_allow_icmp_frag_needed &&
	       pkt->icmp_type == ICMP_UNREACHABLE && pkt->icmp_code == ICMP_FRAG_NEEDED &&
	       !(pkt->flags & PKT_FRAG_LATER);
}

/* Ports of the packet inside, at `at`; of an echo the identifier, at the asking end. */
static __always_inline int inner_ports(struct __sk_buff *skb, __u32 at, __u8 proto, __be16 *port)
{
	__be16 part[4]; /* at least eight bytes of the offending packet (RFC 792) */

	if (bpf_skb_load_bytes(skb, at, part, sizeof(part)))
		return -1;
	port[0] = part[0];
	port[1] = part[1];
	if (proto == IPPROTO_ICMP || proto == PROTO_ICMP6) {
		__u8 type = *(__u8 *)part;
		bool is_reply = proto == IPPROTO_ICMP ? !type || type == 14 : type == 129;

		port[0] = is_reply ? 0 : part[2];
		port[1] = is_reply ? part[2] : 0;
	}
	return 0;
}

static __always_inline bool flow_admits(const struct flow *flow, __u8 proto, bool is_unproven)
{
	if (!flow || !flow_lives(flow, proto, is_unproven))
		return false;
	return !(flow->flags & FLOW_REVOKED) && flow_is_admitted(flow);
}

/* Puts the tuple of the IPv4 packet at `at` in the packet's place. */
static __always_inline bool inner_take4(struct __sk_buff *skb, struct packet *pkt, __u32 at)
{
	struct iphdr ip;
	__be16 port[2];

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
	    inner_ports(skb, at + ip.ihl * 4, ip.protocol, port))
		return false;
	address_set4(&pkt->saddr, ip.saddr);
	address_set4(&pkt->daddr, ip.daddr);
	pkt->proto = ip.protocol;
	pkt->sport = port[0];
	pkt->dport = port[1];
	return true;
}

static __always_inline bool inner_take6(struct __sk_buff *skb, struct packet *pkt, __u32 at)
{
	struct ipv6hdr ip;
	__be16 port[2];

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6 ||
	    inner_ports(skb, at + sizeof(ip), ip.nexthdr, port))
		return false;
	__builtin_memcpy(&pkt->saddr, &ip.saddr, 16);
	__builtin_memcpy(&pkt->daddr, &ip.daddr, 16);
	pkt->proto = ip.nexthdr;
	pkt->sport = port[0];
	pkt->dport = port[1];
	return true;
}

static __always_inline bool inner_is_tracked(const struct packet *pkt)
{
	struct flow_scratch *scratch = scratch_get();
	struct unproven *unproven;

	if (!scratch)
		return false;
	key_make(pkt);
	unproven = unproven_lookup(scratch, pkt->family != 4);
	if (unproven && flow_admits(&unproven->flow, pkt->proto, true))
		return true;
	if (pkt->family == 4)
		return flow_admits(flow_main4(&scratch->key4), pkt->proto, false) ||
		       flow_admits(bpf_map_lookup_elem(&overflow4, &scratch->key4), pkt->proto,
				   false);
	return flow_admits(flow_main6(&scratch->key6), pkt->proto, false) ||
	       flow_admits(bpf_map_lookup_elem(&overflow6, &scratch->key6), pkt->proto, false);
}

static __always_inline bool inner_has_socket(struct __sk_buff *skb, const struct packet *pkt)
{
	if (pkt->owner != SUBJECT_HOST || pkt->dir != DIR_INGRESS)
		return false;
	if (pkt->proto == IPPROTO_TCP)
		return sock_orient_tcp(skb, pkt, DIR_EGRESS) != SOCK_UNKNOWN;
	return pkt->proto == IPPROTO_UDP && sock_orient_udp(skb, pkt, DIR_EGRESS) != SOCK_UNKNOWN;
}

/*
 * One end of the packet inside must be the subject's: what it sent on the way in, what it received on the
 * way out. `outer` is the subject's end of the error itself.
 */
static __always_inline bool inner_is_ours(const struct packet *pkt, const union address *outer)
{
	const union address *own = pkt->dir == DIR_INGRESS ? &pkt->saddr : &pkt->daddr;

	return address_equal(own, outer) || address_is_local(own, pkt->family);
}

/*
 * Does the error speak of a packet of a live connection? Whatever its own source: routers speak, too. The
 * inner tuple stands in the packet meanwhile: there is no stack for a second one.
 */
__noinline int icmp_is_related(struct __sk_buff *skb, struct packet *pkt)
{
	union address saddr, daddr;
	__be16 sport, dport;
	bool related;
	__u8 proto;

	if (!pkt)
		return false;
	saddr = pkt->saddr;
	daddr = pkt->daddr;
	sport = pkt->sport;
	dport = pkt->dport;
	proto = pkt->proto;
	related = pkt->family == 4 ? inner_take4(skb, pkt, pkt->l4 + 8)
				   : inner_take6(skb, pkt, pkt->l4 + 8);
	related = related && inner_is_ours(pkt, pkt->dir == DIR_INGRESS ? &daddr : &saddr) &&
		  (inner_is_tracked(pkt) || inner_has_socket(skb, pkt));
	pkt->saddr = saddr;
	pkt->daddr = daddr;
	pkt->sport = sport;
	pkt->dport = dport;
	pkt->proto = proto;
	return related;
}

#endif
